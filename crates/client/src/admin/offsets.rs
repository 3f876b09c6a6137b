//! Offsets of logs: their ends, and where a time begins.

use std::collections::{BTreeMap, BTreeSet};

use vltava_core::TopicPartition;

use super::Admin;
use crate::{Offset, error::Result};

impl Admin {
    /// The offsets of these places in their logs. Exact offsets come back as they are.
    pub async fn offsets(
        &self,
        places: impl IntoIterator<Item = (TopicPartition, Offset)>,
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        let mut exact = BTreeMap::new();
        let mut sought = BTreeMap::new();
        for (partition, offset) in places {
            match offset.place() {
                Ok(place) => drop(sought.insert(partition, place)),
                Err(offset) => drop(exact.insert(partition, offset)),
            }
        }
        let (context, cluster) = (&self.client.context, &self.client.cluster);
        let deadline = context.now() + context.connection.call_timeout;
        // Whoever asks first knows no leaders yet.
        let topics: BTreeSet<_> = sought.keys().map(|partition| partition.topic.clone()).collect();
        for topic in &topics {
            cluster.topic(topic, false, deadline).await?;
        }
        let mut found = cluster.offsets(cluster.pool(), sought, deadline).await?;
        found.append(&mut exact);
        Ok(found)
    }
}
