//! What goes wrong.

use super::*;

impl World {
    pub(super) fn fault(&mut self) {
        if self.calm {
            return;
        }
        match self.rng.below(17) {
            0..=3 => self.cut_one(),
            4 => self.crash_one(),
            5 => self.arrive(),
            6 => self.leave_one(),
            7 => self.moved_until = self.now + self.millis(100..5_000),
            // What members offered beside what was chosen is not recorded, as in Kafka: whoever does not know that is
            // refused after a restart, until the others have joined again.
            8 if self.rng.chance(30) && self.story != Story::Mixed => self.restart(),
            9 if self.rng.chance(30) => {
                let jump = self.millis(1_000..20_000);
                self.now += jump;
            }
            10 if self.partitions < 8 => self.grow(),
            11..=12 => self.replay(),
            13..=14 => self.put_one_to_sleep(),
            15 => self.have_one_want_other_topics(),
            _ => (),
        }
        self.later(100..4_000, Event::Fault);
    }

    fn one(&mut self) -> Option<Id> {
        let at = self.rng.below(self.hosts.len().max(1) as u64) as usize;
        self.hosts.keys().nth(at).copied()
    }

    fn cut_one(&mut self) {
        let Some(id) = self.one() else { return };
        self.cut(self.hosts[&id].connection);
    }

    /// What has not arrived mostly never will. The member learns at once, or when it has waited long enough; the
    /// broker some time later.
    pub(super) fn cut(&mut self, connection: u64) {
        let is_read_on = self.rng.chance(30);
        let Some(it) = self.connections.get_mut(&connection) else { return };
        if it.is_cut {
            return;
        }
        it.is_cut = true;
        it.is_read_on = is_read_on;
        it.queue.retain(|(_, ask)| is_read_on && !matches!(ask, Ask::Commit(_)));
        let host = it.host;
        self.later(1..8_000, Event::Noticed { connection });
        let told = self.rng.chance(70);
        let Some(it) = self.hosts.get(&host).filter(|_| told) else { return };
        let calls: Vec<CallId> =
            it.calls.iter().filter(|(_, over)| **over == connection).map(|(call, _)| *call).collect();
        for call in calls {
            self.later(1..50, Event::TimesOut { host, call });
        }
    }

    fn crash_one(&mut self) {
        let Some(id) = self.one() else { return };
        self.cut(self.hosts[&id].connection);
        let instance_id = self.hosts.remove(&id).and_then(|host| host.instance_id);
        if self.rng.chance(70) {
            self.arrive_as(instance_id);
        }
    }

    fn leave_one(&mut self) {
        let Some(id) = self.one() else { return };
        let deadline = self.now + Duration::from_secs(5);
        let parting = [Parting::Usual, Parting::Leave, Parting::Remain][self.rng.below(3) as usize];
        let host = self.hosts.get_mut(&id).expect("one of them");
        host.is_leaving = true;
        host.member.leave(deadline, parting);
        if host.sleeps_until <= self.now {
            self.drive(id);
        }
    }

    /// A process that does not run for a while goes on as if nothing had happened. Another may have taken its name.
    fn put_one_to_sleep(&mut self) {
        let until = self.now + self.millis(500..20_000);
        let Some(id) = self.one() else { return };
        let host = self.hosts.get_mut(&id).expect("one of them");
        host.sleeps_until = until;
        let instance_id = host.instance_id.clone();
        if instance_id.is_some() && self.rng.chance(50) {
            self.arrive_as(instance_id);
        }
    }

    fn have_one_want_other_topics(&mut self) {
        let topics = self.some_topics();
        let Some(id) = self.one() else { return };
        let host = self.hosts.get_mut(&id).expect("one of them");
        if host.sleeps_until <= self.now && !host.is_leaving {
            host.topics.clone_from(&topics);
            host.member.subscribe(topics);
            self.drive(id);
        }
    }

    /// The coordinator comes back with what it recorded; a rebalance that was going on is forgotten.
    fn restart(&mut self) {
        self.groups = Groups::new(limits(), Rng::new(self.rng.bits()));
        self.tell_topics();
        self.groups.restore(self.now, &self.kept);
        self.generation = self.recorded_generation;
        self.parked.clear();
        let open: Vec<u64> = self.connections.keys().copied().collect();
        for connection in open {
            self.cut(connection);
            let it = self.connections.get_mut(&connection).expect("it was there");
            (it.waits_for, it.is_read_on) = (None, false);
        }
        self.replies();
    }

    /// A commit of an earlier generation turns up again. It must be refused.
    fn replay(&mut self) {
        if self.commits.is_empty() {
            return;
        }
        let at = self.rng.below(self.commits.len() as u64) as usize;
        let request = self.commits[at].clone();
        let epoch = request.generation_id_or_member_epoch;
        let is_behind = match self.known().get(&request.member_id) {
            Some(Some(now)) => *now > epoch,
            Some(None) => self.generation > epoch,
            None => true,
        };
        if is_behind {
            assert!(self.groups.on_commit(self.now, &request).is_err(), "{self}: not fenced");
        }
    }

    pub(super) fn grow(&mut self) {
        self.partitions += 1;
        self.tell_topics();
        let everyone: Vec<Id> = self.hosts.keys().copied().collect();
        for host in everyone {
            self.later(10..500, Event::Counted { host });
        }
    }

    pub(super) fn arrive(&mut self) {
        // A static member may come under a name that another has already.
        let instance_id = self.rng.chance(30).then(|| format!("i{}", self.rng.below(3)));
        let is_taken = self.hosts.values().any(|it| instance_id.is_some() && it.instance_id == instance_id);
        self.arrive_as(instance_id.filter(|_| !is_taken));
    }

    fn arrive_as(&mut self, instance_id: Option<String>) {
        if self.hosts.len() >= 6 {
            return;
        }
        self.counter += 1;
        let id = self.counter as Id;
        let topics = self.some_topics();
        let (protocol, assignors) = self.protocol();
        let config = Config {
            group_id: "g".to_owned(),
            topics: topics.clone(),
            instance_id: instance_id.clone(),
            protocol,
            assignors,
            session_timeout: SESSION,
            rebalance_timeout: REBALANCE,
            heartbeat_interval: SESSION / 3,
            request_timeout: Duration::from_secs(5),
            ..Config::default()
        };
        let host = Host {
            member: Member::new(config, Rng::new(self.rng.bits())),
            topics,
            instance_id,
            wakes_at: None,
            sleeps_until: Moment(0),
            connection: 0,
            calls: BTreeMap::new(),
            assignment: AssignmentId(0),
            positions: BTreeMap::new(),
            revoking: None,
            commits: BTreeMap::new(),
            commit_ids: 0,
            is_leaving: false,
        };
        self.hosts.insert(id, host);
        self.later(0..500, Event::Wakes { host: id });
        self.later(100..500, Event::Works { host: id });
    }

    fn some_topics(&mut self) -> BTreeSet<String> {
        let count = 1 + self.rng.below(3).min(1) as usize;
        TOPICS[..count].iter().map(|(topic, _)| (*topic).to_owned()).collect()
    }

    fn protocol(&mut self) -> (Protocol, Vec<Arc<dyn Assignor>>) {
        let assignors: Vec<Arc<dyn Assignor>> = match self.story {
            Story::Eager if self.seed.is_multiple_of(2) => vec![Arc::new(Sticky)],
            Story::Eager => vec![Arc::new(assign::Range)],
            Story::Cooperative => vec![Arc::new(CooperativeSticky)],
            Story::Mixed => self.mixed(),
            Story::Changing if self.rng.chance(50) => vec![Arc::new(CooperativeSticky)],
            Story::Next | Story::Changing => return (Protocol::Consumer, Vec::new()),
        };
        (Protocol::Classic, assignors)
    }

    fn mixed(&mut self) -> Vec<Arc<dyn Assignor>> {
        let mut some: Vec<Arc<dyn Assignor>> = Vec::new();
        if self.rng.chance(60) {
            some.push(Arc::new(CooperativeSticky));
        }
        if self.rng.chance(30) {
            some.push(Arc::new(RoundRobin));
        }
        some.push(Arc::new(assign::Range));
        some
    }
}
