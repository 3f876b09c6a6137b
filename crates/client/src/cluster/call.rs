//! Asking the cluster: one attempt, and the one loop that makes several of them.

use std::sync::Arc;

use tracing::debug;
use vltava_core::{
    Moment,
    cluster::{NodeId, Target, Unroutable},
};
use vltava_wire::{
    Class, ErrorCode, Request,
    messages::{FindCoordinatorRequest, FindCoordinatorResponse},
};

use super::{Cluster, Inner};
use crate::{
    error::{Broker, Error, ErrorKind, Result},
    net::{Link, Pool},
};

/// One attempt to have something done: by whom, over whose connections, until when.
pub(crate) struct Attempt<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) target: Target,
    pub(crate) deadline: Moment,
}

impl Cluster {
    /// Has a request answered over the shared connections, by the call timeout: the one retry loop of the control
    /// plane. `build` makes the request for a version, `judge` finds the error in an answer.
    pub(crate) async fn call<R: Request>(
        &self,
        target: Target,
        doing: &str,
        build: impl Fn(i16) -> R,
        judge: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response> {
        let deadline = self.context().now() + self.context().connection.call_timeout;
        let mut rng = self.context().rng();
        for failures in 1.. {
            let attempt = Attempt { pool: self.pool(), target: target.clone(), deadline };
            let failure = match self.attempt(&attempt, &build).await {
                Ok(answer) => match judge(&answer) {
                    ErrorCode::None => return Ok(answer),
                    code => {
                        self.on_refusal(&target, code);
                        Error::refused(code)
                    }
                },
                Err(failure) => failure,
            };
            let pause = self.context().connection.backoff.after(failures, &mut rng);
            let again = self.context().now() + pause;
            if !failure.is_retriable() || again >= deadline {
                return Err(failure.doing(doing));
            }
            debug!(doing, error = %failure, "trying again");
            self.context().clock.sleep_until(again).await;
        }
        unreachable!("the loop ends with an answer or at the deadline")
    }

    /// Finds whoever the request is meant for, and asks once. What the answer says is for the caller to judge; what
    /// it says of metadata or coordinators, for [`on_refusal`](Self::on_refusal) to hear.
    pub(crate) async fn attempt<R: Request>(
        &self,
        attempt: &Attempt<'_>,
        build: impl FnOnce(i16) -> R,
    ) -> Result<R::Response> {
        let node = self.locate(attempt).await?;
        let link = self.inner.link(attempt.pool, node, attempt.deadline).await?;
        self.inner.ask_over(&link, node, build, attempt.deadline).await
    }

    /// The connection to whoever a request is meant for.
    pub(crate) async fn link(&self, attempt: &Attempt<'_>) -> Result<Link> {
        let node = self.locate(attempt).await?;
        self.inner.link(attempt.pool, node, attempt.deadline).await
    }

    /// Takes note of what a refusal says about who is asked.
    pub(crate) fn on_refusal(&self, target: &Target, code: ErrorCode) {
        match (code.class(), target) {
            (Class::RefreshMetadata, _) => self.stale(),
            (Class::RefreshCoordinator, Target::Coordinator(group)) => {
                self.inner.lock().route.forget_coordinator(group);
            }
            _ => (),
        }
    }

    /// Finds the broker for a target: waits for metadata, asks for a coordinator.
    pub(crate) async fn locate(&self, attempt: &Attempt<'_>) -> Result<NodeId> {
        let mut news = self.news();
        loop {
            news.catch_up();
            let missing = match self.inner.route(&attempt.target) {
                Ok(node) => return Ok(node),
                Err(missing) => missing,
            };
            if let Unroutable::NoCoordinator(group) = &missing {
                return self.find_coordinator(group, attempt.deadline).await;
            }
            self.stale();
            if !self.inner.changed(&mut news, attempt.deadline).await {
                return Err(Error::new(ErrorKind::TimedOut).what(missing.to_string()));
            }
        }
    }

    async fn find_coordinator(&self, group: &Arc<str>, deadline: Moment) -> Result<NodeId> {
        let anybody = self.inner.route(&Target::Any);
        let anybody = anybody.map_err(|none| Error::new(ErrorKind::TimedOut).what(none.to_string()))?;
        let link = self.inner.link(self.pool(), anybody, deadline).await?;
        let answer =
            self.inner.ask_over(&link, anybody, |version| looking_for(group, version), deadline).await?;
        let (code, node, host, port) = coordinator(answer);
        if code != ErrorCode::None {
            return Err(Error::refused(code).doing(format!("looking for the coordinator of group {group}")));
        }
        let mut state = self.inner.lock();
        state.view.on_broker(node.0, host, port, None);
        state.route.on_coordinator(group, node);
        Ok(node)
    }
}

impl Inner {
    /// The connection to a broker.
    async fn link(&self, pool: &Pool, node: NodeId, deadline: Moment) -> Result<Link> {
        let gone = || {
            self.stale();
            Error::new(ErrorKind::Disconnected).what(Unroutable::NoNode(node).to_string())
        };
        let broker = self.broker(node).ok_or_else(gone)?;
        let link = pool.link(&broker, deadline).await;
        match link {
            Ok(_) => self.lock().route.on_reached(node),
            Err(_) => self.lost(node),
        }
        link
    }

    /// A broker could not be reached: others go first, and what it led may have moved.
    pub(super) fn unreachable(&self, broker: &Broker) {
        if let Some(node) = broker.node {
            self.lost(NodeId(node));
        }
    }

    /// Asks a broker over a connection that it may share with others, who then are not to blame.
    async fn ask_over<R: Request>(
        &self,
        link: &Link,
        node: NodeId,
        build: impl FnOnce(i16) -> R,
        deadline: Moment,
    ) -> Result<R::Response> {
        let answer = link.send(build, self.context.connection.request_timeout)?;
        tokio::select! {
            biased;
            answer = answer.wait() => answer.inspect_err(|_| self.lost(node)),
            () = self.context.clock.sleep_until(deadline) => {
                Err(Error::new(ErrorKind::TimedOut).with(link.broker()).written_perhaps(true))
            }
        }
    }
}

fn looking_for(group: &str, version: i16) -> FindCoordinatorRequest {
    match version {
        ..4 => FindCoordinatorRequest { key: group.to_owned(), ..Default::default() },
        _ => FindCoordinatorRequest { coordinator_keys: vec![group.to_owned()], ..Default::default() },
    }
}

fn coordinator(mut answer: FindCoordinatorResponse) -> (ErrorCode, NodeId, String, i32) {
    match answer.coordinators.pop() {
        Some(one) => (ErrorCode::from(one.error_code), NodeId(one.node_id), one.host, one.port),
        None => (ErrorCode::from(answer.error_code), NodeId(answer.node_id), answer.host, answer.port),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vltava_wire::messages::{HeartbeatRequest, MetadataResponse, MetadataResponseBroker};

    use super::*;
    use crate::{
        config,
        tests::peer::{Peer, Reply},
    };

    /// Brokers may share an address, and so a connection, which says who opened it and not who was asked.
    #[tokio::test(start_paused = true)]
    async fn whoever_was_asked_in_vain_is_the_one_that_others_go_before() {
        let broker = |node_id| MetadataResponseBroker {
            node_id,
            host: "proxy".into(),
            port: 9092,
            ..Default::default()
        };
        let answer = MetadataResponse { brokers: vec![broker(1), broker(2)], ..Default::default() };
        let peer = Peer::new(move |asked| match asked.api() {
            vltava_wire::Api::Metadata => asked.answer(&answer),
            _ => Reply::Cut,
        });
        for (first, asked) in [(1, 2), (2, 1)].map(|(first, asked)| (NodeId(first), NodeId(asked))) {
            let context = peer.context(config::Connection::default());
            let addresses = vec!["seed:9092".parse().expect("an address")];
            let cluster = Cluster::connect(context.clone(), addresses).await.expect("the peer answers");
            let deadline = context.now() + Duration::from_secs(10);
            let attempt = |node| Attempt { pool: cluster.pool(), target: Target::Node(node), deadline };
            cluster.link(&attempt(first)).await.expect("the peer is there");
            let vain = cluster.attempt(&attempt(asked), |_| HeartbeatRequest::default()).await;
            assert!(vain.is_err());
            let next: Vec<_> = (0..20).map(|_| cluster.inner.route(&Target::Any)).collect();
            assert!(next.iter().all(|it| *it == Ok(first)), "{next:?}");
        }
    }
}
