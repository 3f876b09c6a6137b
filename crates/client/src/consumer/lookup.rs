//! Looking up offsets without reading: the ends of logs, and where times begin.

use std::collections::BTreeMap;

use vltava_core::{Timestamp, TopicPartition, fetch::Isolation, fetch::Place};

use crate::{Client, error::Result};

/// Between which offsets there are records to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The oldest offset that is left.
    pub begin: i64,
    /// The offset behind the last record that may be read.
    pub end: i64,
}

/// The first record that is as late as a time, or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAndTimestamp {
    /// Its offset.
    pub offset: i64,
    /// Its time.
    pub timestamp: Timestamp,
    /// The epoch of the leader that wrote it; below zero if the broker does not say.
    pub leader_epoch: i32,
}

impl Client {
    /// Asks between which offsets the records of partitions lie. Where only what was committed is read, logs end
    /// before the first transaction that is open.
    ///
    /// ```no_run
    /// # use vltava_client::{Client, Isolation, Result, TopicPartition};
    /// # async fn count(client: &Client) -> Result<()> {
    /// let orders = TopicPartition::new("orders", 0);
    /// let found = client.watermarks([orders.clone()], Isolation::ReadUncommitted).await?;
    /// println!("{} offsets", found[&orders].end - found[&orders].begin);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn watermarks(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        isolation: Isolation,
    ) -> Result<BTreeMap<TopicPartition, Watermarks>> {
        let partitions: Vec<_> = partitions.into_iter().collect();
        let at = |place| partitions.iter().map(move |it| (it.clone(), place)).collect::<BTreeMap<_, _>>();
        let begins = self.look_up(at(Place::Earliest), isolation).await?;
        let ends = self.look_up(at(Place::Latest), isolation).await?;
        let both = begins.into_iter().zip(ends.into_values());
        let marks = both.map(|((partition, begin), end)| {
            let begin = begin.map_or(0, |it| it.offset);
            (partition, Watermarks { begin, end: end.map_or(begin, |it| it.offset) })
        });
        Ok(marks.collect())
    }

    /// Asks for the first record of each partition that is as late as its time here, or later; none where all are
    /// earlier.
    pub async fn offsets_for_times(
        &self,
        times: impl IntoIterator<Item = (TopicPartition, Timestamp)>,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>> {
        let places = times.into_iter().map(|(partition, time)| (partition, Place::Since(time))).collect();
        self.look_up(places, Isolation::ReadUncommitted).await
    }

    async fn look_up(
        &self,
        places: BTreeMap<TopicPartition, Place>,
        isolation: Isolation,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>> {
        let deadline = self.context.now() + self.context.connection.call_timeout;
        let found = self.cluster.find_offsets(self.cluster.pool(), isolation, places, deadline).await?;
        let point = |it: crate::cluster::Found| OffsetAndTimestamp {
            offset: it.offset,
            timestamp: Timestamp(it.timestamp),
            leader_epoch: it.leader_epoch,
        };
        Ok(found.into_iter().map(|(partition, it)| (partition, it.map(point))).collect())
    }
}
