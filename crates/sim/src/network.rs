//! Pipes between clients and the broker: what is written arrives later, in order, until the pipe is cut.
//!
//! After a cut the client knows nothing more, but what it wrote before may still reach the broker, as on TCP: a
//! request is then carried out by a broker whose client has long gone on with another connection.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use vltava_broker::Connector;
use vltava_client::{Address, BoxFuture, Dial, Stream};
use vltava_core::Rng;

/// What a pipe holds before its writer has to wait.
const PIPE_BYTES: usize = 64 << 10;

/// How much is carried at once, and so where a frame may be cut.
const CHUNK_BYTES: usize = 1500;

/// How many chunks are on their way at most.
const CHUNKS_MAX: usize = 64;

/// All pipes to one broker. A clone is the same network.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

struct State {
    rng: Rng,
    broker: Option<Connector>,
    links: Vec<watch::Sender<Cut>>,
    delay_most: Duration,
}

/// What becomes of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// It goes on.
    Not,
    /// The client's end is gone; what is on its way to the broker arrives.
    Late,
    /// All is gone.
    Now,
}

impl Network {
    /// A network without a broker.
    pub fn new(rng: Rng) -> Self {
        let delay_most = Duration::from_millis(10);
        Self(Arc::new(Mutex::new(State { rng, broker: None, links: Vec::new(), delay_most })))
    }

    /// From now on, this broker is the one that is reached.
    pub fn attach(&self, broker: Connector) {
        self.lock().broker = Some(broker);
    }

    /// From now on, nobody is reached, and every pipe is cut.
    pub fn detach(&self) {
        let mut state = self.lock();
        state.broker = None;
        for link in state.links.drain(..) {
            link.send_replace(Cut::Now);
        }
    }

    /// Cuts some of the pipes, one way or the other.
    pub fn cut_some(&self) {
        let mut state = self.lock();
        let State { rng, links, .. } = &mut *state;
        links.retain(|it| it.receiver_count() > 0);
        for link in links {
            if rng.chance(40) {
                link.send_replace(if rng.chance(50) { Cut::Late } else { Cut::Now });
            }
        }
    }

    /// The way to the broker. Whatever address is asked for, it leads there.
    pub fn dial(&self) -> Arc<dyn Dial> {
        Arc::new(Pipes(self.clone()))
    }

    fn connect(&self) -> io::Result<DuplexStream> {
        let mut state = self.lock();
        let broker = state.broker.as_ref().ok_or(io::ErrorKind::ConnectionRefused)?.connect()?;
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let (cut, _) = watch::channel(Cut::Not);
        let link = Link { cut: cut.clone(), rng: Rng::new(state.rng.bits()), delay_most: state.delay_most };
        state.links.push(cut);
        link.carry(theirs, broker);
        Ok(ours)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics with this lock")
    }
}

struct Pipes(Network);

impl Dial for Pipes {
    fn dial(&self, _: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let network = self.0.clone();
        Box::pin(async move {
            sleep(Duration::from_millis(1)).await;
            Ok(Box::new(network.connect()?) as Box<dyn Stream>)
        })
    }
}

/// One pipe.
struct Link {
    cut: watch::Sender<Cut>,
    rng: Rng,
    delay_most: Duration,
}

type Chunk = (Instant, Bytes);

impl Link {
    fn carry(mut self, client: DuplexStream, broker: DuplexStream) {
        let (client_reads, client_writes) = tokio::io::split(client);
        let (broker_reads, broker_writes) = tokio::io::split(broker);
        let (up, upwards) = mpsc::channel(CHUNKS_MAX);
        let (down, downwards) = mpsc::channel(CHUNKS_MAX);
        let (rng_up, rng_down) = (Rng::new(self.rng.bits()), Rng::new(self.rng.bits()));
        let most = self.delay_most;
        // A client that closes has all it wrote delivered; a broker that closes is gone.
        tokio::spawn(take(client_reads, up, rng_up, most, self.cut.clone(), Cut::Late));
        tokio::spawn(take(broker_reads, down, rng_down, most, self.cut.clone(), Cut::Now));
        tokio::spawn(bring(upwards, broker_writes, self.cut.subscribe(), Cut::Now));
        tokio::spawn(bring(downwards, client_writes, self.cut.subscribe(), Cut::Late));
    }
}

/// Takes what is written at one end and says when it is to arrive at the other; ends with any cut. When its end is
/// closed, the pipe is cut in this way.
async fn take(
    mut from: ReadHalf<DuplexStream>,
    to: mpsc::Sender<Chunk>,
    mut rng: Rng,
    delay_most: Duration,
    cut: watch::Sender<Cut>,
    when_closed: Cut,
) {
    let mut is_cut = cut.subscribe();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut due = Instant::now();
    loop {
        let read = tokio::select! {
            biased;
            _ = is_cut.wait_for(|it| *it != Cut::Not) => return,
            read = from.read(&mut chunk) => read,
        };
        let Ok(bytes @ 1..) = read else { break };
        let delay = Duration::from_micros(rng.below(1 + delay_most.as_micros() as u64));
        due = due.max(Instant::now() + delay);
        if to.send((due, Bytes::copy_from_slice(&chunk[..bytes]))).await.is_err() {
            break;
        }
    }
    cut.send_if_modified(|it| {
        let was_open = *it == Cut::Not;
        if was_open {
            *it = when_closed;
        }
        was_open
    });
}

/// Brings chunks when they are due, until the pipe is cut in this way or worse, or there are no more.
async fn bring(
    mut from: mpsc::Receiver<Chunk>,
    mut to: WriteHalf<DuplexStream>,
    mut cut: watch::Receiver<Cut>,
    ends_with: Cut,
) {
    let carry = async {
        while let Some((due, bytes)) = from.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let is_over = |it: &Cut| *it == Cut::Now || *it == ends_with;
    tokio::select! {
        biased;
        _ = cut.wait_for(is_over) => {}
        () = carry => {}
    }
}
