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
                self.answer(connection, call, Answer::Coordinator { found, next: Some(NEXT_VERSION) });
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
                let host = self.connections[&connection].host;
                let code = if moved { Err(ErrorCode::NotCoordinator) } else { self.store(host, &request) };
                self.answer(connection, call, Answer::Commit(commit_response(&request, code)));
            }
            Ask::Leave(member) => {
                let (group_id, members) = ("g".to_owned(), vec![member]);
                let request = LeaveGroupRequest { group_id, members, ..LeaveGroupRequest::default() };
                self.groups.on_leave(self.now, VERSION, request);
                self.answer(connection, call, Answer::Leave);
            }
            Ask::NextHeartbeat(_) if moved => {
                let response = ConsumerGroupHeartbeatResponse { error_code: away, ..Default::default() };
                self.answer(connection, call, Answer::NextHeartbeat(response));
            }
            Ask::NextHeartbeat(request) => {
                let (client_id, client_host) = ("app".to_owned(), "sim".to_owned());
                let beat = Beat { version: NEXT_VERSION, client_id, client_host, request };
                let response = self.groups.on_next_heartbeat(self.now, beat);
                self.answer(connection, call, Answer::NextHeartbeat(response));
            }
        }
    }

    /// The coordinator is told what there is.
    pub(super) fn tell_topics(&mut self) {
        let counts = [self.partitions, TOPICS[1].1];
        for (((name, _), id), partitions) in TOPICS.iter().zip(TOPIC_IDS).zip(counts) {
            self.groups.on_topic(name, Some(Topic { id, partitions }));
        }
    }

    pub(super) fn park(&mut self, connection: u64, call: CallId, token: Token) {
        self.parked.insert(token, (connection, call));
        self.connections.get_mut(&connection).expect("it was served").waits_for = Some(token);
    }

    /// Stores a commit that counts, and checks that it may.
    pub(super) fn store(&mut self, host: Id, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        self.commits.push(request.clone());
        self.groups.on_commit(self.now, request)?;
        for topic in &request.topics {
            for it in &topic.partitions {
                let partition = TopicPartition::new(&*topic.name, it.partition_index);
                let offset = it.committed_offset;
                let holder = self.holders.get(&partition);
                assert_eq!(holder, Some(&host), "{self}: {partition} is committed by who has it no more");
                let before = self.offsets.committed("g", &partition).map_or(0, |committed| committed.offset);
                assert!(offset >= before, "{self}: {partition} went back from {before} to {offset}");
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
                    if let Record::Classic(group) = &record {
                        self.recorded_generation = group.generation;
                        self.generation = self.generation.max(group.generation);
                    }
                    self.kept.apply(&record);
                    continue;
                }
                Output::Reply(reply) => reply,
            };
            let Some((connection, call)) = self.parked.remove(&reply.token) else { continue };
            let answer = match reply.answer {
                coordinator::Answer::Join(response) => {
                    self.generation = self.generation.max(response.generation_id);
                    Answer::Join(response)
                }
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
