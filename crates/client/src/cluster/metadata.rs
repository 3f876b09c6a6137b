//! The task that keeps the view fresh: it asks when `Refresh` says so, any broker that answers.

use std::sync::Arc;

use tracing::debug;
use vltava_core::cluster::{Ask, Whom};
use vltava_wire::{
    ErrorCode,
    messages::{MetadataRequest, MetadataResponse},
};

use super::{Inner, broker};
use crate::error::{Broker, Error, ErrorKind, Result};

/// Runs until it is aborted.
pub(super) async fn keep_fresh(cluster: Arc<Inner>) {
    loop {
        let now = cluster.context.now();
        let ask = cluster.lock().refresh.poll(now);
        if let Some(ask) = ask {
            let answer = cluster.ask(&ask).await;
            cluster.settle(&ask, answer);
            continue;
        }
        let deadline = cluster.lock().refresh.deadline();
        tokio::select! {
            biased;
            () = cluster.wake.notified() => (),
            () = cluster.context.sleep_until(deadline) => (),
        }
    }
}

impl Inner {
    /// The first answer, for which every address that was configured is asked once.
    pub(super) async fn bootstrap(&self) -> Result<()> {
        let ask = Ask::Topics(Vec::new());
        let mut failure = None;
        for _ in 0..self.addresses.len() {
            let answer = self.ask(&ask).await;
            failure = self.settle(&ask, answer);
            if failure.is_none() {
                break;
            }
        }
        failure.map_or(Ok(()), |failure| Err(failure.doing("connecting to the cluster")))
    }

    async fn ask(&self, ask: &Ask) -> Result<MetadataResponse> {
        let deadline = self.context.now() + self.context.connection.request_timeout;
        let broker = self.whom();
        let link = self.pool.link(&broker, deadline).await.inspect_err(|_| self.unreachable(&broker))?;
        let create = self.lock().creating > 0;
        let request = ask.request(create);
        let answer =
            link.call(|version| in_version(request, version), self.context.connection.request_timeout);
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            // Others may answer while this one wants to be left alone: nobody is waited for longer than that.
            () = self.context.clock.sleep_until(deadline) => Err(Error::new(ErrorKind::TimedOut).with(&broker)),
        };
        let answer = answer.inspect_err(|_| self.unreachable(&broker))?;
        if ErrorCode::from(answer.error_code) == ErrorCode::RebootstrapRequired {
            // Names may lead elsewhere by now, so none of these is gone back to over the connection that is there.
            let configured = self.addresses.iter();
            configured.chain([&broker.address]).for_each(|address| self.pool.forget(address));
        }
        Ok(answer)
    }

    /// Takes an answer, or takes note that there is none.
    fn settle(&self, ask: &Ask, answer: Result<MetadataResponse>) -> Option<Error> {
        let now = self.context.now();
        let state = &mut *self.lock();
        state.failure = match answer.and_then(sound) {
            Ok(answer) => {
                let complete = is_complete(ask, &answer);
                state.view.on_metadata(ask, answer);
                state.refresh.on_answer(now, complete, &mut state.rng);
                state.bootstrap.on_answer();
                None
            }
            Err(failure) => {
                debug!(error = %failure, "no metadata");
                state.refresh.on_failure(now, &mut state.rng);
                state.bootstrap.on_failure();
                if failure.code() == Some(ErrorCode::RebootstrapRequired) {
                    state.bootstrap.on_sent_back();
                }
                Some(failure)
            }
        };
        self.news.tell();
        state.failure.clone()
    }

    fn whom(&self) -> Broker {
        let state = &mut *self.lock();
        match state.bootstrap.poll(&state.route, &state.view, &mut state.rng) {
            Whom::Known(node) => broker(&state.view, node).expect("a route leads to who is in the view"),
            Whom::Configured(turn) => Broker { node: None, address: self.addresses[turn].clone() },
        }
    }
}

/// An answer that tells who is there.
fn sound(answer: MetadataResponse) -> Result<MetadataResponse> {
    match ErrorCode::from(answer.error_code) {
        ErrorCode::None if answer.brokers.is_empty() => {
            Err(Error::new(ErrorKind::Malformed).what("the answer names no brokers"))
        }
        ErrorCode::None => Ok(answer),
        code => Err(Error::refused(code)),
    }
}

/// Older versions ask for every topic by naming none, and always create.
fn in_version(mut request: MetadataRequest, version: i16) -> MetadataRequest {
    if version < 4 {
        request.allow_auto_topic_creation = true;
    }
    request
}

/// Whether an answer told all that was asked.
fn is_complete(ask: &Ask, answer: &MetadataResponse) -> bool {
    let led = answer.topics.iter().all(|topic| {
        topic.error_code == 0 && topic.partitions.iter().all(|partition| partition.leader_id >= 0)
    });
    let told = match ask {
        Ask::All => true,
        Ask::Topics(topics) => topics.len() <= answer.topics.len(),
    };
    led && told
}
