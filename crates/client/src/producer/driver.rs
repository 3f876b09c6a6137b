//! The task that sends what was gathered: everything that is ready for a broker in one request, several requests
//! under way, answers taken as they come.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tracing::debug;
use vltava_core::{
    Backoff, Moment, Rng, TopicPartition,
    cluster::{Leader, NodeId, Target},
    produce::{Answer, BatchId, Done, Identity, Verdict, Written},
    session::Fate,
};
use vltava_wire::{
    Compression, Compressor, ErrorCode,
    messages::{
        InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
        produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData},
    },
};

use super::{
    Shared,
    delivery::Ticket,
    events::DeliveryEvent,
    outcome,
    packers::{self, Packed, Packers},
};
use crate::{
    alarm::Alarm,
    cluster::Attempt,
    config::Acks,
    error::{Error, Result},
    net::{BoxFuture, Link},
};

/// So many requests are under way to a broker at most. What comes while all are waits, and goes out together.
const REQUESTS_MAX: usize = 5;

/// Runs until the producer is closed and everything it has is done.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut news = shared.cluster.news();
    let mut alarm = Alarm::new(shared.context.clock.clone());
    let mut driver = Driver::new(shared);
    loop {
        let deadline = driver.act();
        if driver.is_done() {
            return driver.shared.lock().end();
        }
        tokio::select! {
            biased;
            Some(event) = driver.calls.next() => driver.on_event(event),
            () = driver.shared.work.notified() => (),
            () = news.changed() => driver.refresh(),
            () = alarm.wait(deadline) => (),
        }
    }
}

struct Driver {
    shared: Arc<Shared>,
    brokers: BTreeMap<NodeId, Broker>,
    calls: FuturesUnordered<BoxFuture<Event>>,
    identifying: bool,
    identity_pause: Pause,
    /// The latest that went wrong on the way to a broker, for those whose time runs out.
    trouble: Option<Error>,
    packers: Packers,
    rng: Rng,
}

/// A broker that is produced to.
#[derive(Default)]
struct Broker {
    link: Option<Link>,
    connecting: bool,
    /// Between attempts to connect.
    pause: Pause,
    requests: usize,
}

/// What keeps attempts that fail apart.
#[derive(Default)]
struct Pause {
    failures: u32,
    until: Moment,
}

enum Event {
    Packed(Box<packers::Done>),
    Connected(NodeId, Result<Link>),
    Identified(Result<InitProducerIdResponse>),
    Sent { node: NodeId, link: Link, sent: Sent, fared: Fared },
}

/// The answer to a request; none to what nobody acknowledges, which is written to the socket.
type Fared = Result<Option<ProduceResponse>>;

/// The batches of a request.
type Sent = BTreeMap<TopicPartition, BatchId>;

impl Driver {
    fn new(shared: Arc<Shared>) -> Self {
        let (brokers, calls) = (BTreeMap::new(), FuturesUnordered::new());
        let rng = shared.context.rng();
        let packers = Packers::new(shared.config.compression);
        let (identifying, identity_pause) = (false, Pause::default());
        Self { shared, brokers, calls, identifying, identity_pause, trouble: None, packers, rng }
    }

    /// Does all there is to do; says when there will be more.
    fn act(&mut self) -> Option<Moment> {
        let now = self.shared.context.now();
        while self.send(now) {}
        self.complete();
        self.shared.lock().tell_flushed();
        let wants_identity = self.shared.lock().batches.wants_identity();
        if wants_identity && !self.identifying && self.identity_pause.is_over(now) {
            self.identify();
        }
        let pauses = self.brokers.values().map(|it| &it.pause).chain([&self.identity_pause]);
        let pauses = pauses.map(|it| it.until);
        let rests = self.brokers.values().filter_map(|it| it.link.as_ref()).map(Link::rests_until);
        let due = pauses.chain(rests).filter(|it| *it > now);
        due.chain(self.shared.lock().batches.deadline(now)).min()
    }

    fn is_done(&self) -> bool {
        let open = self.shared.lock();
        open.closed && open.batches.is_empty()
    }

    /// The view has changed: topics may have grown, leaders and brokers may have moved.
    fn refresh(&mut self) {
        let cluster = &self.shared.cluster;
        for (node, broker) in &mut self.brokers {
            // What is under way is still answered; another broker may be at that address by now.
            if broker.link.as_ref().is_some_and(|it| !cluster.is_reached_at(*node, &it.broker().address)) {
                broker.link = None;
            }
        }
        let mut open = self.shared.lock();
        self.shared.cluster.view(|view| open.refresh(view));
    }

    /// Sends what is ready, a batch of each partition; says whether there was anything.
    fn send(&mut self, now: Moment) -> bool {
        let (mut wanted, mut leaderless) = (Vec::new(), false);
        let ready = {
            let (brokers, packers, cluster) = (&self.brokers, &self.packers, &self.shared.cluster);
            self.shared.lock().batches.poll(now, |partition| {
                let Some(Leader { node, .. }) = cluster.leader(partition) else {
                    leaderless = true;
                    return None;
                };
                match brokers.get(&node) {
                    // What waits for a broker that wants to be left alone waits here, where it is given up in time.
                    Some(broker) if broker.rests(now) => None,
                    Some(broker) if broker.is_open() => {
                        Some(node).filter(|_| broker.requests + packers.jobs_for(node) < REQUESTS_MAX)
                    }
                    Some(broker) if broker.connecting || !broker.pause.is_over(now) => None,
                    _ => {
                        wanted.push(node);
                        None
                    }
                }
            })
        };
        if leaderless {
            self.shared.cluster.stale();
        }
        wanted.into_iter().for_each(|node| self.connect(node));
        let any = !ready.is_empty();
        if self.shared.config.compression.compression() == Compression::None {
            // Nothing is gained by having others do what takes no time.
            let mut plain = Compressor::new(Compression::None);
            let ready = ready.into_iter().map(|(node, it)| (node, Packed::new(it, &mut plain)));
            self.request_all(now, ready);
        } else {
            self.packers.push(ready);
            self.start_packing();
        }
        any
    }

    fn start_packing(&mut self) {
        while let Some(job) = self.packers.start() {
            self.calls.push(Box::pin(async move { Event::Packed(Box::new(job.await)) }));
        }
    }

    /// Shares batches out to requests, none of them too large, and sends these.
    fn request_all(&mut self, now: Moment, packed: impl IntoIterator<Item = (NodeId, Packed)>) {
        let mut brokers: BTreeMap<NodeId, Vec<Request>> = BTreeMap::new();
        for (node, Packed { id, partition, stamp, bytes }) in packed {
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.shared.lock().batches.on_unsendable(id, error);
                    continue;
                }
            };
            if !self.shared.lock().batches.keep(id, stamp, bytes.clone()) {
                continue;
            }
            let requests = brokers.entry(node).or_default();
            let room = self.shared.config.request_bytes_max.saturating_sub(bytes.len());
            if requests.last().is_none_or(|last| last.bytes > room) {
                requests.push(Request::default());
            }
            requests.last_mut().expect("one was just made").push(partition, id, bytes);
        }
        for (node, requests) in brokers {
            requests.into_iter().for_each(|request| self.request(now, node, request));
        }
    }

    fn request(&mut self, now: Moment, node: NodeId, request: Request) {
        let Request { sent, topics, bytes } = request;
        let timeout = self.shared.context.connection.request_timeout;
        let broker = self.brokers.entry(node).or_default();
        let Some(link) = broker.link.clone().filter(|it| it.rests_until() <= now) else {
            // It was lost while the batches were packed, or wants to be left alone since then.
            return self.on_cut(now, &sent, Fate::NotSent);
        };
        self.shared.context.counters.bytes_produced.add(bytes as u64);
        let acks = self.shared.config.acks;
        let request = |_| in_order(topics, acks, timeout.as_millis() as i32);
        let call: Result<BoxFuture<Fared>> = match acks {
            Acks::None => link
                .send_unanswered(request, timeout)
                .map(|written| Box::pin(async move { written.await.map(|()| None) }) as _),
            Acks::Leader | Acks::All => link
                .send(request, timeout)
                .map(|answer| Box::pin(async move { answer.wait().await.map(Some) }) as _),
        };
        match call {
            Ok(call) => {
                broker.requests += 1;
                self.calls.push(Box::pin(async move { Event::Sent { node, link, sent, fared: call.await } }));
            }
            Err(error) => self.cut(now, node, &link, &sent, error),
        }
    }

    fn connect(&mut self, node: NodeId) {
        let broker = self.brokers.entry(node).or_default();
        if broker.connecting {
            return;
        }
        broker.connecting = true;
        if broker.link.take().is_some() {
            // Without acks, hanging up is all that a broker can say: it may lead no longer.
            self.shared.cluster.stale();
        }
        let cluster = self.shared.cluster.clone();
        let context = &self.shared.context;
        let deadline = context.now() + context.connection.request_timeout;
        self.calls.push(Box::pin(async move {
            let attempt = Attempt { pool: cluster.pool(), target: Target::Node(node), deadline };
            Event::Connected(node, cluster.link(&attempt).await)
        }));
    }

    fn identify(&mut self) {
        self.identifying = true;
        let cluster = self.shared.cluster.clone();
        self.calls.push(Box::pin(async move {
            let build = |_| InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: i32::MAX,
                ..Default::default()
            };
            let judge = |answer: &InitProducerIdResponse| ErrorCode::from(answer.error_code);
            Event::Identified(cluster.call(Target::Any, "asking for a producer id", build, judge).await)
        }));
    }

    fn on_event(&mut self, event: Event) {
        let now = self.shared.context.now();
        match event {
            Event::Packed(done) => {
                let (node, batches) = self.packers.on_done(*done);
                self.start_packing();
                self.request_all(now, batches.into_iter().map(|it| (node, it)));
            }
            Event::Connected(node, link) => self.on_connected(now, node, link),
            Event::Identified(identity) => self.on_identified(now, identity),
            Event::Sent { node, link, sent, fared } => {
                self.brokers.entry(node).or_default().requests -= 1;
                match fared {
                    Ok(Some(answer)) => self.on_answer(now, sent, answer),
                    Ok(None) => self.on_written(now, sent),
                    Err(error) => self.cut(now, node, &link, &sent, error),
                }
            }
        }
    }

    fn on_connected(&mut self, now: Moment, node: NodeId, link: Result<Link>) {
        let broker = self.brokers.entry(node).or_default();
        broker.connecting = false;
        match link {
            Ok(link) => {
                broker.link = Some(link);
                broker.pause = Pause::default();
            }
            Err(error) => {
                broker.pause.lengthen(now, self.shared.context.connection.backoff, &mut self.rng);
                self.trouble = Some(error);
            }
        }
    }

    fn on_identified(&mut self, now: Moment, answer: Result<InitProducerIdResponse>) {
        self.identifying = false;
        match answer {
            Ok(InitProducerIdResponse { producer_id: id, producer_epoch: epoch, .. }) => {
                debug!(id, epoch, "producing under");
                self.identity_pause = Pause::default();
                self.shared.lock().batches.on_identity(Identity { id, epoch });
            }
            Err(error) => {
                self.identity_pause.lengthen(now, self.shared.context.connection.backoff, &mut self.rng);
                match error.code() {
                    _ if error.is_retriable() => (),
                    Some(code) => self.shared.lock().batches.fail(code),
                    None => self.shared.lock().batches.on_no_identity(),
                }
                self.trouble = Some(error);
            }
        }
    }

    fn on_answer(&mut self, now: Moment, mut sent: Sent, answer: ProduceResponse) {
        for topic in answer.responses {
            let name: Arc<str> = topic.name.into();
            for it in topic.partition_responses {
                let partition = TopicPartition::new(name.clone(), it.index);
                if let Some(id) = sent.remove(&partition) {
                    self.on_verdict(now, &partition, id, &it);
                }
            }
        }
        // What the broker says nothing about may be written.
        self.on_cut(now, &sent, Fate::Unknown);
    }

    /// What nobody acknowledges is delivered by being written.
    fn on_written(&mut self, now: Moment, sent: Sent) {
        let mut open = self.shared.lock();
        for id in sent.into_values() {
            open.batches.on_answer(now, id, Answer::written(-1), &mut self.rng);
        }
    }

    fn on_verdict(
        &mut self,
        now: Moment,
        partition: &TopicPartition,
        id: BatchId,
        it: &PartitionProduceResponse,
    ) {
        let answer = Answer::from(it);
        let code = answer.error;
        let verdict = self.shared.lock().batches.on_answer(now, id, answer, &mut self.rng);
        match verdict {
            Verdict::Written | Verdict::Duplicate => return,
            _ => self.shared.context.counters.batches_refused.add(1),
        }
        debug!(%partition, %code, ?verdict, "a batch was not written");
        let (node, epoch) = (it.current_leader.leader_id, it.current_leader.leader_epoch);
        if node >= 0 {
            self.shared.cluster.on_leader(partition, Leader { node: NodeId(node), epoch });
        }
        if matches!(verdict, Verdict::Retry { refresh: true, .. }) {
            self.shared.cluster.stale();
        }
    }

    /// A request had no answer over a connection, which may be another than the one that is used by now.
    fn cut(&mut self, now: Moment, node: NodeId, link: &Link, sent: &Sent, error: Error) {
        debug!(%node, %error, batches = sent.len(), "no answer to what was produced");
        let fate = if error.maybe_written() { Fate::Unknown } else { Fate::NotSent };
        if self.brokers.entry(node).or_default().link.take_if(|it| it.is(link)).is_some() {
            self.shared.cluster.lost(node);
        }
        self.trouble = Some(error);
        self.on_cut(now, sent, fate);
    }

    fn on_cut(&mut self, now: Moment, sent: &Sent, fate: Fate) {
        let mut open = self.shared.lock();
        for id in sent.values() {
            open.batches.on_cut(now, *id, fate, &mut self.rng);
        }
    }

    /// Tells the records of batches that are done what became of them.
    fn complete(&mut self) {
        loop {
            let Some(done) = self.shared.lock().batches.done() else { return };
            let Done { partition, ticket, first, count, outcome } = done;
            let timeout = self.shared.config.delivery_timeout;
            let outcome = match outcome {
                Ok(written) => {
                    self.shared.context.counters.records_produced.add(u64::from(count));
                    self.trouble = None;
                    Ok(written)
                }
                Err(failure) => {
                    self.shared.context.counters.records_failed.add(u64::from(count));
                    Err(outcome::error(&partition, failure, timeout, self.trouble.as_ref()))
                }
            };
            self.shared.watchers.tell(|| event(partition, count, &outcome));
            Ticket::complete(&ticket, first, count, outcome);
            self.shared.room.notify_one();
        }
    }
}

impl Broker {
    fn is_open(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_open)
    }

    fn rests(&self, now: Moment) -> bool {
        self.link.as_ref().is_some_and(|it| it.is_open() && it.rests_until() > now)
    }
}

impl Pause {
    fn is_over(&self, now: Moment) -> bool {
        self.until <= now
    }

    /// Another attempt has failed.
    fn lengthen(&mut self, now: Moment, backoff: Backoff, rng: &mut Rng) {
        self.failures = self.failures.saturating_add(1);
        self.until = now + backoff.after(self.failures, rng);
    }
}

/// A request in the making.
#[derive(Default)]
struct Request {
    sent: Sent,
    topics: BTreeMap<Arc<str>, Vec<PartitionProduceData>>,
    bytes: usize,
}

impl Request {
    fn push(&mut self, partition: TopicPartition, id: BatchId, records: bytes::Bytes) {
        self.bytes += records.len();
        let data = PartitionProduceData { index: partition.partition, records: Some(records) };
        self.topics.entry(partition.topic.clone()).or_default().push(data);
        self.sent.insert(partition, id);
    }
}

fn event(topic_partition: TopicPartition, records: u32, outcome: &Result<Written>) -> DeliveryEvent {
    match outcome {
        Ok(written) => {
            DeliveryEvent::Delivered { topic_partition, records, base_offset: written.base_offset }
        }
        Err(error) => DeliveryEvent::Failed { topic_partition, records, error: error.clone() },
    }
}

fn in_order(
    topics: BTreeMap<Arc<str>, Vec<PartitionProduceData>>,
    acks: Acks,
    timeout_ms: i32,
) -> ProduceRequest {
    let topic = |(name, partition_data): (Arc<str>, _)| TopicProduceData {
        name: name.to_string(),
        partition_data,
        ..Default::default()
    };
    let topic_data = topics.into_iter().map(topic).collect();
    let acks = match acks {
        Acks::None => 0,
        Acks::Leader => 1,
        Acks::All => -1,
    };
    ProduceRequest { acks, timeout_ms, topic_data, ..Default::default() }
}
