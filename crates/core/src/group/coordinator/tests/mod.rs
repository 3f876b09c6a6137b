//! Calls in a row against the coordinator, as members of many kinds make them.

mod classic;
mod convert;
mod expiry;
mod next;
mod refused;
mod restart;
mod seeds;

use std::time::Duration;

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::{
        group::{
            HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
            SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
        },
        offsets::OffsetCommitRequest,
    },
};

use super::{Answer, Groups, Join, Kept, Limits, Output, Token};
use crate::{Moment, Rng, Timestamp};

const SESSION: i32 = 10_000;
const REBALANCE: i32 = 60_000;
const WALL: i64 = 1_700_000_000_000;

/// A coordinator with a clock, asked by hand.
struct Desk {
    groups: Groups,
    now: Moment,
    asked: u64,
    kept: Kept,
}

impl Desk {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self { groups: Groups::new(limits, Rng::new(7)), now: Moment(0), asked: 0, kept: Kept::default() }
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    fn token(&mut self) -> Token {
        self.asked += 1;
        Token(self.asked)
    }

    fn join(&mut self, version: i16, request: JoinGroupRequest) -> Token {
        let token = self.token();
        let (client_id, client_host) = ("app".to_owned(), "10.0.0.7".to_owned());
        self.groups.on_join(self.now, Join { token, version, client_id, client_host, request });
        token
    }

    fn sync_bytes(&mut self, generation_id: i32, member_id: &str, assignment: Bytes) -> Token {
        let token = self.token();
        let assigned = SyncGroupRequestAssignment { member_id: member_id.to_owned(), assignment };
        let request = SyncGroupRequest {
            group_id: "g".to_owned(),
            generation_id,
            member_id: member_id.to_owned(),
            assignments: vec![assigned],
            ..SyncGroupRequest::default()
        };
        self.groups.on_sync(self.now, token, request);
        token
    }

    fn sync(&mut self, generation_id: i32, member_id: &str, assigned: &[(&str, &'static str)]) -> Token {
        let token = self.token();
        let assign = |(member, bytes): &(&str, &'static str)| SyncGroupRequestAssignment {
            member_id: (*member).to_owned(),
            assignment: Bytes::from_static(bytes.as_bytes()),
        };
        let request = SyncGroupRequest {
            group_id: "g".to_owned(),
            generation_id,
            member_id: member_id.to_owned(),
            assignments: assigned.iter().map(assign).collect(),
            ..SyncGroupRequest::default()
        };
        self.groups.on_sync(self.now, token, request);
        token
    }

    fn answers(&mut self) -> Vec<(Token, Answer)> {
        let mut answers = Vec::new();
        while let Some(output) = self.groups.poll(self.now, Timestamp(WALL)) {
            match output {
                Output::Record(record) => self.kept.apply(&record),
                Output::Reply(reply) => answers.push((reply.token, reply.answer)),
            }
        }
        answers
    }

    fn join_answer(&mut self, token: Token) -> JoinGroupResponse {
        match &self.answers()[..] {
            [(it, Answer::Join(response))] if *it == token => response.clone(),
            other => panic!("not one answer to {token:?}: {other:?}"),
        }
    }

    fn sync_answer(&mut self, token: Token) -> SyncGroupResponse {
        match &self.answers()[..] {
            [(it, Answer::Sync(response))] if *it == token => response.clone(),
            other => panic!("not one answer to {token:?}: {other:?}"),
        }
    }

    /// A member alone in the group, stable.
    fn member(&mut self) -> (String, i32) {
        let token = self.join(3, subscribe(""));
        let joined = self.join_answer(token);
        let synced = self.sync(joined.generation_id, &joined.member_id, &[(&joined.member_id, "all")]);
        assert_eq!(self.sync_answer(synced).assignment, "all");
        (joined.member_id, joined.generation_id)
    }

    /// Two members, the leader first, both joined and neither synced.
    fn two_joined(&mut self) -> (String, String, i32) {
        let (first, _) = self.member();
        let late = self.join(3, subscribe(""));
        self.join(3, subscribe(&first));
        let answers = self.answers();
        let [(_, Answer::Join(a)), (_, Answer::Join(b))] = &answers[..] else { panic!("{answers:?}") };
        let second = if a.member_id == first { &b.member_id } else { &a.member_id };
        assert_eq!(a.leader, first, "{late:?}");
        (first, second.clone(), a.generation_id)
    }

    fn heartbeat(&mut self, generation_id: i32, member_id: &str) -> ErrorCode {
        let (group_id, member_id) = ("g".to_owned(), member_id.to_owned());
        let request = HeartbeatRequest { group_id, generation_id, member_id, ..HeartbeatRequest::default() };
        ErrorCode::from(self.groups.on_heartbeat(self.now, &request).error_code)
    }

    fn commit(&mut self, generation: i32, member_id: &str) -> Result<(), ErrorCode> {
        let request = OffsetCommitRequest {
            group_id: "g".to_owned(),
            generation_id_or_member_epoch: generation,
            member_id: member_id.to_owned(),
            ..OffsetCommitRequest::default()
        };
        self.groups.on_commit(self.now, &request)
    }

    fn state(&self) -> String {
        self.groups.describe(5, "g", false).group_state
    }
}

fn subscribe(member_id: &str) -> JoinGroupRequest {
    supporting(member_id, &["range"])
}

fn supporting(member_id: &str, protocols: &[&str]) -> JoinGroupRequest {
    let protocol = |name: &&str| JoinGroupRequestProtocol {
        name: (*name).to_owned(),
        metadata: Bytes::from_static(b"topics"),
    };
    JoinGroupRequest {
        group_id: "g".to_owned(),
        session_timeout_ms: SESSION,
        rebalance_timeout_ms: REBALANCE,
        member_id: member_id.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: protocols.iter().map(protocol).collect(),
        ..JoinGroupRequest::default()
    }
}

fn static_member(instance: &str) -> JoinGroupRequest {
    JoinGroupRequest { group_instance_id: Some(instance.to_owned()), ..subscribe("") }
}
