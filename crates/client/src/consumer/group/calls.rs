//! What a member asks, over connections of its own. A broker serves one request of a connection after the other, and
//! parks a join until all have joined: it has a connection to itself, so that the member can beat and commit meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use vltava_core::{
    cluster::Target,
    group::member::{Answer, Ask, CallId},
};
use vltava_wire::{
    Api, Class, ErrorCode, Request, Uuid,
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
    /// Where joins and syncs wait in the broker, and which of them do.
    parking: Arc<Pool>,
    parked: BTreeSet<CallId>,
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
        let pool = || Arc::new(Pool::new(cluster.context().clone()));
        let (pool, parking) = (pool(), pool());
        let (running, parked) = (FuturesUnordered::new(), BTreeSet::new());
        Self { cluster, group, pool, link: None, running, parking, parked }
    }

    /// The connections of the member.
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(super) fn begin(&mut self, call: CallId, ask: Ask, timeout: Duration) {
        match ask {
            Ask::FindCoordinator => self.find(call, timeout),
            Ask::Join(request) => self.park(call, timeout, request, Answer::Join),
            Ask::Sync(request) => self.park(call, timeout, request, Answer::Sync),
            Ask::Heartbeat(request) => {
                self.send(call, timeout, move |_| request, |response, _| Answer::Heartbeat(response));
            }
            Ask::NextHeartbeat(request) => {
                self.send(call, timeout, move |_| request, |response, _| Answer::NextHeartbeat(response));
            }
            Ask::Leave(member) => {
                let group_id = self.group.to_string();
                self.send(call, timeout, |version| leave(group_id, member, version), |_, _| Answer::Leave);
            }
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
                Some(code) => Ok(Outcome::Answered(told(code, None))),
                None => Err(error),
            });
            (call, outcome)
        }));
    }

    /// Asks what may wait in the broker for long. Behind one that nobody waits for any more, it would wait too.
    fn park<R: Request + Clone + Sync + 'static>(
        &mut self,
        call: CallId,
        timeout: Duration,
        request: R,
        read: fn(R::Response) -> Answer,
    ) where
        R::Response: Send,
    {
        if !self.parked.is_empty() {
            self.parking = Arc::new(Pool::new(self.cluster.context().clone()));
        }
        self.parked.insert(call);
        let (cluster, pool, target) = (self.cluster.clone(), self.parking.clone(), self.target());
        let deadline = cluster.context().now() + timeout;
        self.running.push(Box::pin(async move {
            let attempt = Attempt { pool: &pool, target, deadline };
            let answer = cluster.attempt(&attempt, |_| request).await;
            (call, answer.map(|response| Outcome::Answered(read(response))))
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
        self.parked.remove(&call);
        let answer = match outcome {
            Ok(Outcome::Found(link)) => {
                let next = link.version(Api::ConsumerGroupHeartbeat).ok();
                self.link = Some(link);
                Ok(told(ErrorCode::None, next))
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

fn told(code: ErrorCode, next: Option<i16>) -> Answer {
    Answer::Coordinator { found: Coordinator { error_code: code.code(), ..Coordinator::default() }, next }
}

fn leave(group_id: String, member: MemberIdentity, version: i16) -> LeaveGroupRequest {
    let (member_id, members) = match version {
        ..LEAVE_MANY_SINCE => (member.member_id, Vec::new()),
        _ => (String::new(), vec![member]),
    };
    LeaveGroupRequest { group_id, member_id, members }
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
