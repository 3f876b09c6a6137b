//! What a member asks, over connections of its own: a parked JoinGroup blocks one, and must not block anybody else.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use vltava_core::{
    cluster::Target,
    group::member::{Answer, Ask, CallId},
};
use vltava_wire::{
    Class, ErrorCode, Request, Uuid,
    messages::{Coordinator, LeaveGroupRequest, MemberIdentity, OffsetCommitRequest, OffsetCommitResponse},
};

use crate::{
    cluster::{Attempt, Cluster},
    error::{Error, ErrorKind, Result},
    net::{self, BoxFuture, Link, Pool},
};

/// From this version on a LeaveGroup names many members.
const LEAVE_MANY_SINCE: i16 = 3;
/// From this version on offsets are committed by topic id.
pub(super) const TOPIC_IDS_SINCE: i16 = 10;

/// The calls of one member that are under way.
pub(super) struct Calls {
    cluster: Cluster,
    group: Arc<str>,
    pool: Arc<Pool>,
    link: Option<Link>,
    running: FuturesUnordered<BoxFuture<(CallId, Result<Outcome>)>>,
    /// A join or a sync that waits in the broker.
    parked: Option<CallId>,
}

/// What came of a call.
pub(super) enum Outcome {
    /// The coordinator was found, and this leads to it.
    Found(Link),
    /// A broker answered.
    Answered(Answer),
}

impl Calls {
    pub(super) fn new(cluster: Cluster, group: Arc<str>) -> Self {
        let pool = Arc::new(Pool::new(cluster.context().clone()));
        Self { cluster, group, pool, link: None, running: FuturesUnordered::new(), parked: None }
    }

    /// The connections of the member.
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(super) fn begin(&mut self, call: CallId, ask: Ask, timeout: Duration) {
        match ask {
            Ask::FindCoordinator => self.find(call, timeout),
            Ask::Join(request) => {
                self.parked = Some(call);
                self.send(call, timeout, move |_| request, |response, _| Answer::Join(response));
            }
            Ask::Sync(request) => {
                self.parked = Some(call);
                self.send(call, timeout, move |_| request, |response, _| Answer::Sync(response));
            }
            Ask::Heartbeat(request) => {
                self.send(call, timeout, move |_| request, |response, _| Answer::Heartbeat(response));
            }
            Ask::Leave(member_id) => self.leave(call, timeout, member_id),
            Ask::Commit(request) => self.commit(call, timeout, request),
        }
    }

    fn target(&self) -> Target {
        Target::Coordinator(self.group.clone())
    }

    /// What was known of the coordinator did not help: it is looked for, and connected to.
    fn find(&mut self, call: CallId, timeout: Duration) {
        self.link = None;
        let (cluster, pool, target) = (self.cluster.clone(), self.pool.clone(), self.target());
        let deadline = cluster.context().now() + timeout;
        self.running.push(Box::pin(async move {
            cluster.on_refusal(&target, ErrorCode::NotCoordinator);
            let found = cluster.link(&Attempt { pool: &pool, target, deadline }).await.map(Outcome::Found);
            let outcome = found.or_else(|error| match error.code() {
                Some(code) => Ok(Outcome::Answered(not_found(code))),
                None => Err(error),
            });
            (call, outcome)
        }));
    }

    /// Leaves over a new connection if a request waits on the old one: behind it, this one would wait too.
    fn leave(&mut self, call: CallId, timeout: Duration, member_id: String) {
        if self.parked.is_some() {
            self.pool = Arc::new(Pool::new(self.cluster.context().clone()));
        }
        let (cluster, pool, target) = (self.cluster.clone(), self.pool.clone(), self.target());
        let deadline = cluster.context().now() + timeout;
        let group_id = self.group.to_string();
        self.running.push(Box::pin(async move {
            let attempt = Attempt { pool: &pool, target, deadline };
            let left = cluster.attempt(&attempt, |version| leave(group_id, member_id, version)).await;
            (call, left.map(|_| Outcome::Answered(Answer::Leave)))
        }));
    }

    fn commit(&mut self, call: CallId, timeout: Duration, mut request: OffsetCommitRequest) {
        let ids = self.topic_ids(request.topics.iter().map(|topic| &*topic.name));
        let names: BTreeMap<Uuid, String> = ids.iter().map(|(name, id)| (*id, name.clone())).collect();
        let build = move |version| {
            if version >= TOPIC_IDS_SINCE {
                for topic in &mut request.topics {
                    topic.topic_id = ids.get(&topic.name).copied().unwrap_or_default();
                }
            }
            request
        };
        let cluster = self.cluster.clone();
        self.send(call, timeout, build, move |response, version| {
            let codes = response.topics.iter().flat_map(|topic| &topic.partitions).map(|it| it.error_code);
            if codes.map(ErrorCode::from).any(|code| code.class() == Class::RefreshMetadata) {
                cluster.stale();
            }
            Answer::Commit(named(response, version, &names))
        });
    }

    fn topic_ids<'a>(&self, names: impl Iterator<Item = &'a str>) -> BTreeMap<String, Uuid> {
        self.cluster.view(|view| {
            names.filter_map(|name| view.topic(name).map(|topic| (name.to_owned(), topic.id))).collect()
        })
    }

    fn send<R>(
        &mut self,
        call: CallId,
        timeout: Duration,
        build: impl FnOnce(i16) -> R,
        read: impl FnOnce(R::Response, i16) -> Answer + Send + 'static,
    ) where
        R: Request + 'static,
        R::Response: Send,
    {
        let sent = match &self.link {
            Some(link) => link.send(build, timeout),
            None => Err(Error::new(ErrorKind::Disconnected)),
        };
        let context = self.cluster.context().clone();
        let deadline = context.now() + timeout;
        let answered = |answer: net::Answer<R>| async move {
            let version = answer.version();
            tokio::select! {
                biased;
                answer = answer.wait() => answer.map(|response| Outcome::Answered(read(response, version))),
                // The broker may want to be left alone for longer than a member has time: it is told so in time, and
                // what was not written by then is not written any more.
                () = context.clock.sleep_until(deadline) => {
                    let what = "the coordinator has not answered in time";
                    Err(Error::new(ErrorKind::TimedOut).what(what).written_perhaps(true))
                }
            }
        };
        self.running.push(match sent {
            Ok(answer) => {
                let answered = answered(answer);
                Box::pin(async move { (call, answered.await) })
            }
            Err(error) => Box::pin(std::future::ready((call, Err(error)))),
        });
    }

    /// The next call that ended; never completes while none is under way. Cancel-safe.
    pub(super) async fn next(&mut self) -> (CallId, Result<Answer>) {
        let Some((call, outcome)) = self.running.next().await else { return std::future::pending().await };
        self.parked.take_if(|parked| *parked == call);
        let answer = match outcome {
            Ok(Outcome::Found(link)) => {
                self.link = Some(link);
                Ok(Answer::Coordinator(Coordinator::default()))
            }
            Ok(Outcome::Answered(answer)) => Ok(answer),
            Err(error) => {
                self.link = None;
                Err(error)
            }
        };
        (call, answer)
    }
}

fn not_found(code: ErrorCode) -> Answer {
    Answer::Coordinator(Coordinator { error_code: code.code(), ..Coordinator::default() })
}

fn leave(group_id: String, member_id: String, version: i16) -> LeaveGroupRequest {
    match version {
        ..LEAVE_MANY_SINCE => LeaveGroupRequest { group_id, member_id, ..LeaveGroupRequest::default() },
        _ => {
            let members = vec![MemberIdentity { member_id, ..MemberIdentity::default() }];
            LeaveGroupRequest { group_id, members, ..LeaveGroupRequest::default() }
        }
    }
}

/// Gives topics that are answered for by id their names back.
fn named(
    mut response: OffsetCommitResponse,
    version: i16,
    names: &BTreeMap<Uuid, String>,
) -> OffsetCommitResponse {
    if version >= TOPIC_IDS_SINCE {
        for topic in &mut response.topics {
            topic.name = names.get(&topic.topic_id).cloned().unwrap_or_default();
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use vltava_wire::{
        Api,
        messages::{
            FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse, MetadataResponse,
            MetadataResponseBroker,
        },
    };

    use super::*;
    use crate::{config, tests::peer::Peer};

    #[tokio::test(start_paused = true)]
    async fn a_coordinator_that_wants_to_be_left_alone_is_not_waited_for_longer_than_a_call_has() {
        const TIMEOUT: Duration = Duration::from_secs(3);
        let peer = Peer::new(|asked| match asked.api() {
            Api::Metadata => {
                let (host, port) = ("peer".into(), 9092);
                let broker = MetadataResponseBroker { node_id: 1, host, port, ..Default::default() };
                asked.answer(&MetadataResponse { brokers: vec![broker], ..Default::default() })
            }
            Api::FindCoordinator => {
                let (host, port) = ("peer".to_owned(), 9092);
                let found = Coordinator { node_id: 1, host, port, ..Default::default() };
                asked.answer(&FindCoordinatorResponse { coordinators: vec![found], ..Default::default() })
            }
            _ => asked.answer(&HeartbeatResponse { throttle_time_ms: 60_000, error_code: 0 }),
        });
        let context = peer.context(config::Connection::default());
        let addresses = vec!["peer:9092".parse().expect("an address")];
        let cluster = Cluster::connect(context.clone(), addresses).await.expect("the peer answers");
        let mut calls = Calls::new(cluster, "readers".into());
        calls.begin(CallId(1), Ask::FindCoordinator, TIMEOUT);
        calls.next().await.1.expect("it is found");
        calls.begin(CallId(2), Ask::Heartbeat(HeartbeatRequest::default()), TIMEOUT);
        calls.next().await.1.expect("it is answered");
        let before = context.now();
        calls.begin(CallId(3), Ask::Heartbeat(HeartbeatRequest::default()), TIMEOUT);
        assert_eq!(calls.next().await.1.expect_err("it is held").kind(), ErrorKind::TimedOut);
        let waited = context.now() - before;
        assert!(waited >= TIMEOUT && waited < TIMEOUT * 2, "{waited:?}");
    }
}
