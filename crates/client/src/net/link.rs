//! One connection: a task that owns the socket both ways. Requests go out as they come, unless the broker wants to be
//! left alone; answers find whoever waits, and when the connection breaks, or an answer is overdue, all who wait are
//! told. A connection that is not used for long is closed.

use std::{collections::VecDeque, io, marker::PhantomData, sync::Arc, time::Duration};

use tokio::{
    io::{ReadHalf, WriteHalf},
    sync::{mpsc, oneshot},
};
use tracing::debug;
use vltava_core::{
    Moment,
    planted::{Plant, planted},
    session::{Cut, Fate, Pace, Pipeline, Versions},
};
use vltava_wire::{Api, EncodeError, Encoder, Request, frame};

use super::{
    BoxFuture, Stream,
    answer::{Answer, Rest},
    frames::{Frame, Reader, Writer},
    greet,
};
use crate::{
    alarm::Alarm,
    context::Context,
    error::{Broker, Error, ErrorKind, Result},
};

/// Requests are taken over for writing while less than this waits to be written.
const WRITE_AHEAD_BYTES: usize = 256 << 10;

/// The longest answer where none is due; whatever it is, it ends the connection.
const UNASKED_BYTES_MAX: usize = 64 << 10;

/// A handle to a connection; the last one to go closes it once every answer has come.
#[derive(Clone)]
pub(crate) struct Link {
    orders: mpsc::UnboundedSender<Order>,
    context: Arc<Context>,
    broker: Arc<Broker>,
    versions: Arc<Versions>,
    rest: Arc<Rest>,
}

/// What the task is told.
pub(super) enum Order {
    Ask(Ask),
    /// An answer said for how many milliseconds the broker is to be left alone.
    Rest(i32),
}

/// A request on its way to the task.
pub(super) struct Ask {
    api: Api,
    version: i16,
    patience: Duration,
    encode: Box<dyn FnOnce(i32) -> Result<Encoder, EncodeError> + Send>,
    reply: Reply,
}

/// Who is told what became of a request.
enum Reply {
    /// What its answer is.
    Answered(oneshot::Sender<Result<Frame>>),
    /// That it is written, as it has no answer.
    Written(oneshot::Sender<Result<()>>),
}

impl Link {
    /// Opens a connection and agrees on versions, both within the connect timeout.
    pub(crate) async fn open(context: &Arc<Context>, broker: &Broker) -> Result<Self> {
        let by = context.now() + context.connection.connect_timeout;
        let opened = tokio::select! {
            biased;
            opened = greet::open(context, broker) => opened,
            () = context.clock.sleep_until(by) => {
                let what = format!("no answer within {:?}", context.connection.connect_timeout);
                Err(Error::new(ErrorKind::TimedOut).what(what))
            }
        };
        let greet::Opened { stream, reader, versions } = opened.map_err(|error| error.with(broker))?;
        context.counters.connections.add(1);
        debug!(%broker, "connected");
        let broker = Arc::new(broker.clone());
        let (orders, taken) = mpsc::unbounded_channel();
        tokio::spawn(Socket::new(stream, reader, context.clone(), broker.clone()).run(taken));
        let (context, versions) = (context.clone(), Arc::new(versions));
        Ok(Self { orders, context, broker, versions, rest: Arc::default() })
    }

    /// Whether the connection is of use: one that broke stays broken.
    pub(crate) fn is_open(&self) -> bool {
        !self.orders.is_closed()
    }

    /// Until when the broker wants to be left alone; what is sent before waits here until then.
    pub(crate) fn rests_until(&self) -> Moment {
        self.rest.until()
    }

    /// Whether both are handles to one connection.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.orders.same_channel(&other.orders)
    }

    /// The broker at the other end.
    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The version in which an API is used on this connection.
    pub(crate) fn version(&self, api: Api) -> Result<i16> {
        self.versions.of(api).map(|highest| highest.min(ceiling(api))).map_err(|none| {
            Error::new(ErrorKind::Unsupported).what(none.to_string()).because(none).with(&self.broker)
        })
    }

    /// Sends a request behind all that were sent before. If it is not answered within `patience`, the connection is
    /// given up.
    pub(crate) fn send<R: Request>(
        &self,
        build: impl FnOnce(i16) -> R,
        patience: Duration,
    ) -> Result<Answer<R>> {
        let version = self.version(R::API)?;
        Ok(self.send_in(version, build(version), patience))
    }

    /// Sends a request that brokers do not answer, and waits until it is written. If that takes longer than
    /// `patience`, the connection is given up.
    pub(crate) fn send_unanswered<R: Request>(
        &self,
        build: impl FnOnce(i16) -> R,
        patience: Duration,
    ) -> Result<BoxFuture<Result<()>>> {
        let version = self.version(R::API)?;
        let (reply, written) = oneshot::channel();
        self.order(version, build(version), patience, Reply::Written(reply));
        let (broker, context) = (self.broker.clone(), self.context.clone());
        Ok(Box::pin(async move {
            let written = written.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Disconnected)));
            written.map_err(|error| {
                context.counters.errors.add(1);
                error.with(&broker)
            })
        }))
    }

    fn send_in<R: Request>(&self, version: i16, request: R, patience: Duration) -> Answer<R> {
        let (reply, answered) = oneshot::channel();
        self.order(version, request, patience, Reply::Answered(reply));
        let (broker, context) = (self.broker.clone(), self.context.clone());
        let (orders, rest) = (self.orders.downgrade(), self.rest.clone());
        Answer { reply: answered, orders, rest, version, broker, context, request: PhantomData }
    }

    fn order<R: Request>(&self, version: i16, request: R, patience: Duration, reply: Reply) {
        let client_id = self.context.clone();
        let encode = Box::new(move |correlation_id| {
            let client_id = client_id.connection.client_id.as_str();
            frame::request(version, correlation_id, Some(client_id), &request)
        });
        self.context.counters.requests.add(1);
        // A link that broke drops the order, and with it the sender: the answer says so.
        let _ = self.orders.send(Order::Ask(Ask { api: R::API, version, patience, encode, reply }));
    }

    /// As [`send`](Self::send), in no higher version than this.
    pub(crate) fn send_at_most<R: Request>(
        &self,
        version_max: i16,
        build: impl FnOnce(i16) -> R,
        patience: Duration,
    ) -> Result<Answer<R>> {
        let version = self.version(R::API)?.min(version_max);
        Ok(self.send_in(version, build(version), patience))
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call<R: Request>(
        &self,
        build: impl FnOnce(i16) -> R,
        patience: Duration,
    ) -> Result<R::Response> {
        self.send(build, patience)?.wait().await
    }
}

/// The highest version that is used of an API: above these, topics are named by their ids alone.
fn ceiling(api: Api) -> i16 {
    match api {
        Api::OffsetCommit | Api::OffsetFetch => 9,
        Api::Produce => 12,
        _ => i16::MAX,
    }
}

impl Reply {
    fn is_closed(&self) -> bool {
        match self {
            Self::Answered(reply) => reply.is_closed(),
            Self::Written(reply) => reply.is_closed(),
        }
    }

    fn fail(self, error: Error) {
        let _ = match self {
            Self::Answered(reply) => reply.send(Err(error)).is_ok(),
            Self::Written(reply) => reply.send(Err(error)).is_ok(),
        };
    }
}

/// The task's side.
struct Socket {
    read: ReadHalf<Box<dyn Stream>>,
    write: WriteHalf<Box<dyn Stream>>,
    reader: Reader,
    writer: Writer,
    pipeline: Pipeline<oneshot::Sender<Result<Frame>>>,
    /// Requests without answers that are being written.
    unanswered: VecDeque<Unanswered>,
    /// Requests that wait until the broker has had its rest.
    held: VecDeque<Ask>,
    pace: Pace,
    /// Bytes that the writer was given so far.
    pushed: u64,
    alarm: Alarm,
    context: Arc<Context>,
    broker: Arc<Broker>,
}

/// A request that has no answer but that it is written.
struct Unanswered {
    /// Where it ends.
    at: u64,
    deadline: Moment,
    reply: oneshot::Sender<Result<()>>,
}

/// What the task woke up for.
enum Event {
    Frame(io::Result<Option<Frame>>),
    Written(io::Result<usize>),
    Order(Option<Order>),
    Alarm,
}

impl Socket {
    fn new(stream: Box<dyn Stream>, reader: Reader, context: Arc<Context>, broker: Arc<Broker>) -> Self {
        let (read, write) = tokio::io::split(stream);
        let alarm = Alarm::new(context.clock.clone());
        let (writer, pipeline) = (Writer::default(), Pipeline::default());
        let (unanswered, held, pushed) = (VecDeque::new(), VecDeque::new(), 0);
        let pace = Pace::new(context.now(), context.connection.idle_max);
        Self { read, write, reader, writer, pipeline, unanswered, held, pace, pushed, alarm, context, broker }
    }

    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let end = loop {
            self.take_held();
            match self.event(&mut orders).await {
                Event::Order(Some(Order::Ask(ask))) => self.take_in_turn(ask),
                Event::Order(Some(Order::Rest(throttle_time_ms))) => self.rest(throttle_time_ms),
                Event::Order(None) if self.is_idle() => break Error::new(ErrorKind::Closed),
                Event::Order(None) => (),
                Event::Written(Ok(_)) => self.tell_written(),
                Event::Written(Err(error)) => break self.broken(error),
                Event::Frame(Ok(Some(frame))) => {
                    if let Err(error) = self.answer(frame) {
                        break error;
                    }
                }
                Event::Frame(Ok(None)) => {
                    break Error::new(ErrorKind::Disconnected).what("the broker closed the connection");
                }
                Event::Frame(Err(error)) => break self.broken(error),
                Event::Alarm => {
                    if let Some(error) = self.overdue() {
                        break error;
                    }
                    if self.is_idle() && self.pace.is_idle(self.context.now()) {
                        // What was sent before this is still taken; the connection ends when that is done.
                        orders.close();
                    }
                }
            }
        };
        orders.close();
        self.tell(&end);
        while let Ok(order) = orders.try_recv() {
            if let Order::Ask(ask) = order {
                ask.reply.fail(end.clone());
            }
        }
        if planted(Plant::ConnectionKept) {
            std::future::pending::<()>().await;
        }
    }

    async fn event(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> Event {
        let unwritten = self.unanswered.front().map(|it| it.deadline);
        let pace = self.pace.deadline(self.context.now(), !self.is_idle());
        let deadline = self.pipeline.deadline().into_iter().chain(unwritten).chain(pace).min();
        // Once all handles are gone, the answers that are due are still waited for.
        let listening = self.writer.len() < WRITE_AHEAD_BYTES && (!orders.is_closed() || self.is_idle());
        let bytes_max = self.answer_bytes_max();
        tokio::select! {
            biased;
            frame = self.reader.next(&mut self.read, bytes_max) => Event::Frame(frame),
            order = orders.recv(), if listening => Event::Order(order),
            written = self.writer.write(&mut self.write), if !self.writer.is_idle() => Event::Written(written),
            () = self.alarm.wait(deadline) => Event::Alarm,
        }
    }

    /// How long the next answer may be: answers come in the order of their requests.
    fn answer_bytes_max(&self) -> usize {
        let fetched = self.context.connection.answer_bytes_max;
        match self.pipeline.awaited() {
            Some(Api::Fetch) => fetched,
            Some(api) => api.response_bytes_max().min(fetched),
            None => UNASKED_BYTES_MAX,
        }
    }

    /// Takes a request behind those that were sent before it, or keeps it until the broker has had its rest.
    fn take_in_turn(&mut self, ask: Ask) {
        if self.held.is_empty() && !self.pace.rests(self.context.now()) {
            self.take(ask);
        } else {
            self.held.push_back(ask);
        }
    }

    fn take_held(&mut self) {
        if !self.pace.rests(self.context.now()) {
            std::mem::take(&mut self.held).into_iter().for_each(|ask| self.take(ask));
        }
    }

    fn rest(&mut self, throttle_time_ms: i32) {
        let longer = self.pace.on_throttle(self.context.now(), throttle_time_ms);
        self.pipeline.postpone(longer);
        self.unanswered.iter_mut().for_each(|it| it.deadline += longer);
    }

    fn take(&mut self, order: Ask) {
        if order.reply.is_closed() {
            return;
        }
        let now = self.context.now();
        self.pace.on_use(now);
        match (order.encode)(self.pipeline.coming_id()) {
            Ok(encoder) => {
                let deadline = now + order.patience;
                let before = self.writer.len();
                self.writer.push(encoder.into_segments());
                self.pushed += (self.writer.len() - before) as u64;
                match order.reply {
                    Reply::Answered(reply) => {
                        let id = self.pipeline.push(order.api, order.version, deadline, reply);
                        self.pipeline.on_write(id);
                    }
                    Reply::Written(reply) => {
                        self.pipeline.next_id();
                        self.unanswered.push_back(Unanswered { at: self.pushed, deadline, reply });
                    }
                }
            }
            Err(error) => {
                let what = format!("{:?} version {} cannot say this", order.api, order.version);
                let error = Error::new(ErrorKind::Unsupported).what(what).because(error);
                order.reply.fail(error);
            }
        }
    }

    fn answer(&mut self, frame: Frame) -> Result<()> {
        let malformed = |what: String| Error::new(ErrorKind::Malformed).what(what);
        let id = frame::correlation_id(&frame.bytes)
            .ok_or_else(|| malformed("an answer is cut short".to_owned()))?;
        let sent = self.pipeline.on_answer(id).map_err(|error| malformed(error.to_string()))?;
        self.pace.on_use(self.context.now());
        let _ = sent.tag.send(Ok(frame));
        Ok(())
    }

    /// Whether nobody waits for anything.
    fn is_idle(&self) -> bool {
        self.pipeline.is_empty() && self.unanswered.is_empty() && self.held.is_empty()
    }

    fn tell_written(&mut self) {
        let written = self.pushed - self.writer.len() as u64;
        let done = self.unanswered.iter().take_while(|it| it.at <= written).count();
        for it in self.unanswered.drain(..done) {
            let _ = it.reply.send(Ok(()));
        }
    }

    fn overdue(&self) -> Option<Error> {
        let now = self.context.now();
        if self.unanswered.front().is_some_and(|it| it.deadline <= now) {
            let what = "a request could not be written in time, so the connection is given up";
            return Some(Error::new(ErrorKind::TimedOut).what(what));
        }
        let late = self.pipeline.overdue(self.context.now())?;
        let what = format!("no answer to {:?} in time, so the connection is given up", late.api);
        Some(Error::new(ErrorKind::TimedOut).what(what))
    }

    fn broken(&self, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::InvalidData => ErrorKind::Malformed,
            _ => ErrorKind::Disconnected,
        };
        Error::new(kind).what(format!("the connection broke: {error}")).because(error)
    }

    /// Tells all who wait what became of their requests.
    fn tell(&mut self, end: &Error) {
        let waiting = self.pipeline.cut();
        if !waiting.is_empty() {
            debug!(broker = %self.broker, waiting = waiting.len(), %end, "connection lost");
        }
        for it in self.unanswered.drain(..) {
            let _ = it.reply.send(Err(end.clone().written_perhaps(true)));
        }
        for ask in self.held.drain(..) {
            ask.reply.fail(end.clone());
        }
        for Cut { fate, tag } in waiting {
            let _ = tag.send(Err(end.clone().written_perhaps(fate == Fate::Unknown)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use vltava_wire::messages::{
        HeartbeatRequest, HeartbeatResponse, MetadataRequest, MetadataResponse,
        metadata::MetadataResponseTopic,
    };

    use super::*;
    use crate::{
        config,
        tests::peer::{Peer, Reply},
    };

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn link(peer: &Peer) -> Link {
        let broker = Broker { node: Some(1), address: "peer:9092".parse().expect("an address") };
        Link::open(&peer.context(config::Connection::default()), &broker).await.expect("the peer answers")
    }

    fn heartbeat(generation_id: i32) -> impl FnOnce(i16) -> HeartbeatRequest {
        move |_| HeartbeatRequest { generation_id, ..Default::default() }
    }

    /// Answers a heartbeat with its generation as the throttle time, unless it is to be silent or to hang up.
    fn echo() -> Peer {
        Peer::new(|mut asked| match asked.read::<HeartbeatRequest>().generation_id {
            -1 => Reply::Silence,
            -2 => Reply::Cut,
            generation => asked.answer(&HeartbeatResponse { throttle_time_ms: generation, error_code: 0 }),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn answers_find_their_requests_however_many_are_under_way() {
        let link = link(&echo()).await;
        let answers: Vec<_> =
            (0..100).map(|n| link.send(heartbeat(n), PATIENCE).expect("the version is known")).collect();
        for (n, answer) in answers.into_iter().enumerate().rev() {
            assert_eq!(answer.wait().await.expect("an answer").throttle_time_ms, n as i32);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_tells_all_who_wait_that_it_may_have_been_done() {
        let link = link(&echo()).await;
        let silent = link.send(heartbeat(-1), PATIENCE).expect("the version is known");
        let cut = link.send(heartbeat(-2), PATIENCE).expect("the version is known");
        for answer in [silent, cut] {
            let error = answer.wait().await.expect_err("the connection is gone");
            assert_eq!(error.kind(), ErrorKind::Disconnected);
            assert!(error.maybe_written() && error.is_retriable());
            assert!(error.to_string().contains("broker 1"), "{error}");
        }
        assert!(!link.is_open());
        let error = link.call(heartbeat(1), PATIENCE).await.expect_err("the connection stays gone");
        assert!(!error.maybe_written(), "it was never sent");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_falls_silent_is_given_up() {
        let link = link(&echo()).await;
        let before = link.context.now();
        let error = link.call(heartbeat(-1), PATIENCE).await.expect_err("no answer comes");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.maybe_written());
        let waited = link.context.now() - before;
        assert!(waited >= PATIENCE && waited < PATIENCE + Duration::from_secs(1), "{waited:?}");
        assert!(!link.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_answer_is_done_when_it_is_written_and_answers_find_their_requests() {
        let link = link(&echo()).await;
        let unanswered = link.send_unanswered(heartbeat(-1), PATIENCE).expect("the version is known");
        let answered = link.send(heartbeat(4), PATIENCE).expect("the version is known");
        unanswered.await.expect("it is written");
        assert_eq!(answered.wait().await.expect("an answer").throttle_time_ms, 4);
        let last = link.send_unanswered(heartbeat(-1), PATIENCE).expect("the version is known");
        drop(link);
        last.await.expect("it is written although the last handle is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stops_waiting_harms_nobody() {
        let link = link(&echo()).await;
        drop(link.send(heartbeat(5), PATIENCE).expect("the version is known"));
        let abandoned = link.send(heartbeat(6), PATIENCE).expect("the version is known");
        tokio::task::yield_now().await;
        drop(abandoned);
        assert_eq!(link.call(heartbeat(7), PATIENCE).await.expect("an answer").throttle_time_ms, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_nobody_asked_for_ends_the_connection() {
        let peer = Peer::new(|mut asked| {
            asked.header.correlation_id += 1;
            asked.answer(&HeartbeatResponse::default())
        });
        let error = link(&peer).await.call(heartbeat(1), PATIENCE).await.expect_err("not its answer");
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }

    /// A peer that answers everything with its correlation id and then these bytes, in a frame of a length that may
    /// be a lie.
    fn hostile(length: usize, body: Vec<u8>) -> Peer {
        Peer::new(move |asked| {
            let length = (length as u32).to_be_bytes();
            Reply::Frame([&length[..], &asked.header.correlation_id.to_be_bytes(), &body].concat().into())
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_hostile_answer_is_a_typed_error_and_costs_no_more_than_there_is() {
        const MEMORY_BYTES: usize = 1 << 20;
        // A throttle time, then a million brokers of which each takes ten bytes on the wire.
        let swollen = [&[0; 4][..], &1_000_000i32.to_be_bytes(), &[0; 500_000]].concat();
        let cases = [
            (0x7fff_ffff, vec![0; 100], "bytes of the answer would be 2147483647, the limit is 67108864"),
            (2 << 20, vec![0; 100], "memory for answers would be 2097152, the limit is 786432"),
            (4 + swollen.len(), swollen, "memory for decoded answers would be"),
            (4 + 100, vec![0xfe; 100], "is negative"),
            (2, vec![0; 100], "cut short"),
        ];
        for (length, body, what) in cases {
            let peer = hostile(length, body);
            let settings = config::Connection { answer_memory_bytes: MEMORY_BYTES, ..Default::default() };
            let broker = Broker { node: Some(1), address: "peer:9092".parse().expect("an address") };
            let link = Link::open(&peer.context(settings), &broker).await.expect("the peer greets");
            let asked = link.send_at_most(8, |_| MetadataRequest::default(), PATIENCE);
            let error = asked.expect("the version is known").wait().await.expect_err("it makes no sense");
            assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert!(error.to_string().contains(what) || cause.contains(what), "{error}: {cause}");
            let memory = link.context.memory.usage();
            assert!(memory.peak <= MEMORY_BYTES && memory.used == 0, "{memory:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_decoded_however_much_is_being_read_or_decoded() {
        const MEMORY_BYTES: usize = 1 << 20;
        const TOPICS: usize = 1_000;
        let topic = MetadataResponseTopic { name: Some("orders".to_owned()), ..Default::default() };
        let answer = MetadataResponse { topics: vec![topic; TOPICS], ..Default::default() };
        let peer = Peer::new(move |asked| asked.answer(&answer));
        let settings = config::Connection { answer_memory_bytes: MEMORY_BYTES, ..Default::default() };
        let broker = Broker { node: Some(1), address: "peer:9092".parse().expect("an address") };
        let link = Link::open(&peer.context(settings), &broker).await.expect("the peer greets");
        let memory = &link.context.memory;
        // No more is left for frames than the answer's own takes.
        let _read = memory.room(MEMORY_BYTES / 4 * 3 - (40 << 10)).await.expect("it is free");
        let answer = link.call(|_| MetadataRequest::default(), PATIENCE).await.expect("there is room");
        assert_eq!(answer.topics.len(), TOPICS);
        let held = memory.any_answer().await;
        let mut waiting = pin!(link.call(|_| MetadataRequest::default(), PATIENCE));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("there is no room to decode it"),
            () = tokio::time::sleep(Duration::from_secs(1)) => drop(held),
        }
        assert_eq!(waiting.await.expect("there is room again").topics.len(), TOPICS);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_no_longer_than_its_api_has_a_use_for() {
        let link = link(&hostile((64 << 10) + 1, vec![0; 100])).await;
        let error = link.call(heartbeat(1), PATIENCE).await.expect_err("it is too long");
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("would be 65537, the limit is 65536"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_trickles_without_end_is_given_up_in_time() {
        let peer = Peer::new(|asked| match asked.answer(&HeartbeatResponse::default()) {
            Reply::Frame(frame) => Reply::Drip(frame, PATIENCE / 10),
            other => other,
        });
        let link = link(&peer).await;
        let before = link.context.now();
        let error = link.call(heartbeat(1), PATIENCE).await.expect_err("it takes too long");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let waited = link.context.now() - before;
        assert!(waited >= PATIENCE && waited < PATIENCE + Duration::from_secs(1), "{waited:?}");
        assert!(!link.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_handle_leaves_but_its_answer_comes() {
        let peer = Peer::new(|mut asked| {
            let generation = asked.read::<HeartbeatRequest>().generation_id;
            let answer =
                asked.answer(&HeartbeatResponse { throttle_time_ms: generation, ..Default::default() });
            let Reply::Frame(frame) = answer else { return answer };
            Reply::Late(frame, Duration::from_secs(1))
        });
        for wait in [Duration::ZERO, Duration::from_millis(500)] {
            let link = link(&peer).await;
            let answer = link.send(heartbeat(3), PATIENCE).expect("the version is known");
            tokio::time::sleep(wait).await;
            drop(link);
            assert_eq!(answer.wait().await.expect("an answer").throttle_time_ms, 3, "gone after {wait:?}");
        }
    }
}
