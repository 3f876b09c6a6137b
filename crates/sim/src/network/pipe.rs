//! One pipe: what is written at an end arrives at the other later, in order, as long as the pipe is whole.
//!
//! After a cut the client knows nothing more, but what it wrote before may still reach the broker, as on TCP: a request
//! is then carried out by a broker whose client has long gone on with another connection.

use std::{collections::VecDeque, io};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    sync::watch,
    time::{Instant, sleep_until},
};
use vltava_core::Rng;

use super::{Route, Step, Trace, Way, micros, trace};

/// How much is taken at once, and so where a frame may be cut.
const CHUNK_BYTES: usize = 1500;

/// How many chunks are on their way at most, in one direction.
const CHUNKS_MAX: usize = 64;

/// How it is with a pipe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition {
    pub(super) cut: Cut,
    pub(super) up: Flow,
    pub(super) down: Flow,
    pub(super) route: Route,
    /// The client has closed its end, whoever else knows.
    pub(super) is_left: bool,
}

/// What becomes of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cut {
    /// It goes on.
    Not,
    /// The client's end is gone; what is on its way to the broker arrives.
    Late,
    /// All is gone.
    Now,
}

/// What becomes of bytes that are sent one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// They arrive.
    Open,
    /// They are gone, from some moment on and for ever, and so is any word of the other end.
    Lost,
}

impl Condition {
    fn new(route: Route) -> Self {
        Self { cut: Cut::Not, up: Flow::Open, down: Flow::Open, route, is_left: false }
    }

    fn flow(&self, way: Way) -> Flow {
        match way {
            Way::Up => self.up,
            Way::Down => self.down,
        }
    }
}

/// Where it is told how it is with a pipe. Each direction hears it on its own, as one channel would wake the two in an
/// order that is by chance.
#[derive(Clone)]
pub(super) struct Control {
    up: watch::Sender<Condition>,
    down: watch::Sender<Condition>,
}

impl Control {
    pub(super) fn new(route: Route) -> Self {
        let condition = Condition::new(route);
        Self { up: watch::Sender::new(condition), down: watch::Sender::new(condition) }
    }

    /// Tells both directions of a change.
    pub(super) fn change(&self, change: impl FnOnce(&mut Condition)) {
        let mut condition = *self.up.borrow();
        change(&mut condition);
        self.up.send_replace(condition);
        self.down.send_replace(condition);
    }

    /// Whether anything is still carried.
    pub(super) fn is_in_use(&self) -> bool {
        self.up.receiver_count() + self.down.receiver_count() > 0
    }

    /// Whether its client still has it.
    pub(super) fn is_held(&self) -> bool {
        self.up.receiver_count() > 0 && !self.up.borrow().is_left
    }

    fn listen(&self, way: Way) -> watch::Receiver<Condition> {
        match way {
            Way::Up => self.up.subscribe(),
            Way::Down => self.down.subscribe(),
        }
    }
}

/// A pipe that is about to carry.
pub(super) struct Pipe {
    pub(super) number: u64,
    pub(super) control: Control,
    pub(super) rng: Rng,
    pub(super) trace: Trace,
}

impl Pipe {
    /// Carries both ways, in a task for each, until the pipe is cut or closed.
    pub(super) fn carry(mut self, client: DuplexStream, broker: DuplexStream) {
        let (client_reads, client_writes) = tokio::io::split(client);
        let (broker_reads, broker_writes) = tokio::io::split(broker);
        for (way, from, to) in
            [(Way::Up, client_reads, broker_writes), (Way::Down, broker_reads, client_writes)]
        {
            let direction = Direction {
                number: self.number,
                way,
                from: Some(from),
                to,
                on_the_way: VecDeque::new(),
                arrived: Instant::now(),
                rng: Rng::new(self.rng.bits()),
                trace: self.trace.clone(),
            };
            let changes = self.control.listen(way);
            tokio::spawn(direction.run(self.control.clone(), changes));
        }
    }
}

/// One direction of a pipe.
struct Direction {
    number: u64,
    way: Way,
    /// None once its writer has closed it, or the pipe is cut.
    from: Option<ReadHalf<DuplexStream>>,
    to: WriteHalf<DuplexStream>,
    on_the_way: VecDeque<(Instant, Bytes)>,
    /// When the latest bytes arrived.
    arrived: Instant,
    rng: Rng,
    trace: Trace,
}

impl Direction {
    async fn run(mut self, control: Control, mut changes: watch::Receiver<Condition>) {
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            let latest = *changes.borrow_and_update();
            let Some(now) = self.look(latest, &control) else { break };
            let takes = self.from.is_some() && self.on_the_way.len() < CHUNKS_MAX;
            let next = self.on_the_way.front().filter(|_| now.route.passes).cloned();
            let due = next.as_ref().map(|(due, _)| (*due).max(self.arrived + now.route.pace.every));
            tokio::select! {
                biased;
                // This direction has a sender itself.
                _ = changes.changed() => (),
                wrote = bring(&mut self.to, next, due, now.route.pace.bytes), if due.is_some() => self.brought(wrote),
                read = take(&mut self.from, &mut chunk), if takes => self.took(read, &chunk, now),
            }
        }
        self.trace.note(self.number, Step::Ended(self.way));
    }

    /// Looks what is to be done about a condition; none if nothing more is carried.
    fn look(&mut self, now: Condition, control: &Control) -> Option<Condition> {
        let is_lost = now.flow(self.way) == Flow::Lost;
        if is_lost {
            self.swallow();
        }
        if self.way == Way::Up && self.from.is_none() && !now.is_left {
            control.change(|it| it.is_left = true);
        }
        let is_over = match (self.way, now.cut) {
            (_, Cut::Now) | (Way::Down, Cut::Late) => true,
            (Way::Up, Cut::Late) => {
                self.from = None;
                !is_lost && self.on_the_way.is_empty()
            }
            (_, Cut::Not) => false,
        };
        if is_over {
            return None;
        }
        // A client that closes has all it wrote delivered; a broker that closes is gone.
        let word = if self.way == Way::Up { Cut::Late } else { Cut::Now };
        if self.from.is_none() && !is_lost && now.cut == Cut::Not && (self.way == Way::Up || now.route.passes)
        {
            control.change(|it| it.cut = it.cut.max(word));
            return self.look(Condition { cut: word, ..now }, control);
        }
        Some(now)
    }

    fn took(&mut self, read: io::Result<usize>, chunk: &[u8], now: Condition) {
        let Ok(count @ 1..) = read else {
            self.from = None;
            return;
        };
        let delay = std::time::Duration::from_micros(self.rng.below(1 + micros(now.route.delay_most)));
        let before = self.on_the_way.back().map_or(Instant::now(), |(due, _)| *due);
        let due = before.max(Instant::now() + delay);
        self.on_the_way.push_back((due, Bytes::copy_from_slice(&chunk[..count])));
    }

    fn brought(&mut self, wrote: io::Result<usize>) {
        let (Some((_, bytes)), Ok(count)) = (self.on_the_way.front_mut(), wrote) else {
            // The reader is gone, and will say so the other way.
            self.on_the_way.clear();
            return;
        };
        self.trace.note(self.number, Step::Carried(self.way, trace::Bytes::of(&bytes[..count])));
        bytes.advance(count);
        self.arrived = Instant::now();
        if bytes.is_empty() {
            self.on_the_way.pop_front();
        }
    }

    fn swallow(&mut self) {
        for (_, bytes) in self.on_the_way.drain(..) {
            self.trace.note(self.number, Step::Swallowed(self.way, trace::Bytes::of(&bytes)));
        }
    }
}

async fn take(from: &mut Option<ReadHalf<DuplexStream>>, chunk: &mut [u8]) -> io::Result<usize> {
    match from {
        Some(from) => from.read(chunk).await,
        None => std::future::pending().await,
    }
}

/// Writes some of what is next, once it is due. Cancelled before, it has written nothing.
async fn bring(
    to: &mut WriteHalf<DuplexStream>,
    next: Option<(Instant, Bytes)>,
    due: Option<Instant>,
    most: usize,
) -> io::Result<usize> {
    let (Some((_, bytes)), Some(due)) = (next, due) else { return std::future::pending().await };
    sleep_until(due).await;
    to.write(&bytes[..bytes.len().min(most)]).await
}
