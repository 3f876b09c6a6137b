//! The broker: the coordinator, and the offsets it keeps.

use super::*;

impl World {
    pub(super) fn serve(&mut self, connection: u64, call: CallId, ask: Ask) {
        let moved = self.now < self.moved_until;
        let away = if moved { ErrorCode::NotCoordinator } else { ErrorCode::None }.code();
        self.counter += 1;
        let token = Token(self.counter);
        match ask {
            Ask::FindCoordinator => {
                let error_code = if moved { ErrorCode::CoordinatorNotAvailable.code() } else { 0 };
                let found = Coordinator { error_code, ..Coordinator::default() };
                self.answer(connection, call, Answer::Coordinator { found, next: None });
            }
            Ask::Join(request) => {
                let join = Join {
                    token,
                    version: VERSION,
                    client_id: "app".to_owned(),
                    client_host: "sim".to_owned(),
                    request,
                };
                self.park(connection, call, token);
                self.groups.on_join(self.now, join);
            }
            Ask::Sync(request) => {
                self.park(connection, call, token);
                self.groups.on_sync(self.now, token, request);
            }
            Ask::Heartbeat(request) => {
                let mut response = self.groups.on_heartbeat(self.now, &request);
                response.error_code = if moved { away } else { response.error_code };
                self.answer(connection, call, Answer::Heartbeat(response));
            }
            Ask::Commit(request) => {
                let code = if moved { Err(ErrorCode::NotCoordinator) } else { self.store(&request) };
                self.answer(connection, call, Answer::Commit(commit_response(&request, code)));
            }
            Ask::Leave(member) => {
                let (group_id, members) = ("g".to_owned(), vec![member]);
                let request = LeaveGroupRequest { group_id, members, ..LeaveGroupRequest::default() };
                self.groups.on_leave(self.now, VERSION, request);
                self.answer(connection, call, Answer::Leave);
            }
            Ask::NextHeartbeat(_) => panic!("the coordinator did not say that it knows that"),
        }
    }

    pub(super) fn park(&mut self, connection: u64, call: CallId, token: Token) {
        self.parked.insert(token, (connection, call));
        self.connections.get_mut(&connection).expect("it was served").waits_for = Some(token);
    }

    /// Stores a commit that counts, and checks that it may.
    pub(super) fn store(&mut self, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        self.commits.push(request.clone());
        self.groups.on_commit(self.now, request)?;
        for topic in &request.topics {
            for it in &topic.partitions {
                let partition = TopicPartition::new(&*topic.name, it.partition_index);
                let key = (request.generation_id_or_member_epoch, partition.clone());
                let (seed, offset) = (self.seed, it.committed_offset);
                assert_eq!(self.owners.get(&key), Some(&request.member_id), "seed {seed}: not its owner");
                let before = self.offsets.committed("g", &partition).map_or(0, |committed| committed.offset);
                assert!(offset >= before, "seed {seed}: {partition} went back from {before} to {offset}");
                let committed = Committed { offset, leader_epoch: 0, metadata: String::new() };
                self.offsets.commit("g", partition, committed);
            }
        }
        Ok(())
    }

    pub(super) fn replies(&mut self) {
        while let Some(output) = self.groups.poll(self.now, Timestamp(0)) {
            let reply = match output {
                Output::Record(record) => {
                    self.kept.apply(&record);
                    continue;
                }
                Output::Reply(reply) => reply,
            };
            let Some((connection, call)) = self.parked.remove(&reply.token) else { continue };
            let answer = match reply.answer {
                coordinator::Answer::Join(response) => Answer::Join(response),
                coordinator::Answer::Sync(response) => Answer::Sync(response),
            };
            self.answer(connection, call, answer);
            let Some(it) = self.connections.get_mut(&connection) else { continue };
            it.waits_for = None;
            while let Some((call, ask)) = self.next_queued(connection) {
                self.serve(connection, call, ask);
            }
        }
        let Some(at) = self.groups.deadline() else { return };
        if self.coordinator_wakes_at.is_none_or(|earlier| at < earlier) {
            self.coordinator_wakes_at = Some(at);
            self.at(at, Event::CoordinatorWakes);
        }
    }

    pub(super) fn next_queued(&mut self, connection: u64) -> Option<(CallId, Ask)> {
        let it = self.connections.get_mut(&connection)?;
        if it.waits_for.is_some() { None } else { it.queue.pop_front() }
    }
}

fn commit_response(request: &OffsetCommitRequest, code: Result<(), ErrorCode>) -> OffsetCommitResponse {
    let error_code = code.map_or_else(ErrorCode::code, |()| 0);
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|it| OffsetCommitResponsePartition { partition_index: it.partition_index, error_code })
            .collect(),
        ..OffsetCommitResponseTopic::default()
    });
    OffsetCommitResponse { topics: topics.collect(), ..OffsetCommitResponse::default() }
}
