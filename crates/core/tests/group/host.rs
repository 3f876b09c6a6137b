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
            self.at(at, Event::Wakes { host: id });
        }
    }

    fn act(&mut self, id: Id, step: Step) {
        match step {
            Step::Call { call, ask, timeout } => self.send(id, call, ask, timeout),
            Step::Count(_) => self.later(1..2_000, Event::Counted { host: id }),
            Step::Resolve(_) => self.later(1..2_000, Event::Named { host: id }),
            Step::Rebalancing(_) => (),
            Step::Assigned(assignment, partitions) => self.assigned(id, assignment, partitions),
            Step::Revoked { ticket, deadline, partitions } => {
                self.forget_overdue(id);
                let host = self.hosts.get_mut(&id).expect("it spoke");
                let has_all = partitions.iter().all(|it| host.positions.contains_key(it));
                host.revoking = Some(Revoking { ticket, partitions, deadline });
                assert!(has_all, "{self}: what is revoked was not there");
                let rest = if self.calm { 1..500 } else { 1..15_000 };
                self.later(rest, Event::AtRest { host: id, ticket });
            }
            Step::Lost(partitions) => {
                self.forget_overdue(id);
                let host = self.hosts.get_mut(&id).expect("it spoke");
                host.positions.retain(|it, _| !partitions.contains(it));
                host.revoking = None;
            }
            Step::Committed(commit, outcome) => self.committed(id, commit, outcome),
            Step::Left => {
                let host = self.hosts.remove(&id).expect("it spoke");
                assert!(host.is_leaving && host.commits.is_empty(), "{self}");
                self.cut(host.connection);
            }
            Step::Failed(failure) => self.failed(id, failure),
        }
    }

    /// Only a member whose name another has taken cannot go on.
    fn failed(&mut self, id: Id, failure: Failure) {
        let host = self.hosts.remove(&id).expect("it spoke");
        let code = match failure {
            Failure::Refused { code, .. } => code,
            Failure::Protocol(name) => panic!("{self}: the group chose {name}"),
        };
        let taken = [ErrorCode::FencedInstanceId, ErrorCode::UnreleasedInstanceId];
        assert!(taken.contains(&code) && host.instance_id.is_some(), "{self}: {code:?}");
        self.cut(host.connection);
    }

    /// At the deadline what is revoked is taken, whatever works on it.
    fn forget_overdue(&mut self, id: Id) {
        let now = self.now;
        let host = self.hosts.get_mut(&id).expect("it is there");
        if let Some(overdue) = host.revoking.take_if(|it| it.deadline <= now) {
            host.positions.retain(|it, _| !overdue.partitions.contains(it));
        }
    }

    fn assigned(&mut self, id: Id, assignment: AssignmentId, partitions: BTreeSet<TopicPartition>) {
        self.forget_overdue(id);
        let is_late = self.is_late(id);
        for partition in partitions {
            if !is_late {
                let holder = self.holder(id, &partition);
                assert_eq!(holder, None, "{self}: {partition} is given to {id} while another has it");
                self.holders.insert(partition.clone(), id);
            }
            let offset = self.offsets.committed("g", &partition).map_or(0, |committed| committed.offset);
            let host = self.hosts.get_mut(&id).expect("it spoke");
            let before = host.positions.insert(partition, Position { assignment, offset });
            assert!(before.is_none(), "{self}: what is assigned was there already");
        }
        let host = self.hosts.get_mut(&id).expect("it spoke");
        assert!(assignment > host.assignment, "{self}: assignment numbers rise");
        host.assignment = assignment;
    }

    /// Whether the answer that gave a share was overtaken: the coordinator is further by now, and takes no commit.
    fn is_late(&self, id: Id) -> bool {
        let (member_id, epoch) = self.hosts[&id].member.identity().expect("who is assigned is a member");
        match self.known().get(member_id) {
            // The coordinator waits until the member says that it has given back what it was given.
            Some(Some(_)) => false,
            Some(None) => self.generation != epoch,
            None => true,
        }
    }

    /// Another host that has a partition, and that the coordinator takes for a member.
    fn holder(&self, id: Id, partition: &TopicPartition) -> Option<Id> {
        let known = self.known();
        // A static member that sleeps through a generation stays in the group, but not in the generation.
        let counts = |host: &Host, epoch: i32, in_next: Option<i32>| {
            in_next.is_some() || host.instance_id.is_none() || epoch == self.generation
        };
        let is_member = |host: &Host| {
            let Some((member_id, epoch)) = host.member.identity() else { return false };
            known.get(member_id).is_some_and(|in_next| counts(host, epoch, *in_next))
        };
        let is_given_up = |host: &Host| {
            let overdue = host.revoking.as_ref().filter(|it| it.deadline <= self.now);
            overdue.is_some_and(|it| it.partitions.contains(partition))
        };
        let has = |it: &(&Id, &Host)| {
            *it.0 != id && it.1.positions.contains_key(partition) && !is_given_up(it.1) && is_member(it.1)
        };
        self.hosts.iter().find(has).map(|(id, _)| *id)
    }

    pub(super) fn works(&mut self, id: Id) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        for position in host.positions.values_mut() {
            position.offset += self.rng.below(10) as i64;
        }
        if self.rng.chance(50) {
            self.commit(id);
        }
        self.later(200..2_000, Event::Works { host: id });
    }

    /// Commits some of what was read.
    fn commit(&mut self, id: Id) {
        let host = self.hosts.get_mut(&id).expect("it works");
        let mut commits = Vec::new();
        for (partition, position) in &host.positions {
            if self.rng.chance(70) {
                commits.push(Commit {
                    partition: partition.clone(),
                    assignment: position.assignment,
                    offset: position.offset,
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

    fn committed(&mut self, id: Id, commit: CommitId, outcome: Result<(), Refusal>) {
        let host = self.hosts.get_mut(&id).expect("it spoke");
        let asked = host.commits.remove(&commit).expect("answered once");
        match outcome {
            Ok(()) => {
                for it in asked {
                    let stored = self.offsets.committed("g", &it.partition).map_or(-1, |it| it.offset);
                    assert!(stored >= it.offset, "{self}: {} said stored, is {stored}", it.offset);
                }
            }
            Err(Refusal::Retired(_) | Refusal::Unanswered(_)) => (),
            Err(refusal) => panic!("{self}: {refusal}"),
        }
    }

    /// A ticket may come back late: after its deadline, or when all was lost and given anew.
    pub(super) fn at_rest(&mut self, id: Id, ticket: Ticket) {
        if !self.hosts.contains_key(&id) {
            return;
        }
        self.forget_overdue(id);
        let host = self.hosts.get_mut(&id).expect("it is there");
        if host.revoking.as_ref().is_some_and(|it| it.ticket == ticket) {
            self.commit(id);
            let Some(host) = self.hosts.get_mut(&id) else { return };
            if let Some(rested) = host.revoking.take_if(|it| it.ticket == ticket) {
                host.positions.retain(|it, _| !rested.partitions.contains(it));
            }
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

    pub(super) fn named(&mut self, id: Id) {
        let names = TOPICS.iter().zip(TOPIC_IDS).map(|((name, _), id)| (id, Arc::from(*name))).collect();
        let Some(host) = self.hosts.get_mut(&id) else { return };
        host.member.on_names(&names);
        self.drive(id);
    }
}
