//! Becoming a member of a group.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use vltava_core::group::Pattern;

use super::{
    Consumer, ConsumerBuilder,
    group::{Driver, Settings},
    keeper::Keeper,
    reader::Membership,
    subscription::Subscription,
};
use crate::{
    error::{Error, ErrorKind, Result},
    task::Task,
};

/// A topic that a broker creates by itself is there within this time.
const TOPIC_PATIENCE: Duration = Duration::from_secs(5);

impl ConsumerBuilder {
    /// Becomes a member of the group, which shares out these topics. Fails if one of them is not there, unless
    /// [`await_topics`](Self::await_topics) says to wait; does not wait for the first assignment.
    pub async fn subscribe<T: Into<String>>(self, topics: impl IntoIterator<Item = T>) -> Result<Consumer> {
        let topics: BTreeSet<String> = topics.into_iter().map(Into::into).collect();
        if topics.is_empty() {
            return Err(wrong("no topics were given to subscribe to"));
        }
        let group = self.check()?;
        if !self.config.await_topics {
            let deadline = self.client.context.now() + TOPIC_PATIENCE;
            for topic in &topics {
                self.client.cluster.topic(&Arc::from(&**topic), true, deadline).await?;
            }
        }
        Ok(self.join(group, Subscription::Topics(topics)))
    }

    /// Becomes a member of the group, which shares out all topics whose whole names match a regular expression in the
    /// syntax of RE2, but not Kafka's own. Topics that come later are read too, those that go are not any more; none
    /// at all is no error.
    ///
    /// ```no_run
    /// # use vltava_client::{Client, Result};
    /// # async fn audit(client: &Client) -> Result<()> {
    /// let mut consumer = client.consumer().group("audit").subscribe_pattern("orders-.*").await?;
    /// # let _ = consumer.recv().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn subscribe_pattern(self, pattern: &str) -> Result<Consumer> {
        let group = self.check()?;
        let pattern = Pattern::new(pattern).map_err(|error| wrong(&error.to_string()))?;
        Ok(self.join(group, Subscription::Pattern(pattern)))
    }

    fn join(self, group: Arc<str>, subscription: Subscription) -> Consumer {
        let Self { client, config, hooks, .. } = self;
        let settings = Settings { group: group.clone(), subscription, consumer: config.clone() };
        let (driver, mut events, committer) = Driver::new(&client, settings);
        // The task ends by itself when the member has left, which it does once both ends are dropped.
        tokio::spawn(driver.run());
        let keeper = Keeper::new(committer.clone(), events.teller().clone(), &config);
        let parting = config.auto_commit.then(|| committer.clone());
        events.keep(Task::spawn(keeper.run()), parting);
        let membership = Membership {
            client,
            group,
            hooks,
            auto_commit: config.auto_commit,
            hook_max: config.unfinished_max,
        };
        Consumer::member(events, committer, membership)
    }

    fn check(&self) -> Result<Arc<str>> {
        let Some(group) = self.group.as_deref().filter(|group| !group.is_empty()) else {
            return Err(wrong("a subscription needs a group").fix("name one with group()"));
        };
        let config = &self.config;
        if config.heartbeat_interval.is_zero() || config.heartbeat_interval * 3 > config.session_timeout {
            return Err(wrong("the heartbeat interval is more than a third of the session timeout, or zero"));
        }
        if config.auto_commit_interval.is_zero() || config.unfinished_max.is_zero() {
            return Err(wrong("auto_commit_interval and unfinished_max have to be more than nothing"));
        }
        if config.instance_id.as_deref() == Some("") {
            return Err(
                wrong("the instance id is empty").fix("leave it out for a member that is another each time")
            );
        }
        Ok(Arc::from(group))
    }
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Config).what(what)
}
