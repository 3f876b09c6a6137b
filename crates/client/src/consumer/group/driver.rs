//! The one task of a group member. It does what the machine says, and tells the machine what came of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, info};
use vltava_core::{
    Moment, TopicPartition,
    group::member::{self, Answer, Ask, CallId, CommitId, Failure, Member, Parting, Refusal, Step, Ticket},
    planted::{Plant, planted},
};

use super::{
    assigning::{Assignings, Offsets},
    calls::Calls,
    committed::{Asking, Identity},
    lookout::Lookout,
    outbox::Outbox,
    settings::{Settings, member, parting},
};
use crate::{
    Client,
    alarm::Alarm,
    cluster::{Cluster, InterestInAll},
    config::StartOffset,
    consumer::{
        AssignmentId, Commit, Committer, Event, Events, Offset, Revocation,
        events::Order,
        fetcher::{Assignment, Fetcher, Started, Told, WentBack},
        subscription::Subscription,
    },
    context::Context,
    error::{Error, ErrorKind, Result},
    net::BoxFuture,
    news::Reader,
};

/// Orders that wait for the driver; committers wait when there are more.
const ORDERS_MAX: usize = 64;
/// Topics that a leader has never heard of are waited for so long; without an answer they are shared out later.
const COUNT_PATIENCE: Duration = Duration::from_secs(5);

/// The task's state.
pub(in crate::consumer) struct Driver {
    group: Arc<str>,
    start: StartOffset,
    /// How the member parts from its group.
    parting: Parting,
    context: Arc<Context>,
    cluster: Cluster,
    member: Member,
    calls: Calls,
    fetcher: Fetcher,
    orders: mpsc::Receiver<Order>,
    /// False once every committer is gone.
    takes_orders: bool,
    outbox: Outbox,
    tickets: FuturesUnordered<BoxFuture<Ticket>>,
    commits: BTreeMap<CommitId, oneshot::Sender<Result<()>>>,
    commit_ids: u64,
    leaving: Vec<oneshot::Sender<Result<()>>>,
    /// Assignments on their way.
    assigning: Assignings,
    /// What is being fetched.
    assigned: BTreeSet<TopicPartition>,
    counting: Option<Counting>,
    lookout: Lookout,
    /// Keeps all topics in the cluster's view, where some are picked by a pattern.
    _all: Option<InterestInAll>,
    subscription: Subscription,
    /// Who the member is in a group of the consumer protocol.
    identity: watch::Sender<Identity>,
    /// The latest sign of life.
    beating: Option<CallId>,
    news: Reader,
    alarm: Alarm,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    AtWork,
    /// The member is gone; the last events are handed over.
    Ending,
}

/// A leader that waits for the view to know these topics.
struct Counting {
    topics: BTreeSet<String>,
    until: Moment,
}

/// What the task woke up for.
enum Woken {
    Call(CallId, Result<Answer>),
    Ticket(Ticket),
    Order(Option<Order>),
    Starts(AssignmentId, Result<Offsets>),
    Told(Told),
    News,
    HandedOver,
    Alarm,
}

impl Driver {
    /// A member that begins to join once it runs, and the ends for its user.
    pub(in crate::consumer) fn new(client: &Client, settings: Settings) -> (Self, Events, Committer) {
        let Settings { group, subscription, consumer } = settings;
        let (context, cluster) = (client.context.clone(), client.cluster.clone());
        let topics = cluster.view(|view| subscription.topics(view));
        let (config, parting) = (member(&group, topics.clone(), &consumer, &context), parting(&consumer));
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let (told, events) = mpsc::channel(1);
        let committer = Committer::new(orders, consumer.auto_store, context.clone());
        let mut driver = Self {
            start: consumer.start,
            parting,
            member: Member::new(config, context.rng()),
            calls: Calls::new(cluster.clone(), group.clone()),
            fetcher: Fetcher::for_member(client, consumer),
            orders: taken,
            takes_orders: true,
            outbox: Outbox::new(told),
            tickets: FuturesUnordered::new(),
            commits: BTreeMap::new(),
            commit_ids: 0,
            leaving: Vec::new(),
            assigning: Assignings::default(),
            assigned: BTreeSet::new(),
            counting: None,
            lookout: Lookout::new(cluster.clone()),
            _all: matches!(subscription, Subscription::Pattern(_)).then(|| cluster.interest_in_all()),
            subscription,
            identity: watch::Sender::new(None),
            beating: None,
            news: cluster.news(),
            alarm: Alarm::new(context.clock.clone()),
            stage: Stage::AtWork,
            group,
            context,
            cluster,
        };
        driver.lookout.want(&topics);
        let teller = driver.fetcher.teller().clone();
        (driver, Events::new(events, teller, &committer), committer)
    }

    /// Runs until the member has left or failed, and everything was told.
    pub(in crate::consumer) async fn run(mut self) {
        loop {
            while let Some(step) = self.member.poll(self.context.now()) {
                self.act(step);
            }
            self.tell_identity();
            if self.stage == Stage::Ending && self.outbox.is_empty() {
                break;
            }
            let woken = self.woken().await;
            self.on(woken);
        }
    }

    async fn woken(&mut self) -> Woken {
        let deadline =
            self.member.deadline().into_iter().chain(self.counting.as_ref().map(|it| it.until)).min();
        let unread = !self.outbox.is_empty() || !self.outbox.is_closed();
        tokio::select! {
            biased;
            (call, answer) = self.calls.next() => Woken::Call(call, answer),
            Some(ticket) = self.tickets.next(), if !self.tickets.is_empty() => Woken::Ticket(ticket),
            order = self.orders.recv(), if self.takes_orders => Woken::Order(order),
            (assignment, starts) = self.assigning.next() => Woken::Starts(assignment, starts),
            () = self.outbox.hand_over(), if unread => Woken::HandedOver,
            () = self.news.changed() => Woken::News,
            () = self.alarm.wait(deadline) => Woken::Alarm,
            told = self.fetcher.drive() => Woken::Told(told),
        }
    }

    fn on(&mut self, woken: Woken) {
        let now = self.context.now();
        match woken {
            Woken::Call(call, Ok(answer)) => self.member.on_answer(now, call, answer),
            Woken::Call(call, Err(error)) => self.broken(now, call, error),
            Woken::Ticket(ticket) => self.member.on_ticket(ticket),
            Woken::Order(Some(order)) => self.ordered(now, order),
            Woken::Order(None) => {
                self.takes_orders = false;
                self.leave_if_abandoned(now);
            }
            Woken::HandedOver => self.leave_if_abandoned(now),
            Woken::Starts(assignment, Ok(committed)) => self.assigned(assignment, committed),
            Woken::Starts(_, Err(error)) => self.fail(error),
            Woken::Told(Told::Started(started)) => self.pin(started),
            Woken::Told(Told::WentBack(back)) => self.start_over(back),
            Woken::News => {
                self.subscribe();
                self.count(now);
            }
            Woken::Alarm => self.count(now),
        }
    }

    // What the machine says

    fn act(&mut self, step: Step) {
        match step {
            Step::Call { call, ask, timeout } => {
                if matches!(ask, Ask::Heartbeat(_) | Ask::NextHeartbeat(_)) {
                    self.beating = Some(call);
                    self.context.counters.heartbeats.add(1);
                }
                self.calls.begin(call, ask, timeout);
            }
            Step::Count(topics) => {
                self.lookout.want(&topics);
                self.counting = Some(Counting { topics, until: self.context.now() + COUNT_PATIENCE });
                self.count(self.context.now());
            }
            Step::Resolve(ids) => {
                self.lookout.seek(ids);
                self.count(self.context.now());
            }
            Step::Rebalancing(reason) => {
                info!(group = %self.group, %reason, "rebalancing");
                self.context.counters.rebalances.add(1);
            }
            Step::Assigned(assignment, partitions) => self.assign(AssignmentId(assignment.0), partitions),
            Step::Revoked { ticket, partitions, deadline } => self.revoke(ticket, partitions, deadline),
            Step::Lost(partitions) => self.lose(partitions),
            Step::Committed(id, outcome) => {
                if let Some(done) = self.commits.remove(&id) {
                    // Whoever asked may have stopped waiting.
                    let _ = done.send(outcome.map_err(|refusal| self.refused(&refusal)));
                }
            }
            Step::Left => {
                info!(group = %self.group, "left");
                self.end();
            }
            Step::Failed(failure) => {
                let error = self.failed(&failure);
                self.outbox.push(Err(error));
                self.end();
            }
        }
    }

    fn assign(&mut self, assignment: AssignmentId, partitions: BTreeSet<TopicPartition>) {
        info!(group = %self.group, partitions = partitions.len(), assignment = assignment.0, "assigned");
        let pool = self.calls.pool().clone();
        let (cluster, group) = (self.cluster.clone(), self.group.clone());
        let asking = Asking { cluster, pool, group, identity: self.identity.subscribe() };
        let committed = asking.committed(partitions.clone());
        self.assigning.push(assignment, partitions, Box::pin(committed));
    }

    /// The offsets have come: fetching begins of what is still assigned.
    fn assigned(&mut self, assignment: AssignmentId, mut committed: Offsets) {
        let Some(partitions) = self.assigning.take(assignment) else { return };
        let mut starts = Vec::new();
        for topic_partition in partitions.iter().cloned() {
            let committed = committed.remove(&topic_partition);
            let start = match (&committed, self.start) {
                (Some(it), _) if !planted(Plant::CommittedIgnored) => Offset::Exact(it.offset),
                (_, start) => match start.offset() {
                    Some(place) => place,
                    None => return self.fail(self.no_offset(&topic_partition)),
                },
            };
            let leader_epoch = committed.as_ref().map_or(-1, |it| it.leader_epoch);
            let committed = committed.map(|it| (it.offset, it.metadata));
            starts.push(Assignment { topic_partition, start, leader_epoch, committed });
        }
        let streams = self.fetcher.assign(assignment, starts);
        self.assigned.extend(partitions);
        self.outbox.push(Ok(Event::Assigned(streams)));
    }

    /// The log of a partition is another: what was read before cannot be committed any more, and what comes now has
    /// lower offsets. The user hears of it as of a partition that was lost and has come back.
    fn start_over(&mut self, back: WentBack) {
        let partition = back.jump.topic_partition.clone();
        let Some((assignment, committed)) = self.member.start_over(&partition) else { return };
        let Some(stream) = self.fetcher.start_over(back, AssignmentId(assignment.0), committed) else {
            return;
        };
        info!(group = %self.group, %partition, assignment = assignment.0, "starting over");
        // Who has not heard of an earlier time need not.
        if !self.outbox.withdraw(&partition) {
            self.outbox.push(Ok(Event::Lost(vec![partition])));
        }
        self.outbox.push(Ok(Event::Assigned(vec![stream])));
    }

    fn revoke(&mut self, ticket: Ticket, partitions: BTreeSet<TopicPartition>, deadline: Moment) {
        debug!(group = %self.group, partitions = partitions.len(), "revoked");
        let told = self.retire(partitions);
        if told.is_empty() {
            return self.member.on_ticket(ticket);
        }
        let (revocation, returned) = Revocation::new(told, deadline);
        self.tickets.push(Box::pin(async move {
            // Done or dropped, it is the same.
            let _ = returned.await;
            ticket
        }));
        self.outbox.push(Ok(Event::Revoked(revocation)));
    }

    fn lose(&mut self, partitions: BTreeSet<TopicPartition>) {
        info!(group = %self.group, partitions = partitions.len(), "lost");
        let told = self.retire(partitions);
        if !told.is_empty() {
            self.outbox.push(Ok(Event::Lost(told)));
        }
    }

    /// Stops fetching these, and says which of them the user has heard of. Of the others it will not.
    fn retire(&mut self, partitions: BTreeSet<TopicPartition>) -> Vec<TopicPartition> {
        self.fetcher.unassign(&partitions);
        let mut told = Vec::new();
        for partition in partitions {
            self.assigned.remove(&partition);
            if !self.assigning.withdraw(&partition) && !self.outbox.withdraw(&partition) {
                told.push(partition);
            }
        }
        told
    }

    fn end(&mut self) {
        self.stop_fetching();
        self.stage = Stage::Ending;
        for done in self.leaving.drain(..) {
            let _ = done.send(Ok(()));
        }
    }

    fn stop_fetching(&mut self) {
        self.assigning = Assignings::default();
        self.fetcher.unassign(&std::mem::take(&mut self.assigned));
    }

    /// The member cannot be of use: the user hears why, and the group is left.
    fn fail(&mut self, error: Error) {
        self.stop_fetching();
        self.outbox.push(Err(error));
        self.member.leave(self.context.now() + self.context.connection.request_timeout, self.parting);
    }

    // What the user says

    fn ordered(&mut self, now: Moment, order: Order) {
        match order {
            Order::Commit { commits, done } => {
                let id = self.next_commit();
                self.commits.insert(id, done);
                self.member.commit(id, commits.into_iter().map(commit).collect());
            }
            Order::Leave { done, .. } if self.stage == Stage::Ending => drop(done.send(Ok(()))),
            Order::Away => self.member.on_away(now),
            Order::Back => self.member.on_back(),
            Order::Leave { within, done } => {
                self.leaving.push(done);
                self.member.leave(now + within, self.parting);
            }
        }
    }

    /// Commits the end of a log as the start that it was taken for: whoever gets the partition before the user has
    /// committed would take a later one. Nobody waits for it, and it never passes what the user commits.
    fn pin(&mut self, started: Started) {
        if self.start == StartOffset::Earliest {
            return;
        }
        let Started { topic_partition, assignment, offset } = started;
        let start = Commit { topic_partition, assignment, offset, leader_epoch: -1, metadata: String::new() };
        let id = self.next_commit();
        self.member.commit(id, vec![commit(start)]);
    }

    fn next_commit(&mut self) -> CommitId {
        self.commit_ids += 1;
        CommitId(self.commit_ids)
    }

    /// Whether nobody can hear of this member or commit for it.
    fn is_abandoned(&self) -> bool {
        !self.takes_orders && self.outbox.is_closed()
    }

    /// Nobody uses the member any more: its partitions are better off with others.
    fn leave_if_abandoned(&mut self, now: Moment) {
        if self.is_abandoned() {
            self.member.leave(now + self.context.connection.request_timeout, self.parting);
        }
    }

    // What brokers say

    fn broken(&mut self, now: Moment, call: CallId, error: Error) {
        debug!(group = %self.group, %error, "a call to the coordinator failed");
        if self.beating == Some(call) {
            self.context.counters.heartbeats_failed.add(1);
        }
        if error.is_retriable() || error.kind() == ErrorKind::Closed {
            return self.member.on_broken(now, call);
        }
        self.fail(error.doing(format!("taking part in group {}", self.group)));
    }

    /// Topics that match have come or gone.
    fn subscribe(&mut self) {
        if matches!(self.subscription, Subscription::Pattern(_)) {
            let topics = self.cluster.view(|view| self.subscription.topics(view));
            self.lookout.want(&topics);
            self.member.subscribe(topics);
        }
    }

    /// Tells the machine what there is. A leader that asked gets its answer once all topics are known, or when it has
    /// waited long enough.
    fn count(&mut self, now: Moment) {
        let names = self.lookout.names();
        if !names.is_empty() {
            self.member.on_names(&names);
        }
        let there = self.lookout.topics(now);
        if let Some(Counting { topics, until }) = &self.counting
            && *until > now
            && !topics.iter().all(|topic| self.lookout.knows(topic))
        {
            return;
        }
        self.counting = None;
        self.member.on_topics(&there);
    }

    /// Who asks for offsets on the member's behalf says who it is by now.
    fn tell_identity(&self) {
        let identity = self.member.identity().filter(|_| self.member.is_next() == Some(true));
        self.identity.send_if_modified(|told| {
            let is_news = told.as_ref().map(|(id, epoch)| (&**id, *epoch)) != identity;
            if is_news {
                *told = identity.map(|(id, epoch)| (id.to_owned(), epoch));
            }
            is_news
        });
    }

    fn no_offset(&self, partition: &TopicPartition) -> Error {
        let what = format!("group {} has committed no offset of {partition}", self.group);
        Error::new(ErrorKind::NoOffset).what(what).fix("say where to start: earliest or latest")
    }

    fn failed(&self, failure: &Failure) -> Error {
        let error = match failure {
            Failure::Refused { code, .. } => Error::refused(*code),
            Failure::Protocol(_) => Error::new(ErrorKind::Malformed),
        };
        error.doing(format!("taking part in group {}", self.group)).what(failure.to_string())
    }

    fn refused(&self, refusal: &Refusal) -> Error {
        let error = match refusal {
            Refusal::Retired(_) => Error::new(ErrorKind::Retired),
            Refusal::Unanswered(_) => Error::new(ErrorKind::TimedOut).written_perhaps(true),
            Refusal::Code(_, code) => Error::refused(*code),
        };
        error.doing(format!("committing in group {}", self.group)).what(refusal.to_string())
    }
}

fn commit(commit: Commit) -> member::Commit {
    let Commit { topic_partition, assignment, offset, leader_epoch, metadata } = commit;
    let assignment = member::AssignmentId(assignment.0);
    member::Commit {
        partition: topic_partition,
        assignment,
        offset,
        leader_epoch,
        metadata,
        backwards: false,
    }
}
