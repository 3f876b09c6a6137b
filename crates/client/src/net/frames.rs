//! Frames over a stream: what is read is cut at its lengths, what is written leaves in as few calls as it can.
//! Both sides may be dropped between any two calls without losing a byte.

use std::{collections::VecDeque, io, io::IoSlice, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use vltava_wire::{OverLimit, Permit};

use super::{BoxFuture, Memory};

/// What is reserved for reading at least, so that small frames come many at a time.
const READ_BYTES: usize = 16 << 10;

/// More segments than this are not handed to the system in one call.
const SEGMENTS_MAX: usize = 64;

/// A frame without its length, and the memory that is held for it.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) bytes: Bytes,
    pub(super) room: Permit,
}

/// Cuts what is read into frames. A frame is read when there is room for it.
pub(super) struct Reader {
    buffer: BytesMut,
    memory: Arc<Memory>,
    /// For the frame at the start of the buffer, once its length is known.
    room: Option<Permit>,
    /// The place in the queue for it, which is kept whatever else is done meanwhile.
    waiting: Option<BoxFuture<Result<Permit, OverLimit>>>,
}

impl Reader {
    pub(super) fn new(memory: Arc<Memory>) -> Self {
        Self { buffer: BytesMut::new(), memory, room: None, waiting: None }
    }

    /// The next frame, which may be so long; none if the stream ended between two frames. Cancel-safe.
    pub(super) async fn next(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        bytes_max: usize,
    ) -> io::Result<Option<Frame>> {
        loop {
            if let Some(length) = self.declared() {
                let room = match self.room.take() {
                    Some(room) => room,
                    None => self.room_for(length, bytes_max).await.map_err(too_long)?,
                };
                if self.buffer.len() >= 4 + length {
                    self.buffer.advance(4);
                    return Ok(Some(Frame { bytes: self.buffer.split_to(length).freeze(), room }));
                }
                self.room = Some(room);
                self.make_room(4 + length);
            }
            self.buffer.reserve(READ_BYTES.saturating_sub(self.buffer.len()).max(1));
            if from.read_buf(&mut self.buffer).await? == 0 {
                let clean = self.buffer.is_empty();
                return if clean { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    async fn room_for(&mut self, length: usize, bytes_max: usize) -> Result<Permit, OverLimit> {
        if length > bytes_max {
            return Err(OverLimit { limit: "bytes of the answer", max: bytes_max, asked: length });
        }
        if self.waiting.is_none()
            && let Some(room) = self.memory.room_now(length)
        {
            return Ok(room);
        }
        let memory = &self.memory;
        let waiting = self.waiting.get_or_insert_with(|| {
            let memory = memory.clone();
            Box::pin(async move { memory.room(length).await })
        });
        let room = waiting.await;
        self.waiting = None;
        room
    }

    /// The length of the frame at the start of the buffer. A negative one comes out as a very large one.
    fn declared(&self) -> Option<usize> {
        let bytes = self.buffer.get(..4)?;
        Some(u32::from_be_bytes(bytes.try_into().expect("the slice has four bytes")) as usize)
    }

    /// Makes the room that was taken: a long frame gets exactly what it needs.
    fn make_room(&mut self, whole: usize) {
        if whole > self.buffer.capacity().max(READ_BYTES) {
            let mut own = BytesMut::with_capacity(whole);
            own.extend_from_slice(&self.buffer);
            self.buffer = own;
        }
    }
}

fn too_long(over: OverLimit) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, over)
}

/// Gathers segments and writes them, many at a time.
#[derive(Debug, Default)]
pub(super) struct Writer {
    segments: VecDeque<Bytes>,
    length: usize,
    unflushed: bool,
}

impl Writer {
    pub(super) fn push(&mut self, segments: Vec<Bytes>) {
        self.length += segments.iter().map(Bytes::len).sum::<usize>();
        self.segments.extend(segments.into_iter().filter(|segment| !segment.is_empty()));
    }

    /// How many bytes have not been handed over.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Whether there is anything to write or to flush.
    pub(super) fn is_idle(&self) -> bool {
        self.segments.is_empty() && !self.unflushed
    }

    /// Writes some of it, or flushes once all is written; returns how many bytes were taken. Cancel-safe.
    pub(super) async fn write(&mut self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<usize> {
        if self.segments.is_empty() {
            to.flush().await?;
            self.unflushed = false;
            return Ok(0);
        }
        let mut slices = [IoSlice::new(&[]); SEGMENTS_MAX];
        let count = self.segments.len().min(SEGMENTS_MAX);
        for (slice, segment) in slices.iter_mut().zip(&self.segments) {
            *slice = IoSlice::new(segment);
        }
        let written = to.write_vectored(&slices[..count]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.unflushed = true;
        self.forget(written);
        Ok(written)
    }

    fn forget(&mut self, mut written: usize) {
        self.length -= written;
        while let Some(first) = self.segments.front_mut() {
            if first.len() > written {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.segments.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reader(memory_bytes: usize) -> Reader {
        Reader::new(Arc::new(Memory::new(memory_bytes)))
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_be_bytes(), body].concat()
    }

    #[tokio::test]
    async fn frames_are_cut_wherever_the_stream_tears() {
        let bodies = [vec![1; 3], Vec::new(), vec![2; 200_000], vec![3; 5]];
        let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
        for piece in [1 << 10, 4096, 65_537, 1 << 20] {
            let (mut near, mut far) = tokio::io::duplex(piece);
            let sent = stream.clone();
            let writing = tokio::spawn(async move { near.write_all(&sent).await.expect("the pipe is open") });
            let mut reader = reader(1 << 20);
            for body in &bodies {
                let frame =
                    reader.next(&mut far, 1 << 20).await.expect("a whole frame").expect("not the end");
                assert_eq!(frame.bytes, body, "pieces of {piece}");
                assert_eq!(frame.room.bytes(), body.len());
            }
            writing.await.expect("all was written");
            assert!(reader.next(&mut far, 1 << 20).await.expect("a clean end").is_none());
        }
    }

    #[tokio::test]
    async fn a_frame_longer_than_allowed_or_than_there_is_memory_for_ends_the_connection() {
        for (memory, bytes_max, sent, what) in [
            (100, 9, framed(&[0; 10]), "bytes of the answer would be 10, the limit is 9"),
            (12, 100, framed(&[0; 10]), "memory for answers would be 10, the limit is 9"),
            (100, 100, vec![0xff; 8], "bytes of the answer would be 4294967295, the limit is 100"),
        ] {
            let error = reader(memory).next(&mut &sent[..], bytes_max).await.expect_err("too long");
            assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::InvalidData, what));
        }
    }

    #[tokio::test]
    async fn a_frame_waits_until_another_was_let_go() {
        let memory = Arc::new(Memory::new(20));
        let (mut one, mut other) = (Reader::new(memory.clone()), Reader::new(memory.clone()));
        let sent = framed(&[0; 10]);
        let first = one.next(&mut &sent[..], 100).await.expect("there is room").expect("a frame");
        let second = tokio::spawn(async move {
            let second = other.next(&mut &sent[..], 100).await;
            second.expect("there is room again").expect("a frame").bytes.len()
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert_eq!(second.await.expect("it was read"), 10);
        assert_eq!((memory.usage().used, memory.usage().peak), (0, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_room_keeps_its_place_while_other_things_are_done() {
        let memory = Arc::new(Memory::new(20));
        let sent = framed(&[0; 10]);
        let [mut one, mut two, mut three] = [(); 3].map(|()| Reader::new(memory.clone()));
        let first = one.next(&mut &sent[..], 100).await.expect("there is room").expect("a frame");
        let mut rest = &sent[..];
        tokio::select! {
            biased;
            _ = two.next(&mut rest, 100) => panic!("there is no room"),
            () = tokio::task::yield_now() => (),
        }
        let later = sent.clone();
        let third = tokio::spawn(async move { three.next(&mut &later[..], 100).await });
        tokio::task::yield_now().await;
        drop(first);
        let second = tokio::time::timeout(Duration::from_secs(1), two.next(&mut rest, 100)).await;
        let second = second.expect("it came first").expect("there is room").expect("a frame");
        assert!(!third.is_finished(), "{} bytes were given away twice", second.bytes.len());
        third.abort();
    }

    #[tokio::test]
    async fn a_read_that_is_given_up_keeps_its_room_and_loses_no_byte() {
        let mut reader = reader(100);
        let (mut near, mut far) = tokio::io::duplex(100);
        let sent = framed(&[7; 50]);
        near.write_all(&sent[..20]).await.expect("the pipe is open");
        tokio::select! {
            biased;
            _ = reader.next(&mut far, 100) => panic!("more is to come"),
            () = tokio::task::yield_now() => (),
        }
        assert_eq!(reader.memory.usage().used, 50);
        near.write_all(&sent[20..]).await.expect("the pipe is open");
        let frame = reader.next(&mut far, 100).await.expect("a whole frame").expect("not the end");
        assert_eq!(frame.bytes, vec![7; 50]);
    }

    #[tokio::test]
    async fn segments_leave_in_order_through_a_narrow_pipe() {
        let segments: Vec<Bytes> = (0..200_u8).map(|n| Bytes::from(vec![n; n as usize])).collect();
        let whole: Vec<u8> = segments.concat();
        let (mut near, mut far) = tokio::io::duplex(100);
        let reading = tokio::spawn(async move {
            let mut read = Vec::new();
            far.read_to_end(&mut read).await.expect("the pipe is open");
            read
        });
        let mut writer = Writer::default();
        writer.push(segments);
        assert_eq!(writer.len(), whole.len());
        while !writer.is_idle() {
            writer.write(&mut near).await.expect("the pipe is open");
        }
        drop(near);
        assert_eq!(reading.await.expect("all was read"), whole);
        assert_eq!(writer.len(), 0);
    }
}
