//! The commits of one member: merged by partition, one request in flight, forward only.
//!
//! A commit belongs to an assignment and ends with it: retired ones are refused here, whatever the coordinator
//! would say. What is not certain to be stored is sent again; a later commit of the same partition carries it along.
//! A broker may yet act on a request that was given up, after a later one: Kafka has no fence within a generation.
//! Then the stored offset is behind until the next commit, and at worst records come twice.

use std::collections::{BTreeMap, BTreeSet};

use vltava_wire::{
    Class, ErrorCode,
    messages::offsets::{OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse},
};

use super::{AssignmentId, CallId, Commit, CommitId, Refusal};
use crate::TopicPartition;

/// A broker that has just started may not know a topic yet. One that says so more often means it: the topic is gone.
const NOT_THERE_MAX: u32 = 10;

#[derive(Debug, Default)]
pub(in crate::group) struct Commits {
    assigned: BTreeMap<TopicPartition, AssignmentId>,
    pending: BTreeMap<TopicPartition, Entry>,
    in_flight: Option<InFlight>,
    /// What is stored, as far as this assignment committed it.
    stored: BTreeMap<TopicPartition, Commit>,
    waits: BTreeMap<CommitId, Wait>,
    finished: Vec<(CommitId, Result<(), Refusal>)>,
}

#[derive(Debug)]
struct Entry {
    commit: Commit,
    /// How often in a row its topic was said not to be there.
    not_there: u32,
    waiters: BTreeSet<CommitId>,
}

#[derive(Debug)]
struct InFlight {
    call: CallId,
    entries: BTreeMap<TopicPartition, Entry>,
}

#[derive(Debug, Default)]
struct Wait {
    partitions: usize,
    refused: Option<Refusal>,
}

/// What an answer to a commit means for the membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::group) enum Verdict {
    /// Nothing.
    Settled,
    /// Ask again after a pause.
    Retry,
    /// Find the coordinator and ask again.
    CoordinatorMoved,
    /// The group is rebalancing.
    Rebalance,
    /// The coordinator knows the member by a newer epoch.
    Stale,
    /// The coordinator does not take this member and generation any more.
    Expelled(ErrorCode),
}

impl Commits {
    /// From now on these partitions may be committed under this assignment.
    pub(in crate::group) fn assign(
        &mut self,
        assignment: AssignmentId,
        partitions: &BTreeSet<TopicPartition>,
    ) {
        for partition in partitions {
            self.assigned.insert(partition.clone(), assignment);
            self.stored.remove(partition);
        }
    }

    /// A partition is read again from further back, under another number: what waits of it is refused. Says what is
    /// stored of it, as far as it was committed under the number before.
    pub(in crate::group) fn start_over(
        &mut self,
        partition: &TopicPartition,
        assignment: AssignmentId,
    ) -> Option<i64> {
        self.assigned.insert(partition.clone(), assignment);
        if let Some(entry) = self.pending.remove(partition) {
            self.refuse(entry, Refusal::Retired(partition.clone()));
        }
        self.stored.remove(partition).map(|it| it.offset)
    }

    /// The assignment of these is over: what waits is refused, and what is in flight is settled by its answer.
    pub(in crate::group) fn retire(&mut self, partitions: &BTreeSet<TopicPartition>) {
        for partition in partitions {
            self.assigned.remove(partition);
            self.stored.remove(partition);
            if let Some(entry) = self.pending.remove(partition) {
                self.refuse(entry, Refusal::Retired(partition.clone()));
            }
        }
    }

    /// The end: what is in flight will not be waited for.
    pub(in crate::group) fn abandon(&mut self) {
        self.retire(&self.assigned.keys().cloned().collect());
        let Some(in_flight) = self.in_flight.take() else { return };
        for (partition, entry) in in_flight.entries {
            self.refuse(entry, Refusal::Unanswered(partition));
        }
    }

    /// Asks for commits. All of them are answered together, by `finished`.
    pub(in crate::group) fn push(&mut self, id: CommitId, commits: Vec<Commit>) {
        let wait = Wait { partitions: commits.len(), refused: None };
        if commits.is_empty() {
            self.finished.push((id, Ok(())));
            return;
        }
        self.waits.insert(id, wait);
        for commit in commits {
            self.push_one(id, commit);
        }
    }

    fn push_one(&mut self, id: CommitId, commit: Commit) {
        let partition = &commit.partition;
        if self.assigned.get(partition) != Some(&commit.assignment) {
            return self.settle(id, Some(Refusal::Retired(partition.clone())));
        }
        if let Some(pending) = self.pending.get_mut(partition) {
            if !pending.waiters.insert(id) {
                // The same request names the partition twice: it still gets one answer for both.
                self.waits.get_mut(&id).expect("it was just put in").partitions -= 1;
            }
            if commit.backwards || commit.offset >= pending.commit.offset {
                pending.commit = commit;
            }
            return;
        }
        let flying = self.in_flight.as_mut().and_then(|it| it.entries.get_mut(partition));
        if let Some(flying) = flying.filter(|it| it.commit.covers(&commit)) {
            if !flying.waiters.insert(id) {
                self.waits.get_mut(&id).expect("it was just put in").partitions -= 1;
            }
            return;
        }
        if self.stored.get(partition).is_some_and(|stored| stored.covers(&commit)) {
            return self.settle(id, None);
        }
        self.pending.insert(partition.clone(), Entry { commit, not_there: 0, waiters: BTreeSet::from([id]) });
    }

    /// Whether a request could be sent now.
    pub(in crate::group) fn wants_to_send(&self) -> bool {
        self.in_flight.is_none() && !self.pending.is_empty()
    }

    /// Whether everything that was asked for has been answered.
    pub(in crate::group) fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.pending.is_empty()
    }

    /// Whether everything that was asked for has been answered for these.
    pub(in crate::group) fn is_idle_of(&self, partitions: &BTreeSet<TopicPartition>) -> bool {
        let flies =
            |it: &TopicPartition| self.in_flight.as_ref().is_some_and(|all| all.entries.contains_key(it));
        !partitions.iter().any(|it| self.pending.contains_key(it) || flies(it))
    }

    /// Takes all that waits into one request.
    pub(in crate::group) fn send(&mut self, call: CallId) -> Vec<OffsetCommitRequestTopic> {
        let entries = std::mem::take(&mut self.pending);
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for (partition, Entry { commit, .. }) in &entries {
            if topics.last().is_none_or(|topic| topic.name != *partition.topic) {
                let name = partition.topic.to_string();
                topics.push(OffsetCommitRequestTopic { name, ..OffsetCommitRequestTopic::default() });
            }
            let topic = topics.last_mut().expect("it was just put in");
            topic.partitions.push(OffsetCommitRequestPartition {
                partition_index: partition.partition,
                committed_offset: commit.offset,
                committed_leader_epoch: commit.leader_epoch,
                committed_metadata: Some(commit.metadata.clone()),
            });
        }
        self.in_flight = Some(InFlight { call, entries });
        topics
    }

    /// The call failed: whether it was stored is not known.
    pub(in crate::group) fn on_broken(&mut self, call: CallId) {
        let Some(in_flight) = self.in_flight.take_if(|it| it.call == call) else { return };
        for (partition, entry) in in_flight.entries {
            self.again(partition, entry);
        }
    }

    /// The answer came; `current` says whether it speaks about the generation that the member still has. A
    /// partition that it leaves out is asked for again.
    pub(in crate::group) fn on_answer(
        &mut self,
        call: CallId,
        response: &OffsetCommitResponse,
        current: bool,
    ) -> Verdict {
        let Some(in_flight) = self.in_flight.take_if(|it| it.call == call) else { return Verdict::Settled };
        let mut codes = BTreeMap::new();
        for topic in &response.topics {
            for partition in &topic.partitions {
                let code = ErrorCode::from(partition.error_code);
                codes.insert(TopicPartition::new(&*topic.name, partition.partition_index), code);
            }
        }
        let mut verdict = Verdict::Settled;
        for (partition, entry) in in_flight.entries {
            let meaning = match codes.get(&partition) {
                Some(code) => classify(*code, current),
                None => Meaning::Again(Verdict::Retry),
            };
            match meaning {
                Meaning::Stored => self.store(partition, entry),
                Meaning::Refused(code) => self.refuse(entry, Refusal::Code(partition, code)),
                Meaning::NotThere(code) if entry.not_there >= NOT_THERE_MAX => {
                    self.refuse(entry, Refusal::Code(partition, code));
                }
                Meaning::NotThere(_) => {
                    verdict = Verdict::Retry;
                    let not_there = entry.not_there + 1;
                    self.again(partition, Entry { not_there, ..entry });
                }
                Meaning::Again(because) => {
                    verdict = because;
                    self.again(partition, entry);
                }
            }
        }
        verdict
    }

    fn store(&mut self, partition: TopicPartition, entry: Entry) {
        let stands = self.assigned.get(&partition) == Some(&entry.commit.assignment);
        for id in entry.waiters {
            self.settle(id, None);
        }
        if stands {
            self.stored.insert(partition, entry.commit);
        }
    }

    /// Waits for the next request, or goes along with a newer commit; unless its assignment is over.
    fn again(&mut self, partition: TopicPartition, mut entry: Entry) {
        if self.assigned.get(&partition) != Some(&entry.commit.assignment) {
            return self.refuse(entry, Refusal::Retired(partition));
        }
        match self.pending.get_mut(&partition) {
            None => drop(self.pending.insert(partition, entry)),
            Some(newer) => {
                newer.not_there = entry.not_there;
                let both = newer.waiters.intersection(&entry.waiters).copied().collect::<Vec<_>>();
                newer.waiters.append(&mut entry.waiters);
                for id in both {
                    self.settle(id, None);
                }
            }
        }
    }

    fn refuse(&mut self, entry: Entry, refusal: Refusal) {
        for id in entry.waiters {
            self.settle(id, Some(refusal.clone()));
        }
    }

    fn settle(&mut self, id: CommitId, refused: Option<Refusal>) {
        let Some(wait) = self.waits.get_mut(&id) else { return };
        wait.partitions -= 1;
        wait.refused = wait.refused.take().or(refused);
        if wait.partitions == 0 {
            let outcome = wait.refused.take().map_or(Ok(()), Err);
            self.waits.remove(&id);
            self.finished.push((id, outcome));
        }
    }

    /// Takes what has been answered since the last call.
    pub(in crate::group) fn finished(&mut self) -> Vec<(CommitId, Result<(), Refusal>)> {
        std::mem::take(&mut self.finished)
    }
}

impl Commit {
    /// Whether storing this makes storing the other needless.
    fn covers(&self, other: &Commit) -> bool {
        let is_ahead = self.offset > other.offset && !other.backwards;
        let is_same = self.offset == other.offset && self.metadata == other.metadata;
        self.assignment == other.assignment && (is_ahead || is_same)
    }
}

enum Meaning {
    Stored,
    Refused(ErrorCode),
    /// The topic is not there, or not yet known where it should be.
    NotThere(ErrorCode),
    Again(Verdict),
}

/// From a partition's code to what becomes of its commit. What an old generation was told says nothing about a
/// partition that the member has still: that commit is asked for again.
fn classify(code: ErrorCode, current: bool) -> Meaning {
    match code {
        ErrorCode::RebalanceInProgress => Meaning::Again(Verdict::Rebalance),
        ErrorCode::StaleMemberEpoch => Meaning::Again(Verdict::Stale),
        ErrorCode::IllegalGeneration | ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch
            if !current =>
        {
            Meaning::Again(Verdict::Retry)
        }
        ErrorCode::IllegalGeneration
        | ErrorCode::UnknownMemberId
        | ErrorCode::FencedMemberEpoch
        | ErrorCode::FencedInstanceId => Meaning::Again(Verdict::Expelled(code)),
        _ => match code.class() {
            Class::Success => Meaning::Stored,
            Class::RefreshCoordinator => Meaning::Again(Verdict::CoordinatorMoved),
            Class::Retry => Meaning::Again(Verdict::Retry),
            Class::RefreshMetadata => Meaning::NotThere(code),
            _ => Meaning::Refused(code),
        },
    }
}
