//! A member and the reader that works on its partitions.

use super::*;

impl World {
    pub(super) fn wakes(&mut self, id: Id) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        host.wakes_at = None;
        self.drive(id);
    }

    pub(super) fn drive(&mut self, id: Id) {
        loop {
            let now = self.now;
            let Some(host) = self.hosts.get_mut(&id) else { return };
            let Some(step) = host.member.poll(now) else { break };
            self.act(id, step);
        }
        let host = self.hosts.get_mut(&id).expect("it was polled");
        let Some(at) = host.member.deadline() else { return };
        if host.wakes_at.is_none_or(|earlier| at < earlier) {
            host.wakes_at = Some(at);
            self.at(at, Event::Wakes { member: id });
        }
    }

    pub(super) fn act(&mut self, id: Id, step: Step) {
        match step {
            Step::Call { call, ask, timeout } => self.send(id, call, ask, timeout),
            Step::Count(_) => self.later(1..2_000, Event::Counted { member: id }),
            Step::Assigned(assignment, partitions) => self.assigned(id, assignment, partitions),
            Step::Revoked { ticket, deadline, partitions } => {
                let host = self.hosts.get_mut(&id).expect("it spoke");
                let held: BTreeSet<_> = host.positions.keys().cloned().collect();
                assert_eq!(held, partitions, "seed {}", self.seed);
                host.revoking = Some((ticket, deadline));
                let rest = if self.calm { 1..500 } else { 1..15_000 };
                self.later(rest, Event::AtRest { member: id, ticket });
            }
            Step::Lost(_) => self.drop_share(id),
            Step::Rebalancing(_) => (),
            Step::Resolve(ids) => panic!("seed {}: the classic protocol has no ids: {ids:?}", self.seed),
            Step::Committed(commit, outcome) => self.committed(id, commit, outcome),
            Step::Left => {
                let host = self.hosts.remove(&id).expect("it spoke");
                assert!(host.is_leaving && host.commits.is_empty(), "seed {}", self.seed);
                self.cut(host.connection);
            }
            Step::Failed(failure) => panic!("seed {}: {failure}", self.seed),
        }
    }

    pub(super) fn drop_share(&mut self, id: Id) {
        let host = self.hosts.get_mut(&id).expect("it spoke");
        host.positions.clear();
        host.revoking = None;
    }

    pub(super) fn assigned(
        &mut self,
        id: Id,
        assignment: AssignmentId,
        partitions: BTreeSet<TopicPartition>,
    ) {
        self.drop_share(id);
        let host = self.hosts.get_mut(&id).expect("it spoke");
        assert!(assignment > host.assignment, "seed {}: assignment numbers rise", self.seed);
        host.assignment = assignment;
        let (member_id, generation) = host.member.identity().expect("who is assigned is a member");
        for partition in partitions {
            let key = (generation, partition.clone());
            let owner = self.owners.insert(key, member_id.to_owned());
            assert!(
                owner.as_deref().is_none_or(|owner| owner == member_id),
                "seed {}: {partition} has two owners in generation {generation}",
                self.seed
            );
            let start = self.offsets.committed("g", &partition).map_or(0, |committed| committed.offset);
            host.positions.insert(partition, start);
        }
    }

    pub(super) fn works(&mut self, id: Id) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        for position in host.positions.values_mut() {
            *position += self.rng.below(10) as i64;
        }
        if self.rng.chance(50) {
            self.commit(id);
        }
        self.later(200..2_000, Event::Works { member: id });
    }

    /// Commits some of what was read.
    pub(super) fn commit(&mut self, id: Id) {
        let host = self.hosts.get_mut(&id).expect("it works");
        let mut commits = Vec::new();
        for (partition, position) in &host.positions {
            if self.rng.chance(70) {
                commits.push(Commit {
                    partition: partition.clone(),
                    assignment: host.assignment,
                    offset: *position,
                    leader_epoch: 0,
                    metadata: String::new(),
                    backwards: false,
                });
            }
        }
        host.commit_ids += 1;
        let commit = CommitId(host.commit_ids);
        host.commits.insert(commit, commits.clone());
        host.member.commit(commit, commits);
        self.drive(id);
    }

    pub(super) fn committed(&mut self, id: Id, commit: CommitId, outcome: Result<(), Refusal>) {
        let seed = self.seed;
        let host = self.hosts.get_mut(&id).expect("it spoke");
        let asked = host.commits.remove(&commit).expect("answered once");
        match outcome {
            Ok(()) => {
                for it in asked {
                    let stored =
                        self.offsets.committed("g", &it.partition).map_or(-1, |stored| stored.offset);
                    assert!(stored >= it.offset, "seed {seed}: {} said stored, is {stored}", it.offset);
                }
            }
            Err(Refusal::Retired(_) | Refusal::Unanswered(_)) => (),
            Err(refusal) => panic!("seed {seed}: {refusal}"),
        }
    }

    /// A ticket may come back late: after its deadline, or when all was lost and given anew.
    pub(super) fn at_rest(&mut self, id: Id, ticket: Ticket) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(&id) else { return };
        if let Some((_, deadline)) = host.revoking.take_if(|(out, _)| *out == ticket) {
            if now <= deadline {
                self.commit(id);
            }
            let Some(host) = self.hosts.get_mut(&id) else { return };
            host.positions.clear();
        }
        let Some(host) = self.hosts.get_mut(&id) else { return };
        host.member.on_ticket(ticket);
        self.drive(id);
    }

    pub(super) fn counted(&mut self, id: Id) {
        let counts = [(TOPICS[0].0, self.partitions as usize), (TOPICS[1].0, TOPICS[1].1 as usize)];
        let Some(host) = self.hosts.get_mut(&id) else { return };
        host.member.on_topics(&Topics::from_iter(counts));
        self.drive(id);
    }
}
