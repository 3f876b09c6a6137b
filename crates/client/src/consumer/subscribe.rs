//! Becoming a member of a group.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    Consumer, ConsumerBuilder,
    group::{Driver, Settings},
};
use crate::error::{Error, ErrorKind, Result};

/// A topic that a broker creates by itself is there within this time.
const TOPIC_PATIENCE: Duration = Duration::from_secs(5);

impl ConsumerBuilder {
    /// Becomes a member of the group, which shares out these topics. Fails if one of them is not there; does not
    /// wait for the first assignment.
    pub async fn subscribe<T: Into<String>>(self, topics: impl IntoIterator<Item = T>) -> Result<Consumer> {
        let topics: BTreeSet<String> = topics.into_iter().map(Into::into).collect();
        let group = self.check(&topics)?;
        let deadline = self.client.context.now() + TOPIC_PATIENCE;
        for topic in &topics {
            self.client.cluster.topic(&Arc::from(&**topic), true, deadline).await?;
        }
        let settings = Settings { group, topics, consumer: self.config };
        let (driver, events, committer) = Driver::new(&self.client, settings);
        // The task ends by itself when the member has left, which it does once both ends are dropped.
        tokio::spawn(driver.run());
        Ok(Consumer::member(events, committer))
    }

    fn check(&self, topics: &BTreeSet<String>) -> Result<Arc<str>> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::Config).what(what));
        let Some(group) = self.group.as_deref().filter(|group| !group.is_empty()) else {
            return wrong("a subscription needs a group")
                .map_err(|error: Error| error.fix("name one with group()"));
        };
        if topics.is_empty() {
            return wrong("no topics were given to subscribe to");
        }
        if self.config.heartbeat_interval.is_zero()
            || self.config.heartbeat_interval * 3 > self.config.session_timeout
        {
            return wrong("the heartbeat interval is more than a third of the session timeout, or zero");
        }
        Ok(Arc::from(group))
    }
}
