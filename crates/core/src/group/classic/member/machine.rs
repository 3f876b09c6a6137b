//! What a member does next: its stages, its timers, and what its owner tells it. What brokers answer is in `answers`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use vltava_wire::messages::{
    group::{
        HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponseMember,
        SyncGroupRequest, SyncGroupRequestAssignment,
    },
    offsets::OffsetCommitRequest,
};

use crate::{
    Moment, Rng, TopicPartition,
    group::{
        assign::{Assignor, Range, Subscriber},
        classic::protocol,
        member::{Ask, AssignmentId, CallId, Commit, CommitId, Commits, Config, Failure, Step, Ticket},
    },
};

/// The one way of sharing out that is offered.
pub(super) const PROTOCOL: &str = "range";
/// What a join may take beyond the rebalance that it waits for.
const JOIN_GRACE: Duration = Duration::from_secs(5);

/// One member of one group.
#[derive(Debug)]
pub struct Member {
    pub(super) config: Config,
    rng: Rng,
    pub(super) coordinator: Coordinator,
    pub(super) stage: Stage,
    /// Empty until the coordinator has given one.
    pub(super) member_id: String,
    /// -1 while the member is in no generation.
    pub(super) generation: i32,
    pub(super) heartbeat: Heartbeat,
    pub(super) commits: Commits,
    /// The generation of the commit in flight, and when the next may be sent.
    pub(super) commit_generation: i32,
    pub(super) commit_at: Moment,
    pub(super) assigned: BTreeSet<TopicPartition>,
    /// What the leader shared out last: counts of the topics of all members.
    counts: Option<BTreeMap<String, i32>>,
    /// Whether they are others by now.
    counts_changed: bool,
    pub(super) failures: u32,
    calls: u64,
    assignments: u64,
    tickets: u64,
    pub(super) steps: VecDeque<Step>,
}

#[derive(Debug)]
pub(super) enum Coordinator {
    Unknown { ask_at: Moment },
    Asked(CallId),
    Known,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Wants to join, from then on.
    Apart {
        join_at: Moment,
    },
    Joining(CallId),
    /// Leads, and waits to be told how many partitions there are.
    Counting(Vec<Subscriber>),
    Syncing(CallId),
    Stable,
    /// Gives back what it has. Without a ticket, only the last commits are waited for.
    Revoking {
        ticket: Option<Ticket>,
        deadline: Moment,
    },
    /// Goes, once the last commits are stored.
    Leaving {
        call: Option<CallId>,
        deadline: Moment,
    },
    /// Has left or failed.
    Gone,
}

#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    pub(super) next: Moment,
    pub(super) call: Option<CallId>,
    pub(super) sent: Moment,
    /// When the last one was sent that found the group at rest.
    pub(super) rested: Moment,
}

impl Member {
    /// A member that begins to join at the first `poll`.
    pub fn new(config: Config, rng: Rng) -> Self {
        let start = Moment::default();
        Self {
            config,
            rng,
            coordinator: Coordinator::Unknown { ask_at: start },
            stage: Stage::Apart { join_at: start },
            member_id: String::new(),
            generation: -1,
            heartbeat: Heartbeat::default(),
            commits: Commits::default(),
            commit_generation: -1,
            commit_at: start,
            assigned: BTreeSet::new(),
            counts: None,
            counts_changed: false,
            failures: 0,
            calls: 0,
            assignments: 0,
            tickets: 0,
            steps: VecDeque::new(),
        }
    }

    /// The group's name for the member and its generation, while it is in one.
    pub fn identity(&self) -> Option<(&str, i32)> {
        (self.generation >= 0).then_some((&*self.member_id, self.generation))
    }

    /// One of its partitions is read again from further back, since its log is another: commits of what was read
    /// before do not count any more, and the next may be lower. Gives the number under which it goes on, and what is
    /// stored of it, as far as it was committed under the one before. None if it is not the member's.
    pub fn start_over(&mut self, partition: &TopicPartition) -> Option<(AssignmentId, Option<i64>)> {
        if !self.assigned.contains(partition) {
            return None;
        }
        self.assignments += 1;
        let assignment = AssignmentId(self.assignments);
        Some((assignment, self.commits.start_over(partition, assignment)))
    }

    /// Asks for commits; a `Committed` with this id follows.
    pub fn commit(&mut self, id: CommitId, commits: Vec<Commit>) {
        self.commits.push(id, commits);
    }

    /// How many partitions there are: the answer to `Count`, and whenever metadata came. A leader whose topics
    /// have changed has the group share out anew.
    pub fn on_counts(&mut self, counts: &BTreeMap<String, i32>) {
        if let Stage::Counting(members) = &mut self.stage {
            let members = std::mem::take(members);
            return self.share_out(&members, counts);
        }
        let Some(known) = &self.counts else { return };
        self.counts_changed |=
            known.iter().any(|(topic, known)| counts.get(topic).is_some_and(|it| it != known));
    }

    /// It wants other topics from now on: the group shares out anew.
    pub fn subscribe(&mut self, topics: BTreeSet<String>) {
        self.counts_changed |= topics != self.config.topics;
        self.config.topics = topics;
    }

    /// Its user is stuck: what it has is lost, and the group is left, until `on_back`.
    pub fn on_away(&mut self, now: Moment) {
        let member_id = std::mem::take(&mut self.member_id);
        self.lose(now);
        if let Stage::Apart { join_at } = &mut self.stage {
            *join_at = Moment(u64::MAX);
            if !member_id.is_empty() {
                self.call(Ask::Leave(member_id), self.config.request_timeout);
            }
        }
    }

    /// Its user is back: it joins again.
    pub fn on_back(&mut self, now: Moment) {
        if let Stage::Apart { join_at } = &mut self.stage {
            *join_at = (*join_at).min(now);
        }
    }

    /// What was revoked is at rest, and all that is to be committed has been asked for.
    pub fn on_ticket(&mut self, ticket: Ticket) {
        if let Stage::Revoking { ticket: out, .. } = &mut self.stage {
            out.take_if(|it| *it == ticket);
        }
    }

    /// Leaves the group, after the commits that were asked for or at the deadline; `Left` follows.
    pub fn leave(&mut self, deadline: Moment) {
        if !matches!(self.stage, Stage::Leaving { .. } | Stage::Gone) {
            self.stage = Stage::Leaving { call: None, deadline };
        }
    }

    /// What to do next. Call it until there is nothing, after every other call and at `deadline`.
    pub fn poll(&mut self, now: Moment) -> Option<Step> {
        self.report_commits();
        if self.steps.is_empty() {
            self.find_coordinator(now);
            self.go_on(now);
            self.send_heartbeat(now);
            self.send_commits(now);
            self.report_commits();
        }
        self.steps.pop_front()
    }

    /// When `poll` has something to do that nobody asked for.
    pub fn deadline(&self) -> Option<Moment> {
        let knows = matches!(self.coordinator, Coordinator::Known);
        let stage = match &self.stage {
            Stage::Gone => return None,
            Stage::Apart { join_at } => knows.then_some(*join_at),
            Stage::Revoking { deadline, .. } | Stage::Leaving { deadline, .. } => Some(*deadline),
            Stage::Joining(_) | Stage::Counting(_) | Stage::Syncing(_) | Stage::Stable => None,
        };
        let find = match self.coordinator {
            Coordinator::Unknown { ask_at } => Some(ask_at),
            Coordinator::Asked(_) | Coordinator::Known => None,
        };
        let heartbeat = (knows && self.may_beat()).then_some(self.heartbeat.next);
        let commit = (knows && self.may_commit() && self.commits.wants_to_send()).then_some(self.commit_at);
        [stage, find, heartbeat, commit].into_iter().flatten().min()
    }

    fn find_coordinator(&mut self, now: Moment) {
        let Coordinator::Unknown { ask_at } = self.coordinator else { return };
        if ask_at > now || matches!(self.stage, Stage::Gone) {
            return;
        }
        let call = self.call(Ask::FindCoordinator, self.config.request_timeout);
        self.coordinator = Coordinator::Asked(call);
    }

    /// Moves to the next stage, if this one is over.
    fn go_on(&mut self, now: Moment) {
        let knows = matches!(self.coordinator, Coordinator::Known);
        match self.stage {
            Stage::Stable if self.counts_changed => {
                self.heartbeat.rested = now;
                self.give_back(now);
            }
            Stage::Apart { join_at } if knows && join_at <= now => self.join(),
            Stage::Revoking { ticket, deadline }
                if deadline <= now || (ticket.is_none() && self.commits.is_idle_of(&self.assigned)) =>
            {
                self.part(now);
                self.go_on(now);
            }
            Stage::Leaving { deadline, .. } if deadline <= now || self.member_id.is_empty() => self.end(),
            Stage::Leaving { call: None, .. } if knows && self.commits.is_idle() => self.ask_to_leave(),
            _ => (),
        }
    }

    fn join(&mut self) {
        let protocol = JoinGroupRequestProtocol {
            name: PROTOCOL.to_owned(),
            metadata: protocol::subscription(&Subscriber {
                topics: self.config.topics.clone(),
                ..Subscriber::default()
            }),
        };
        let request = JoinGroupRequest {
            group_id: self.config.group_id.clone(),
            session_timeout_ms: millis(self.config.session_timeout),
            rebalance_timeout_ms: millis(self.config.rebalance_timeout),
            member_id: self.member_id.clone(),
            protocol_type: protocol::PROTOCOL_TYPE.to_owned(),
            protocols: vec![protocol],
            ..JoinGroupRequest::default()
        };
        let timeout = self.config.rebalance_timeout + JOIN_GRACE;
        let call = self.call(Ask::Join(request), timeout);
        self.stage = Stage::Joining(call);
    }

    /// The member leads: asks how much there is to share out.
    pub(super) fn lead(&mut self, members: Vec<JoinGroupResponseMember>) {
        // Whoever cannot be understood gets nothing; the others need not suffer for it.
        let subscriber = |member: JoinGroupResponseMember| {
            let (member_id, instance_id) = (member.member_id.clone(), member.group_instance_id.clone());
            let nothing = || Subscriber { member_id, instance_id, ..Subscriber::default() };
            protocol::subscribed(member).unwrap_or_else(|_| nothing())
        };
        let members: Vec<Subscriber> = members.into_iter().map(subscriber).collect();
        let topics = members.iter().flat_map(|member| member.topics.iter().cloned()).collect();
        self.steps.push_back(Step::Count(topics));
        self.stage = Stage::Counting(members);
    }

    fn share_out(&mut self, members: &[Subscriber], counts: &BTreeMap<String, i32>) {
        let topics = members.iter().flat_map(|member| &member.topics);
        let counts: BTreeMap<String, i32> =
            topics.map(|topic| (topic.clone(), counts.get(topic).copied().unwrap_or(0))).collect();
        let existing =
            counts.iter().map(|(topic, count)| (&**topic, usize::try_from(*count).unwrap_or(0))).collect();
        let assign = |(member, share): (&Subscriber, Vec<TopicPartition>)| SyncGroupRequestAssignment {
            member_id: member.member_id.clone(),
            assignment: protocol::assignment(&share),
        };
        let shares = Range.assign(&existing, members);
        let assignments = members.iter().zip(shares).map(assign).collect();
        self.counts = Some(counts);
        self.sync(assignments);
    }

    pub(super) fn sync(&mut self, assignments: Vec<SyncGroupRequestAssignment>) {
        let request = SyncGroupRequest {
            group_id: self.config.group_id.clone(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            protocol_type: Some(protocol::PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(PROTOCOL.to_owned()),
            assignments,
            ..SyncGroupRequest::default()
        };
        let call = self.call(Ask::Sync(request), self.config.rebalance_timeout + JOIN_GRACE);
        self.stage = Stage::Syncing(call);
    }

    pub(super) fn take(&mut self, now: Moment, partitions: BTreeSet<TopicPartition>) {
        self.assignments += 1;
        let assignment = AssignmentId(self.assignments);
        self.commits.assign(assignment, &partitions);
        self.assigned = partitions.clone();
        self.stage = Stage::Stable;
        self.heartbeat.rested = now;
        self.heartbeat.next = now + self.config.heartbeat_interval;
        self.steps.push_back(Step::Assigned(assignment, partitions));
    }

    /// The group rebalances: gives back what there is before joining again. The time for that began when the
    /// group was last seen at rest; a tenth of it is left for the join to arrive.
    pub(super) fn give_back(&mut self, now: Moment) {
        if self.assigned.is_empty() {
            return self.part(now);
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let deadline = (self.heartbeat.rested + self.config.rebalance_timeout * 9 / 10).max(now);
        self.steps.push_back(Step::Revoked { ticket, partitions: self.assigned.clone(), deadline });
        self.stage = Stage::Revoking { ticket: Some(ticket), deadline };
    }

    /// The membership is over without notice. A member that was leaving need not come back.
    pub(super) fn lose(&mut self, now: Moment) {
        if !self.assigned.is_empty() {
            self.steps.push_back(Step::Lost(self.assigned.clone()));
        }
        self.part(now);
    }

    /// Leaves the generation, with empty hands, and joins the next.
    pub(super) fn part(&mut self, join_at: Moment) {
        self.retire();
        if !matches!(self.stage, Stage::Leaving { .. } | Stage::Gone) {
            self.stage = Stage::Apart { join_at };
        }
    }

    fn retire(&mut self) {
        self.generation = -1;
        self.heartbeat.call = None;
        self.commits.retire(&std::mem::take(&mut self.assigned));
        self.counts = None;
        self.counts_changed = false;
    }

    fn may_beat(&self) -> bool {
        let stays = match self.stage {
            Stage::Counting(_) | Stage::Stable | Stage::Revoking { .. } => true,
            Stage::Leaving { call, .. } => call.is_none(),
            Stage::Apart { .. } | Stage::Joining(_) | Stage::Syncing(_) | Stage::Gone => false,
        };
        stays && self.generation >= 0 && self.heartbeat.call.is_none()
    }

    fn send_heartbeat(&mut self, now: Moment) {
        let knows = matches!(self.coordinator, Coordinator::Known);
        if !knows || !self.may_beat() || self.heartbeat.next > now {
            return;
        }
        let request = HeartbeatRequest {
            group_id: self.config.group_id.clone(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            ..HeartbeatRequest::default()
        };
        // A connection that is dead without a word must be noticed while the session lasts.
        let timeout = self.config.request_timeout.min(self.config.session_timeout / 3);
        self.heartbeat.sent = now;
        self.heartbeat.next = now + self.config.heartbeat_interval;
        self.heartbeat.call = Some(self.call(Ask::Heartbeat(request), timeout));
    }

    fn may_commit(&self) -> bool {
        let stays =
            matches!(self.stage, Stage::Stable | Stage::Revoking { .. } | Stage::Leaving { call: None, .. });
        stays && self.generation >= 0
    }

    fn send_commits(&mut self, now: Moment) {
        let knows = matches!(self.coordinator, Coordinator::Known);
        if !knows || !self.may_commit() || !self.commits.wants_to_send() || self.commit_at > now {
            return;
        }
        let call = self.next_call();
        let request = OffsetCommitRequest {
            group_id: self.config.group_id.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.member_id.clone(),
            topics: self.commits.send(call),
            ..OffsetCommitRequest::default()
        };
        self.commit_generation = self.generation;
        let timeout = self.config.request_timeout;
        self.steps.push_back(Step::Call { call, ask: Ask::Commit(request), timeout });
    }

    fn ask_to_leave(&mut self) {
        let call = self.call(Ask::Leave(self.member_id.clone()), self.config.request_timeout);
        if let Stage::Leaving { call: asked, .. } = &mut self.stage {
            *asked = Some(call);
        }
    }

    pub(super) fn end(&mut self) {
        self.stop(Step::Left);
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        if !self.assigned.is_empty() {
            self.steps.push_back(Step::Lost(self.assigned.clone()));
        }
        self.stop(Step::Failed(failure));
    }

    fn stop(&mut self, last: Step) {
        self.retire();
        self.commits.abandon();
        self.stage = Stage::Gone;
        self.report_commits();
        self.steps.push_back(last);
    }

    fn report_commits(&mut self) {
        let finished = self.commits.finished();
        self.steps.extend(finished.into_iter().map(|(id, outcome)| Step::Committed(id, outcome)));
    }

    pub(super) fn pause(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.config.backoff.after(self.failures, &mut self.rng)
    }

    fn next_call(&mut self) -> CallId {
        self.calls += 1;
        CallId(self.calls)
    }

    fn call(&mut self, ask: Ask, timeout: Duration) -> CallId {
        let call = self.next_call();
        self.steps.push_back(Step::Call { call, ask, timeout });
        call
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
