//! Frames over a stream: what is read is cut at its lengths, what is written leaves in as few calls as it can.
//! Both sides may be dropped between any two calls without losing a byte.

use std::{collections::VecDeque, io, io::IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What is reserved for reading at least, so that small frames come many at a time.
const READ_BYTES: usize = 16 << 10;

/// A declared length is believed this far at once, which spares large frames a copy; beyond, only as bytes arrive.
const BELIEVED_BYTES: usize = 4 << 20;

/// More segments than this are not handed to the system in one call.
const SEGMENTS_MAX: usize = 64;

/// Cuts what is read into frames.
#[derive(Debug)]
pub(super) struct Reader {
    buffer: BytesMut,
    frame_bytes_max: usize,
}

impl Reader {
    pub(super) fn new(frame_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), frame_bytes_max }
    }

    /// The next frame without its length; none if the stream ended between two frames. Cancel-safe.
    pub(super) async fn next(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(frame) = self.cut()? {
                return Ok(Some(frame));
            }
            self.reserve();
            if from.read_buf(&mut self.buffer).await? == 0 {
                let clean = self.buffer.is_empty();
                return if clean { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    fn cut(&mut self) -> io::Result<Option<Bytes>> {
        let Some(length) = self.declared() else { return Ok(None) };
        if length > self.frame_bytes_max {
            let what =
                format!("a frame of {length} bytes is larger than the {} allowed", self.frame_bytes_max);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// The length of the frame at the start of the buffer. A negative one comes out as a very large one.
    fn declared(&self) -> Option<usize> {
        let bytes = self.buffer.get(..4)?;
        Some(u32::from_be_bytes(bytes.try_into().expect("the slice has four bytes")) as usize)
    }

    /// Makes room for more, no further than the frame goes.
    fn reserve(&mut self) {
        let missing = self.declared().map_or(0, |length| (4 + length).saturating_sub(self.buffer.len()));
        self.buffer.reserve(missing.clamp(READ_BYTES, self.buffer.len().max(BELIEVED_BYTES)));
    }
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
    use super::*;

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
            let mut reader = Reader::new(1 << 20);
            for body in &bodies {
                let frame = reader.next(&mut far).await.expect("a whole frame").expect("not the end");
                assert_eq!(frame, body, "pieces of {piece}");
            }
            writing.await.expect("all was written");
            assert_eq!(reader.next(&mut far).await.expect("a clean end"), None);
        }
    }

    #[tokio::test]
    async fn a_lying_length_costs_no_memory() {
        let mut reader = Reader::new(usize::MAX);
        let stream = framed(&[0; 10]).into_iter().take(8).collect::<Vec<_>>();
        let lying = [&0x7fff_ffff_u32.to_be_bytes()[..], &stream].concat();
        let error = reader.next(&mut &lying[..]).await.expect_err("the stream ends within the frame");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(reader.buffer.capacity() <= 2 * BELIEVED_BYTES);
    }

    #[tokio::test]
    async fn a_frame_beyond_the_cap_ends_the_connection() {
        let error = Reader::new(9).next(&mut &framed(&[0; 10])[..]).await.expect_err("too large");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = Reader::new(9).next(&mut &[0xff; 8][..]).await.expect_err("a negative length");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
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
