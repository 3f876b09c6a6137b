//! The task that keeps the view fresh: it asks when `Refresh` says so, any broker that answers.

use std::sync::Arc;

use tracing::debug;
use vltava_core::cluster::{Ask, Target};
use vltava_wire::messages::{MetadataRequest, MetadataResponse};

use super::Inner;
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
        let mut failure = Error::new(ErrorKind::Config).what("no brokers were given");
        for _ in 0..self.bootstrap.len() {
            let answer = self.ask(&ask).await;
            match self.settle(&ask, answer) {
                None => return Ok(()),
                Some(error) => failure = error,
            }
        }
        Err(failure.doing("connecting to the cluster"))
    }

    async fn ask(&self, ask: &Ask) -> Result<MetadataResponse> {
        let deadline = self.context.now() + self.context.connection.request_timeout;
        let broker = self.anybody();
        let link = self.pool.link(&broker, deadline).await.inspect_err(|_| self.unreachable(&broker))?;
        let create = self.lock().creating > 0;
        let request = ask.request(create);
        let answer =
            link.call(|version| in_version(request, version), self.context.connection.request_timeout).await;
        answer.inspect_err(|_| self.unreachable(&broker))
    }

    /// Takes an answer, or takes note that there is none.
    fn settle(&self, ask: &Ask, answer: Result<MetadataResponse>) -> Option<Error> {
        let now = self.context.now();
        let state = &mut *self.lock();
        let answer = answer.and_then(|answer| match answer.brokers.is_empty() {
            false => Ok(answer),
            true => Err(Error::new(ErrorKind::Malformed).what("the answer names no brokers")),
        });
        state.failure = match answer {
            Ok(answer) => {
                let complete = is_complete(ask, &answer);
                state.view.on_metadata(ask, answer);
                state.refresh.on_answer(now, complete, &mut state.rng);
                state.unanswered = 0;
                None
            }
            Err(failure) => {
                debug!(error = %failure, "no metadata");
                state.refresh.on_failure(now, &mut state.rng);
                state.unanswered = state.unanswered.saturating_add(1);
                Some(failure)
            }
        };
        self.news.tell();
        state.failure.clone()
    }

    /// Whom to ask: a broker that is known or, every other time that nobody answered, one that was configured, as
    /// all that are known may have been replaced.
    fn anybody(&self) -> Broker {
        let unanswered = self.lock().unanswered;
        let known = self.route(&Target::Any).ok().filter(|_| unanswered.is_multiple_of(2));
        known.and_then(|node| self.broker(node)).unwrap_or_else(|| {
            let turn = match self.lock().view.brokers().len() {
                0 => unanswered,
                _ => unanswered / 2,
            };
            let address = self.bootstrap[turn as usize % self.bootstrap.len()].clone();
            Broker { node: None, address }
        })
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
