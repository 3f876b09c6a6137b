//! One connection: frames in, replies out, in the order of the requests.
//!
//! Requests take effect as they arrive; a reply leaves when what it promises is settled, and the connection reads
//! on meanwhile. A frame is read only when there is room for it, see `memory`; until then the connection does not
//! read, and the peer has to wait.

use std::{
    collections::VecDeque, convert::Infallible, fmt, future::pending, io, pin::pin, sync::Arc, time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
};
use vltava_core::session::{NotAdmitted, Standing, admit};
use vltava_wire::{Api, Encoder, OverLimit};

use crate::{
    call::Peer,
    dispatch::{self, Dispatched, Refusal, Reply},
    faults::{self, Way},
    gate::Guest,
    memory::Share,
    node::Node,
};

/// Requests that were read and not yet answered; a peer that sends more waits.
const IN_FLIGHT_MAX: usize = 32;

/// After a request or a reply of this size, all that waits must leave before another request is read, so that a
/// peer that does not read its replies costs little.
const LARGE_BYTES: usize = 64 << 10;

/// Room for what may come on a connection that waits for a request.
const READ_BYTES: usize = 4 << 10;

/// Room for requests that fit: many small ones are read at once. A longer one gets room of its own.
const FRAME_READ_BYTES: usize = 16 << 10;

/// A frame that has begun must go on, however long it is: so much of it must arrive …
const FRAME_STEP_BYTES: usize = 64 << 10;

/// … in each such time. Slow networks bring as much, and are not silent for longer.
const FRAME_STEP_TIME: Duration = Duration::from_secs(10);

/// A peer that takes nothing of a reply for so long is taken for gone: clients wait no longer for an answer, unless
/// told otherwise.
const WRITE_TIME_MAX: Duration = Duration::from_secs(30);

/// A connection on which nothing was asked for so long, and nothing is owed, is closed, as Kafka's
/// `connections.max.idle.ms` has it. One that was owed something then is looked at again after as long.
const IDLE_TIME_MAX: Duration = Duration::from_secs(600);

/// The length, and what every request header starts with: key, version and correlation id.
const START_BYTES: usize = 12;

/// Bytes of a frame's length itself.
const LENGTH_BYTES: usize = 4;

/// Segments handed to one vectored write.
const SEGMENTS_MAX: usize = 64;

/// A peer that has sent its last request gets what it asked for before, if it takes no longer than this: a sync takes
/// less.
const REPLIES_TIME_MAX: Duration = Duration::from_secs(5);

/// Serves a connection until its end, the peer's first mistake, or the broker's stop.
pub(crate) async fn serve<S>(guest: Guest, stream: S, node: Arc<Node>, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Send,
{
    let end = tokio::select! {
        biased;
        () = guest.closed() => Ok(()),
        end = converse(stream, &node, &peer) => end,
    };
    match end {
        Ok(()) | Err(End::Io(_) | End::Fault) => (),
        Err(reason) => node.refused(&peer.host, &reason),
    }
}

/// How a connection ends, other than well.
#[derive(Debug)]
enum End {
    Io(io::Error),
    Cut {
        missing: usize,
    },
    TooShort(i32),
    NotAdmitted(NotAdmitted),
    NoRoom(OverLimit),
    TooSlow {
        api: Api,
        length: usize,
    },
    NotTaken,
    NoApi(i16),
    Refused(Refusal),
    /// Somebody wanted it to.
    Fault,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Cut { missing } => write!(f, "the peer left {missing} bytes before the end of a request"),
            Self::TooShort(length) => write!(f, "a request cannot be {length} bytes long"),
            Self::NotAdmitted(reason) => write!(f, "{reason}"),
            Self::NoRoom(over) => write!(f, "no room for it: {over}"),
            Self::TooSlow { api, length } => {
                let pace = format!("{FRAME_STEP_BYTES} bytes in {FRAME_STEP_TIME:?}");
                write!(f, "a {api:?} request of {length} bytes came slower than {pace}")
            }
            Self::NotTaken => write!(f, "the peer took nothing of a reply for {WRITE_TIME_MAX:?}"),
            Self::NoApi(key) => write!(f, "API {key} is not served, or this is not the Kafka protocol"),
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::Fault => f.write_str("a fault cut the connection"),
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A reply in the queue, and what counts it until it is written.
struct Owed {
    reply: Reply,
    _until_written: Arc<()>,
    /// What a fault has happen to it.
    way_back: Way,
    /// Tells a reader that is to rest after it.
    _rest_from: Option<oneshot::Sender<Infallible>>,
}

/// A request that took effect.
struct Done {
    reply: Option<Reply>,
    way_back: Way,
    /// How long not to read on after the reply.
    rest: Option<Duration>,
    /// Whether nothing arrives after it.
    is_last: bool,
}

impl Done {
    /// A reply to which no fault happens.
    fn well(reply: Option<Reply>) -> Self {
        Self { reply, way_back: Way::default(), rest: None, is_last: false }
    }
}

/// Reads and writes until there is nothing more to read, and then writes what is still owed.
async fn converse(stream: impl AsyncRead + AsyncWrite, node: &Arc<Node>, peer: &Peer) -> Result<(), End> {
    let share = node.memory.share().map_err(End::NoRoom)?;
    let (reader, writer) = tokio::io::split(stream);
    let (queue, replies) = mpsc::channel(IN_FLIGHT_MAX);
    let (reading, read_to_the_end) = oneshot::channel();
    let mut writing = pin!(write(node, writer, replies, read_to_the_end));
    let end = tokio::select! {
        biased;
        end = &mut writing => return end,
        end = read(reader, queue, node, peer, &share) => end,
    };
    drop(reading);
    // The requests before the end took effect. Why there are no more is what there is to report in any case.
    tokio::select! {
        biased;
        _ = writing => (),
        () = node.clock.sleep_until(node.clock.now() + REPLIES_TIME_MAX) => (),
    }
    end
}

async fn read(
    reader: impl AsyncRead + Unpin,
    queue: mpsc::Sender<Owed>,
    node: &Arc<Node>,
    peer: &Peer,
    share: &Share,
) -> Result<(), End> {
    let mut frames = Frames { reader, buffer: BytesMut::new() };
    let owed = Arc::new(());
    while let Some((api, length)) = next_start(node, &mut frames, &owed).await? {
        // The place in the queue comes first: a request takes effect only when its reply may be kept, and until
        // then takes up no memory that others may need.
        let Ok(place) = queue.reserve().await else { return Ok(()) };
        if api == Api::Produce {
            node.log.room().await;
        }
        let room = match share.frame(length) {
            Some(room) => room,
            None => node.memory.frame(length).await.map_err(End::NoRoom)?,
        };
        let frame = in_time(node, api, length, &mut frames).await?;
        // The log has copied what it was sent; of other requests something may be kept until they are answered.
        let is_large_request = api != Api::Produce && frame.len() >= LARGE_BYTES;
        let dispatched = dispatch(node, peer, share, frame).await?;
        let done = carry_out(node, dispatched).await?;
        // Whoever keeps bytes of a request has copied them.
        drop(room);
        let Done { reply, way_back, rest, is_last } = done;
        let (rest_from, written) = rest.map(|_| oneshot::channel()).unzip();
        let is_large_reply = matches!(&reply, Some(Reply::Now(frame)) if frame.len() >= LARGE_BYTES);
        if let Some(reply) = reply {
            place.send(Owed { reply, _until_written: owed.clone(), way_back, _rest_from: rest_from });
        } else {
            // There is no reply to rest after.
            drop(rest_from);
        }
        if is_last {
            return forget(node, &mut frames).await;
        }
        if let (Some(time), Some(written)) = (rest, written) {
            frames.rest(node, written, time).await?;
        }
        if (is_large_request || is_large_reply) && queue.reserve_many(IN_FLIGHT_MAX).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Waits for the start of a frame; none comes on a connection that is idle for too long.
async fn next_start(
    node: &Node,
    frames: &mut Frames<impl AsyncRead + Unpin>,
    owed: &Arc<()>,
) -> Result<Option<(Api, usize)>, End> {
    loop {
        tokio::select! {
            biased;
            start = frames.start() => return start,
            () = after(node, IDLE_TIME_MAX) => if Arc::strong_count(owed) == 1 { return Ok(None) },
        }
    }
}

/// Waits for a frame as long as it goes on.
async fn in_time(
    node: &Node,
    api: Api,
    length: usize,
    frames: &mut Frames<impl AsyncRead + Unpin>,
) -> Result<Bytes, End> {
    let whole = LENGTH_BYTES + length;
    frames.make_room(whole);
    while frames.buffer.len() < whole {
        let step = whole.min(frames.buffer.len() + FRAME_STEP_BYTES);
        tokio::select! {
            biased;
            filled = frames.fill(step, FRAME_READ_BYTES) => { filled?; }
            () = after(node, FRAME_STEP_TIME) => return Err(End::TooSlow { api, length }),
        }
    }
    Ok(frames.cut(whole))
}

/// Asks for the time only when it is waited for.
async fn after(node: &Node, time: Duration) {
    node.clock.sleep_until(node.clock.now() + time).await;
}

/// Has a request take effect: in the connection's own memory, or if that is too little, in that of all.
async fn dispatch<'a>(
    node: &'a Arc<Node>,
    peer: &'a Peer,
    share: &Share,
    frame: Bytes,
) -> Result<Dispatched<'a>, End> {
    let mut dispatched = dispatch::dispatch(node, peer, frame.clone(), share.request());
    for room in node.memory.rooms() {
        match dispatched {
            Err(refusal) if refusal.is_over_budget() => (),
            dispatched => return dispatched.map_err(End::Refused),
        }
        dispatched = dispatch::dispatch(node, peer, frame.clone(), room.await);
    }
    dispatched.map_err(End::Refused)
}

/// Has a request take effect that a fault held up, if it arrives at all.
async fn carry_out(node: &Node, dispatched: Dispatched<'_>) -> Result<Done, End> {
    let struck = match dispatched {
        Dispatched::Done(reply) => return Ok(Done::well(reply)),
        Dispatched::Struck(struck) => struck,
    };
    if let Some(delay) = struck.way_there.delay {
        after(node, delay).await;
    }
    match struck.way_there.end {
        None => {
            faults::move_leaders(node, struck.leaders).await;
            let reply = (struck.act)().map_err(End::Refused)?;
            Ok(Done { reply, way_back: struck.way_back, rest: struck.rest, is_last: false })
        }
        Some(faults::End::Silence) => Ok(Done { is_last: true, ..Done::well(None) }),
        // What is owed before is still written: the cut waits for its turn, as an empty reply.
        Some(end @ faults::End::Cut(_)) => {
            let way_back = Way { delay: None, end: Some(end) };
            Ok(Done { way_back, is_last: true, ..Done::well(Some(Reply::Now(Encoder::default()))) })
        }
    }
}

/// Reads what comes and lets it go, until nothing comes any more.
async fn forget(node: &Node, frames: &mut Frames<impl AsyncRead + Unpin>) -> Result<(), End> {
    loop {
        frames.buffer.clear();
        frames.buffer.reserve(READ_BYTES);
        tokio::select! {
            biased;
            read = frames.reader.read_buf(&mut frames.buffer) => if read? == 0 { return Ok(()) },
            () = after(node, IDLE_TIME_MAX) => return Ok(()),
        }
    }
}

/// Writes replies in their order. After the last request nobody is known to be there, so that the first reply which
/// still waits for others is the end: a group must not count on who may have gone.
async fn write(
    node: &Node,
    mut writer: impl AsyncWrite + Unpin,
    mut replies: mpsc::Receiver<Owed>,
    mut read_to_the_end: oneshot::Receiver<Infallible>,
) -> Result<(), End> {
    let mut is_silent = false;
    while let Some(owed) = replies.recv().await {
        let frame = match owed.reply {
            Reply::Now(frame) => frame,
            Reply::Later(frame) => frame.await.map_err(End::Refused)?,
            Reply::Parked(frame) => tokio::select! {
                biased;
                frame = frame => frame.map_err(End::Refused)?,
                _ = &mut read_to_the_end => return Ok(()),
            },
        };
        if let Some(delay) = owed.way_back.delay {
            after(node, delay).await;
        }
        let end = owed.way_back.end;
        is_silent |= end == Some(faults::End::Silence);
        if !is_silent {
            let bytes_max = if let Some(faults::End::Cut(bytes)) = end { bytes } else { usize::MAX };
            write_frame(node, &mut writer, frame, bytes_max).await?;
        }
        if let Some(faults::End::Cut(_)) = end {
            return Err(End::Fault);
        }
    }
    Ok(())
}

/// Writes a frame, or its first so many bytes.
async fn write_frame(
    node: &Node,
    writer: &mut (impl AsyncWrite + Unpin),
    frame: Encoder,
    bytes_max: usize,
) -> Result<(), End> {
    let mut left = bytes_max;
    let cut = |mut segment: Bytes| {
        segment.truncate(left);
        left -= segment.len();
        segment
    };
    let segments = frame.into_segments().into_iter().map(cut);
    let mut segments: VecDeque<Bytes> = segments.filter(|segment| !segment.is_empty()).collect();
    while !segments.is_empty() {
        let slices: Vec<_> =
            segments.iter().take(SEGMENTS_MAX).map(|segment| io::IoSlice::new(segment)).collect();
        let mut written = taken(node, writer.write_vectored(&slices)).await?;
        if written == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        while let Some(first) = segments.front_mut() {
            let taken = written.min(first.len());
            let _ = first.split_to(taken);
            written -= taken;
            if !first.is_empty() {
                break;
            }
            segments.pop_front();
        }
    }
    taken(node, writer.flush()).await
}

/// Waits for a step of writing, unless the peer takes nothing.
async fn taken<T>(node: &Node, step: impl Future<Output = io::Result<T>>) -> Result<T, End> {
    tokio::select! {
        biased;
        done = step => Ok(done?),
        () = after(node, WRITE_TIME_MAX) => Err(End::NotTaken),
    }
}

/// Cuts what arrives into frames.
struct Frames<R> {
    reader: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// The next frame's API and length, once its start is there; `None` when the peer is done.
    async fn start(&mut self) -> Result<Option<(Api, usize)>, End> {
        if !self.fill(START_BYTES, READ_BYTES).await? {
            return Ok(None);
        }
        self.checked_start().map(Some)
    }

    /// Takes no frame for so long after a reply was written, with which `written` ends. Who is gone is not waited for,
    /// neither to be answered nor to have rested.
    async fn rest(
        &mut self,
        node: &Node,
        written: oneshot::Receiver<Infallible>,
        time: Duration,
    ) -> Result<(), End> {
        let rested = async {
            // Nothing is ever sent.
            let _ = written.await;
            after(node, time).await;
        };
        tokio::select! {
            biased;
            () = rested => Ok(()),
            gone = self.gone() => gone,
        }
    }

    /// Completes when the peer is done, as far as that shows before there is more than room for what may come.
    async fn gone(&mut self) -> Result<(), End> {
        while self.buffer.len() < READ_BYTES {
            self.buffer.reserve(READ_BYTES - self.buffer.len());
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(());
            }
        }
        pending().await
    }

    /// Makes room for a whole frame: a long one gets exactly what it needs.
    fn make_room(&mut self, whole: usize) {
        if whole > FRAME_READ_BYTES.max(self.buffer.capacity()) {
            let mut own = BytesMut::with_capacity(whole);
            own.extend_from_slice(&self.buffer);
            self.buffer = own;
        }
    }

    /// The frame at the start of the buffer, of which all has come, without its length.
    fn cut(&mut self, whole: usize) -> Bytes {
        let frame = self.buffer.split_to(whole).freeze();
        if self.buffer.is_empty() {
            // What is left of the room for a large frame would keep all of it.
            self.buffer = BytesMut::new();
        }
        frame.slice(LENGTH_BYTES..)
    }

    /// Reads until `wanted` bytes are there, with room for `room` bytes or as many as wanted. False if the peer is
    /// done instead, between two frames.
    async fn fill(&mut self, wanted: usize, room: usize) -> Result<bool, End> {
        while self.buffer.len() < wanted {
            let missing = wanted - self.buffer.len();
            self.buffer.reserve(missing.max(room.saturating_sub(self.buffer.len())));
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(false) } else { Err(End::Cut { missing }) };
            }
        }
        Ok(true)
    }

    /// The API of the frame whose start is in the buffer, and its length if the API allows it.
    fn checked_start(&self) -> Result<(Api, usize), End> {
        let start: [u8; 6] = self.buffer[..6].try_into().expect("the slice has six bytes");
        let [a, b, c, d, high, low] = start;
        let length = i32::from_be_bytes([a, b, c, d]);
        let key = i16::from_be_bytes([high, low]);
        let bytes = usize::try_from(length).map_err(|_| End::TooShort(length))?;
        if bytes < START_BYTES - LENGTH_BYTES {
            return Err(End::TooShort(length));
        }
        let api = dispatch::served(key).ok_or(End::NoApi(key))?;
        // Nobody needs to log in: there is no login yet.
        admit(Standing::Known, api, bytes).map_err(End::NotAdmitted)?;
        Ok((api, bytes))
    }
}
