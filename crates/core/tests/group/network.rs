//! What lies between a member and the broker: connections that are slow, and end.

use super::*;

impl World {
    pub(super) fn send(&mut self, id: Id, call: CallId, ask: Ask, timeout: Duration) {
        let open = self.connections.get(&self.hosts[&id].connection).is_some_and(|it| !it.is_cut);
        let parked =
            self.connections.get(&self.hosts[&id].connection).is_some_and(|it| it.waits_for.is_some());
        if !open || (parked && matches!(ask, Ask::Leave(_))) {
            self.cut(self.hosts[&id].connection);
            self.connect(id);
        }
        let host = self.hosts.get_mut(&id).expect("it sends");
        let held = host.revoking.as_ref().is_some_and(|it| self.now < it.deadline);
        let joins = matches!(ask, Ask::Join(_));
        assert!(!(held && joins), "{self}: joins before its ticket is back");
        let connection = host.connection;
        host.calls.insert(call, connection);
        let arrival = self.now + self.delay();
        let it = self.connections.get_mut(&connection).expect("it is open");
        it.last_arrival = it.last_arrival.max(arrival);
        let arrival = it.last_arrival;
        self.at(arrival, Event::Arrives { connection, call, ask });
        self.at(self.now + timeout, Event::TimesOut { host: id, call });
    }

    pub(super) fn connect(&mut self, id: Id) {
        self.counter += 1;
        let connection = Connection {
            host: id,
            is_cut: false,
            is_read_on: false,
            last_arrival: self.now,
            last_answer: self.now,
            waits_for: None,
            queue: VecDeque::new(),
        };
        self.connections.insert(self.counter, connection);
        self.hosts.get_mut(&id).expect("it connects").connection = self.counter;
    }

    /// A call ran out of time: its connection is given up, and every call on it.
    pub(super) fn times_out(&mut self, id: Id, call: CallId) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        let Some(connection) = host.calls.get(&call).copied() else { return };
        let ended: Vec<CallId> =
            host.calls.iter().filter(|(_, over)| **over == connection).map(|(call, _)| *call).collect();
        for call in ended {
            host.calls.remove(&call);
            host.member.on_broken(self.now, call);
        }
        self.cut(connection);
        self.drive(id);
    }

    pub(super) fn noticed(&mut self, connection: u64) {
        let Some(it) = self.connections.remove(&connection) else { return };
        if let Some(token) = it.waits_for {
            self.parked.remove(&token);
            self.groups.on_gone(self.now, token);
            self.replies();
        }
    }

    pub(super) fn arrives(&mut self, connection: u64, call: CallId, ask: Ask) {
        let Some(it) = self.connections.get_mut(&connection) else { return };
        // Another commit may have overtaken one that was given up, which no broker can tell.
        // So it is with a join that says that nothing is held, of who has joined and holds partitions meanwhile.
        let host = it.host;
        let holds = self.hosts.get(&host).is_some_and(|host| !host.positions.is_empty());
        let is_overtaken = match &ask {
            Ask::Commit(_) => true,
            Ask::NextHeartbeat(request) => request.member_epoch == 0 && holds,
            _ => false,
        };
        if it.is_cut && (!it.is_read_on || is_overtaken) {
            return;
        }
        if it.waits_for.is_some() {
            it.queue.push_back((call, ask));
            return;
        }
        self.serve(connection, call, ask);
        self.replies();
    }

    pub(super) fn answer(&mut self, connection: u64, call: CallId, answer: Answer) {
        let arrival = self.now + self.delay();
        let Some(it) = self.connections.get_mut(&connection) else { return };
        it.last_answer = it.last_answer.max(arrival);
        let arrival = it.last_answer;
        self.at(arrival, Event::Answered { connection, call, answer });
    }

    pub(super) fn answered(&mut self, connection: u64, call: CallId, answer: Answer) {
        let Some(it) = self.connections.get(&connection).filter(|it| !it.is_cut) else { return };
        let id = it.host;
        let Some(host) = self.hosts.get_mut(&id) else { return };
        if host.calls.remove(&call).is_some() {
            host.member.on_answer(self.now, call, answer);
            self.drive(id);
        }
    }
}
