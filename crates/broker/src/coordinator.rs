//! The shell around the machine of all groups: a lock, the requests that wait in it, its deadlines; and the log, which
//! has to have what the machine records before anybody is told.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::{Notify, oneshot, watch};
use tracing::{error, info, warn};
use vltava_core::{
    Clock, Moment, Rng, TopicPartition,
    group::coordinator::{self, Groups, Join, Needs, Output, Record, Reply, Token},
};
use vltava_wire::{
    ErrorCode,
    messages::{JoinGroupRequest, JoinGroupResponse, ListGroupsRequest, SyncGroupRequest, SyncGroupResponse},
};

use crate::{
    GroupOptions,
    call::Answer,
    ledger::{offsets::Commit, topics::Topic},
    log::{Log, Position, Refused},
};

/// All groups of this broker.
pub(crate) struct Coordinator {
    clock: Arc<dyn Clock>,
    log: Log,
    offsets_retention: Duration,
    /// So often is looked for offsets that nobody needs any more.
    sweep_interval: Duration,
    state: Mutex<State>,
    /// Its deadline came closer.
    wake: Notify,
}

struct State {
    groups: Groups,
    waiting: BTreeMap<Token, Waiting>,
    next_token: u64,
    /// What is to be written, in order. Where the disk does not take it, it is tried again before anybody is told
    /// anything.
    unwritten: VecDeque<Record>,
    /// Where the journal was after the last record.
    recorded: Position,
}

/// Where the answer to a request goes.
enum Waiting {
    Join(oneshot::Sender<Recorded<JoinGroupResponse>>),
    Sync(oneshot::Sender<Recorded<SyncGroupResponse>>),
}

/// What the groups answer. It may be told once the position is settled, and not at all if there is none.
pub(crate) struct Recorded<T> {
    pub(crate) answer: T,
    pub(crate) position: Result<Position, ErrorCode>,
}

impl Coordinator {
    /// With the groups that the log has.
    pub(crate) fn new(clock: Arc<dyn Clock>, log: Log, options: GroupOptions, rng: Rng) -> Self {
        let mut groups = Groups::new(options.limits.clone(), rng);
        for topic in log.topics() {
            groups.on_topic(&topic.name, Some(shape(&topic)));
        }
        groups.restore(clock.now(), &log.groups());
        let state = State {
            groups,
            waiting: BTreeMap::new(),
            next_token: 0,
            unwritten: VecDeque::new(),
            recorded: log.ledger_position(),
        };
        Self {
            clock,
            log,
            offsets_retention: options.offsets_retention,
            sweep_interval: options.offsets_retention_check_interval,
            state: Mutex::new(state),
            wake: Notify::new(),
        }
    }

    /// A member joins. The group learns if the answer is dropped unread.
    pub(crate) fn join(
        self: &Arc<Self>,
        version: i16,
        client_id: String,
        client_host: String,
        request: JoinGroupRequest,
    ) -> Parked<JoinGroupResponse> {
        self.park(Waiting::Join, |groups, now, token| {
            groups.on_join(now, Join { token, version, client_id, client_host, request });
        })
    }

    /// A member asks for its assignment. The group learns if the answer is dropped unread.
    pub(crate) fn sync(self: &Arc<Self>, request: SyncGroupRequest) -> Parked<SyncGroupResponse> {
        self.park(Waiting::Sync, |groups, now, token| groups.on_sync(now, token, request))
    }

    fn park<T>(
        self: &Arc<Self>,
        waiting: fn(oneshot::Sender<Recorded<T>>) -> Waiting,
        ask: impl FnOnce(&mut Groups, Moment, Token),
    ) -> Parked<T> {
        let (sender, receiver) = oneshot::channel();
        let asked = self.with(|state, now| {
            let token = Token(state.next_token);
            state.next_token += 1;
            state.waiting.insert(token, waiting(sender));
            ask(&mut state.groups, now, token);
            token
        });
        Parked { token: asked.answer, receiver, coordinator: self.clone() }
    }

    /// A topic came or went, and what members share out may change.
    pub(crate) fn on_topic(&self, name: &str) {
        // What there is by now, so that it does not matter who comes first after two changes.
        let topic = || self.log.topic(name).map(|topic| shape(&topic));
        self.with(|state, _| state.groups.on_topic(name, topic()));
    }

    /// Asks the groups what needs no waiting, save for what they record.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&mut Groups, Moment) -> T) -> Recorded<T> {
        self.with(|state, now| ask(&mut state.groups, now))
    }

    /// Wakes the groups at their deadlines, and has offsets go that nobody needs, until the broker stops.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut next_sweep = self.clock.now() + self.sweep_interval;
        loop {
            if self.clock.now() >= next_sweep {
                next_sweep = self.clock.now() + self.sweep_interval;
                self.sweep();
            }
            let deadline = self.with(|state, _| state.groups.deadline()).answer;
            let sleep = self.clock.sleep_until(deadline.map_or(next_sweep, |it| it.min(next_sweep)));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.wake.notified() => (),
                () = sleep => (),
            }
        }
    }

    /// Has offsets go that nobody needs any more, and groups that have neither members nor offsets.
    fn sweep(&self) {
        let with_offsets = self.log.groups_with_offsets();
        let empty = ListGroupsRequest { states_filter: vec!["Empty".to_owned()], ..Default::default() };
        let others = with_offsets.iter().map(String::as_str);
        let empty = self.ask(|groups, _| groups.list(&empty, others)).answer;
        let all: BTreeSet<_> = empty.into_iter().map(|it| it.group_id).chain(with_offsets).collect();
        for group_id in all {
            self.with(|state, _| self.expire(&mut state.groups, &group_id));
        }
    }

    /// The same of one group, under the lock of all, so that no commit comes in between.
    fn expire(&self, groups: &mut Groups, group_id: &str) {
        let (needs, now) = (groups.needs(group_id), self.clock.wall());
        let committed = self.log.all_committed(group_id);
        let count = committed.len();
        let has_expired = |(at, commit): &(TopicPartition, Commit)| {
            needs.has_expired(&at.topic, commit.timestamp, now, self.offsets_retention)
        };
        let expired: Vec<_> = committed.into_iter().filter(has_expired).map(|(at, _)| at).collect();
        if expired.len() == count && matches!(needs, Needs::Nobody { .. }) {
            // It is there, as it was found; and is it not, then nothing has to go.
            if groups.on_delete(group_id, count > 0).is_ok() {
                info!(group = group_id, "group expired");
            }
            return;
        }
        if expired.is_empty() {
            return;
        }
        info!(group = group_id, partitions = expired.len(), "offsets expired");
        if let Err(refused) = self.log.forget_offsets(group_id, &expired) {
            warn!(group = group_id, ?refused, "old offsets stay for now");
        }
    }

    /// Does something with the groups, then writes what they record and sends what they answer.
    fn with<T>(&self, act: impl FnOnce(&mut State, Moment) -> T) -> Recorded<T> {
        let now = self.clock.now();
        let mut state = self.state.lock().expect("no group panics");
        let before = state.groups.deadline();
        let answer = act(&mut state, now);
        let mut replies = Vec::new();
        while let Some(output) = state.groups.poll(now, self.clock.wall()) {
            match output {
                Output::Record(record) => state.unwritten.push_back(record),
                Output::Reply(reply) => replies.push(reply),
            }
        }
        let position = state.write(&self.log);
        replies.into_iter().for_each(|reply| state.send(reply, position));
        let after = state.groups.deadline();
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.wake.notify_one();
        }
        Recorded { answer, position }
    }
}

/// A topic as the groups know it.
fn shape(topic: &Topic) -> coordinator::Topic {
    coordinator::Topic { id: topic.id, partitions: topic.partitions() }
}

impl State {
    /// Writes what is to be written. Says when what the groups answer may be told, or what is told instead.
    fn write(&mut self, log: &Log) -> Result<Position, ErrorCode> {
        while let Some(record) = self.unwritten.front_mut() {
            match log.record_group(record) {
                Ok(position) => self.recorded = position,
                Err(Refused::Broken(error)) => {
                    warn!(%error, "no group can change");
                    // As Kafka has it: members ask again.
                    return Err(ErrorCode::CoordinatorNotAvailable);
                }
                // Its members join anew after a restart, in a generation that follows.
                Err(Refused::Code(_)) if forget_members(record) => {
                    warn!(?record, "a group is too large to outlive a restart with its members");
                    continue;
                }
                // It would never be written, and no other after it.
                Err(Refused::Code(code)) => {
                    error!(?code, "a change to a group is too large to outlive a restart");
                    self.unwritten.pop_front();
                    return Err(ErrorCode::UnknownServerError);
                }
            }
            self.unwritten.pop_front();
        }
        Ok(self.recorded)
    }

    fn send(&mut self, reply: Reply, position: Result<Position, ErrorCode>) {
        let waiting = self.waiting.remove(&reply.token);
        // Who asked may be gone meanwhile; then there is nobody to tell.
        match (waiting, reply.answer) {
            (Some(Waiting::Join(sender)), coordinator::Answer::Join(answer)) => {
                drop(sender.send(Recorded { answer, position }));
            }
            (Some(Waiting::Sync(sender)), coordinator::Answer::Sync(answer)) => {
                drop(sender.send(Recorded { answer, position }));
            }
            (Some(_), _) => unreachable!("a join was answered as a sync, or a sync as a join"),
            (None, _) => (),
        }
    }
}

/// Leaves the members of a classic group out of what is written of it; false if there are none.
fn forget_members(record: &mut Record) -> bool {
    let Record::Classic(group) = record else { return false };
    !std::mem::take(&mut group.members).is_empty()
}

impl<T: Send + 'static> Recorded<T> {
    /// The answer once it may be told, or what `failed` makes of the reason why it never may.
    pub(crate) fn once_settled(
        self,
        log: &Log,
        failed: impl FnOnce(ErrorCode) -> T + Send + 'static,
    ) -> Answer<T> {
        match self.position {
            Err(code) => Answer::Now(failed(code)),
            Ok(position) if log.is_settled(position) => Answer::Now(self.answer),
            Ok(position) => {
                let log = log.clone();
                Answer::Later(Box::pin(async move {
                    match log.settled(position).await {
                        Ok(()) => self.answer,
                        Err(_) => failed(ErrorCode::CoordinatorNotAvailable),
                    }
                }))
            }
        }
    }
}

/// A request that waits for its group.
pub(crate) struct Parked<T> {
    token: Token,
    receiver: oneshot::Receiver<Recorded<T>>,
    coordinator: Arc<Coordinator>,
}

impl<T> Parked<T> {
    /// The answer, or why there is none: the broker stops, or cannot keep what it would tell.
    pub(crate) async fn answer(mut self) -> Result<T, ErrorCode> {
        let gone = ErrorCode::CoordinatorNotAvailable;
        let Recorded { answer, position } = (&mut self.receiver).await.map_err(|_| gone)?;
        self.coordinator.log.settled(position?).await.map_err(|_| gone)?;
        Ok(answer)
    }
}

impl<T> Drop for Parked<T> {
    fn drop(&mut self) {
        let token = self.token;
        self.coordinator.with(|state, now| {
            if state.waiting.remove(&token).is_some() {
                state.groups.on_gone(now, token);
            }
        });
    }
}
