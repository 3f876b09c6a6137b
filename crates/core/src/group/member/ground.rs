//! What members of both protocols stand on: who coordinates, what they hold, what is revoked, when they were last
//! heard of, and their commits. When to join, beat and share out is the protocol's.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use vltava_wire::{
    Class, ErrorCode,
    messages::{
        group::Coordinator as Found,
        offsets::{OffsetCommitRequest, OffsetCommitResponse},
    },
};

use super::{
    Ask, AssignmentId, CallId, CommitId, Commits, Config, Failure, Parting, Refusal, Step, Ticket, Verdict,
};
use crate::{Moment, Rng, TopicPartition};

/// Of the time that a rebalance waits, a tenth is left for what comes after the partitions are at rest.
const REVOKING_TENTHS: u32 = 9;

#[derive(Debug)]
pub(in crate::group) struct Ground {
    pub(in crate::group) config: Config,
    pub(in crate::group) rng: Rng,
    coordinator: Coordinator,
    pub(in crate::group) member_id: String,
    /// The generation, or the member epoch; below one, or zero, while the member is in no group.
    pub(in crate::group) epoch: i32,
    /// What the member has, what is being revoked included.
    held: BTreeSet<TopicPartition>,
    revoking: Option<Revoking>,
    leaving: Option<Leaving>,
    pub(in crate::group) beat: Beat,
    commits: Commits,
    /// The epoch of the commit in flight, and when the next may be sent.
    commit_epoch: i32,
    commit_at: Moment,
    pub(in crate::group) failures: u32,
    calls: u64,
    assignments: u64,
    tickets: u64,
    pub(in crate::group) steps: VecDeque<Step>,
    /// Keeps out of the group, as its owner is stuck.
    pub(super) is_away: bool,
    /// Has left or failed.
    is_over: bool,
}

#[derive(Debug)]
enum Coordinator {
    Unknown { ask_at: Moment },
    Asked(CallId),
    Known,
}

/// Partitions that are given back. Without a ticket, only their last commits are waited for.
#[derive(Debug)]
struct Revoking {
    ticket: Option<Ticket>,
    partitions: BTreeSet<TopicPartition>,
    deadline: Moment,
}

#[derive(Debug, Clone, Copy)]
struct Leaving {
    call: Option<CallId>,
    deadline: Moment,
    parting: Parting,
}

/// The signs of life.
#[derive(Debug, Default)]
pub(in crate::group) struct Beat {
    pub(in crate::group) next: Moment,
    pub(in crate::group) call: Option<CallId>,
    pub(in crate::group) sent: Moment,
    /// When the last one was sent that was answered well: until a session after that, the member is certainly known.
    pub(in crate::group) heard: Moment,
}

impl Ground {
    pub(in crate::group) fn new(config: Config, rng: Rng) -> Self {
        let start = Moment::default();
        Self {
            config,
            rng,
            coordinator: Coordinator::Unknown { ask_at: start },
            member_id: String::new(),
            epoch: -1,
            held: BTreeSet::new(),
            revoking: None,
            leaving: None,
            beat: Beat::default(),
            commits: Commits::default(),
            commit_epoch: -1,
            commit_at: start,
            failures: 0,
            calls: 0,
            assignments: 0,
            tickets: 0,
            steps: VecDeque::new(),
            is_away: false,
            is_over: false,
        }
    }

    pub(in crate::group) fn is_over(&self) -> bool {
        self.is_over
    }

    // The coordinator

    pub(in crate::group) fn knows_coordinator(&self) -> bool {
        matches!(self.coordinator, Coordinator::Known)
    }

    pub(super) fn find_coordinator(&mut self, now: Moment) {
        if !matches!(self.coordinator, Coordinator::Unknown { ask_at } if ask_at <= now) {
            return;
        }
        let call = self.call(Ask::FindCoordinator, self.config.request_timeout);
        self.coordinator = Coordinator::Asked(call);
    }

    /// Says whether a coordinator is known by this.
    pub(super) fn on_found(&mut self, now: Moment, call: CallId, found: &Found) -> bool {
        if !matches!(self.coordinator, Coordinator::Asked(it) if it == call) {
            return false;
        }
        let code = ErrorCode::from(found.error_code);
        match code.class() {
            Class::Success => {
                self.coordinator = Coordinator::Known;
                self.beat.next = self.beat.next.min(now);
                return true;
            }
            Class::Fatal | Class::Denied => {
                self.fail(Failure::Refused { asked: "finding the coordinator", code });
            }
            _ => {
                let pause = self.pause();
                self.lose_coordinator(now + pause);
            }
        }
        false
    }

    /// It is another, or cannot be reached: asks anew from then on.
    pub(in crate::group) fn lose_coordinator(&mut self, ask_at: Moment) {
        self.coordinator = Coordinator::Unknown { ask_at };
    }

    /// A call came to nothing. Says when to try again.
    pub(super) fn on_broken(&mut self, now: Moment, call: CallId) -> Moment {
        let again = now + self.pause();
        self.commits.on_broken(call);
        if let Some(leaving) = &mut self.leaving {
            leaving.call.take_if(|it| *it == call);
        }
        if !matches!(self.coordinator, Coordinator::Asked(it) if it != call) {
            self.lose_coordinator(again);
        }
        again
    }

    // What it holds

    pub(in crate::group) fn held(&self) -> &BTreeSet<TopicPartition> {
        &self.held
    }

    pub(in crate::group) fn is_revoking(&self) -> bool {
        self.revoking.is_some()
    }

    pub(in crate::group) fn assign(&mut self, added: BTreeSet<TopicPartition>) {
        self.assignments += 1;
        let assignment = AssignmentId(self.assignments);
        self.commits.assign(assignment, &added);
        self.held.extend(added.iter().cloned());
        self.steps.push_back(Step::Assigned(assignment, added));
    }

    /// Has partitions given back, at the latest when most of the rebalance timeout from `since` is over.
    pub(in crate::group) fn revoke(
        &mut self,
        partitions: BTreeSet<TopicPartition>,
        since: Moment,
        now: Moment,
    ) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let deadline = (since + self.config.rebalance_timeout * REVOKING_TENTHS / 10).max(now);
        self.steps.push_back(Step::Revoked { ticket, partitions: partitions.clone(), deadline });
        self.revoking = Some(Revoking { ticket: Some(ticket), partitions, deadline });
    }

    pub(super) fn on_ticket(&mut self, ticket: Ticket) {
        if let Some(revoking) = &mut self.revoking {
            revoking.ticket.take_if(|it| *it == ticket);
        }
    }

    /// Ends the revocation if it is at its end: what was revoked is given back.
    pub(in crate::group) fn has_given_back(&mut self, now: Moment) -> bool {
        let Some(revoking) = &self.revoking else { return false };
        let is_at_rest = revoking.ticket.is_none() && self.commits.is_idle_of(&revoking.partitions);
        if revoking.deadline > now && !is_at_rest {
            return false;
        }
        let Some(Revoking { partitions, .. }) = self.revoking.take() else { return false };
        self.drop_partitions(&partitions);
        true
    }

    /// All that is held is lost, and the membership with it.
    pub(in crate::group) fn lose(&mut self) {
        let lost = std::mem::take(&mut self.held);
        if !lost.is_empty() {
            self.steps.push_back(Step::Lost(lost.clone()));
        }
        self.drop_partitions(&lost);
        self.revoking = None;
        self.beat.call = None;
    }

    fn drop_partitions(&mut self, partitions: &BTreeSet<TopicPartition>) {
        self.held.retain(|it| !partitions.contains(it));
        self.commits.retire(partitions);
    }

    pub(super) fn start_over(&mut self, partition: &TopicPartition) -> Option<(AssignmentId, Option<i64>)> {
        if !self.held.contains(partition) {
            return None;
        }
        self.assignments += 1;
        let assignment = AssignmentId(self.assignments);
        Some((assignment, self.commits.start_over(partition, assignment)))
    }

    /// Whether the coordinator has not been heard for so long that it may have given everything to others.
    pub(super) fn is_forgotten(&self, now: Moment) -> bool {
        !self.held.is_empty() && self.beat.heard + self.config.session_timeout <= now
    }

    /// Speaks another protocol from now on, as nobody that anybody knows.
    pub(super) fn begin_anew(&mut self) {
        self.lose();
        self.member_id.clear();
        self.epoch = -1;
        self.beat.next = Moment::default();
    }

    // Leaving

    pub(super) fn leave(&mut self, deadline: Moment, parting: Parting) {
        if self.leaving.is_none() {
            self.leaving = Some(Leaving { call: None, deadline, parting });
        }
    }

    pub(in crate::group) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Whether the call that lets the member go is under way.
    pub(in crate::group) fn has_said_goodbye(&self) -> bool {
        self.leaving.is_some_and(|it| it.call.is_some())
    }

    /// How the member parts, once everything is committed. One that nobody knows, or not any more, is gone already.
    pub(super) fn parts(&mut self, now: Moment) -> Option<Parting> {
        let leaving = self.leaving?;
        if leaving.deadline <= now || self.member_id.is_empty() {
            self.end();
            return None;
        }
        let may_go = leaving.call.is_none() && self.knows_coordinator() && self.commits.is_idle();
        may_go.then_some(leaving.parting)
    }

    pub(super) fn say_goodbye(&mut self, ask: Ask) {
        let call = self.call(ask, self.config.request_timeout);
        if let Some(leaving) = &mut self.leaving {
            leaving.call = Some(call);
        }
    }

    /// Whether this was the answer to the goodbye; then the member has left.
    pub(in crate::group) fn on_goodbye(&mut self, call: CallId) -> bool {
        let is_it = self.leaving.is_some_and(|it| it.call == Some(call));
        if is_it {
            self.end();
        }
        is_it
    }

    pub(super) fn end(&mut self) {
        self.stop(Step::Left);
    }

    pub(in crate::group) fn fail(&mut self, failure: Failure) {
        self.lose();
        self.stop(Step::Failed(failure));
    }

    pub(in crate::group) fn refused(&mut self, asked: &'static str, code: ErrorCode) {
        self.fail(Failure::Refused { asked, code });
    }

    fn stop(&mut self, last: Step) {
        self.epoch = -1;
        self.beat.call = None;
        self.revoking = None;
        let held = std::mem::take(&mut self.held);
        self.commits.retire(&held);
        self.commits.abandon();
        self.is_over = true;
        self.report_commits();
        self.steps.push_back(last);
    }

    // Commits

    pub(super) fn commits(&mut self) -> &mut Commits {
        &mut self.commits
    }

    pub(super) fn send_commits(&mut self, now: Moment) {
        if !self.knows_coordinator() || !self.commits.wants_to_send() || self.commit_at > now {
            return;
        }
        let call = self.next_call();
        let request = OffsetCommitRequest {
            group_id: self.config.group_id.clone(),
            generation_id_or_member_epoch: self.epoch,
            member_id: self.member_id.clone(),
            group_instance_id: self.config.instance_id.clone(),
            topics: self.commits.send(call),
            ..OffsetCommitRequest::default()
        };
        self.commit_epoch = self.epoch;
        let timeout = self.config.request_timeout;
        self.steps.push_back(Step::Call { call, ask: Ask::Commit(request), timeout });
    }

    pub(super) fn on_committed(
        &mut self,
        now: Moment,
        call: CallId,
        response: &OffsetCommitResponse,
    ) -> Verdict {
        let verdict = self.commits.on_answer(call, response, self.commit_epoch == self.epoch);
        if verdict != Verdict::Settled {
            let pause = self.pause();
            self.commit_at = now + pause;
        }
        if verdict == Verdict::CoordinatorMoved {
            self.lose_coordinator(self.commit_at);
        }
        verdict
    }

    pub(super) fn report_commits(&mut self) {
        let finished: Vec<(CommitId, Result<(), Refusal>)> = self.commits.finished();
        self.steps.extend(finished.into_iter().map(|(id, outcome)| Step::Committed(id, outcome)));
    }

    // Time and numbers

    /// When something is to be done that is not the protocol's.
    pub(super) fn deadline(&self, may_commit: bool) -> Option<Moment> {
        let find = match self.coordinator {
            Coordinator::Unknown { ask_at } => Some(ask_at),
            Coordinator::Asked(_) | Coordinator::Known => None,
        };
        let commits = may_commit && self.knows_coordinator() && self.commits.wants_to_send();
        let forgotten = (!self.held.is_empty()).then(|| self.beat.heard + self.config.session_timeout);
        // Who leaves gives nothing back before it has left.
        let revoking = self.revoking.as_ref().filter(|_| !self.is_leaving()).map(|it| it.deadline);
        let leaving = self.leaving.map(|it| it.deadline);
        [find, commits.then_some(self.commit_at), forgotten, revoking, leaving].into_iter().flatten().min()
    }

    pub(in crate::group) fn pause(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.config.backoff.after(self.failures, &mut self.rng)
    }

    /// A connection that is dead without a word must be noticed while the session lasts.
    pub(in crate::group) fn beat_timeout(&self) -> Duration {
        self.config.request_timeout.min(self.config.session_timeout / 3)
    }

    fn next_call(&mut self) -> CallId {
        self.calls += 1;
        CallId(self.calls)
    }

    pub(in crate::group) fn call(&mut self, ask: Ask, timeout: Duration) -> CallId {
        let call = self.next_call();
        self.steps.push_back(Step::Call { call, ask, timeout });
        call
    }
}
