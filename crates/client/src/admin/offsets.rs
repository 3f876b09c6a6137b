//! Offsets: of logs, and those that groups have committed.

use std::collections::{BTreeMap, BTreeSet};

use vltava_core::{TopicPartition, cluster::Target};
use vltava_wire::{
    ErrorCode,
    messages::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse},
};

use super::Admin;
use crate::{
    Offset,
    cluster::{GROUPS_SINCE, Told, told},
    error::{Error, Result},
};

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset to resume from.
    pub offset: i64,
    /// The epoch of the leader that wrote the last record done; below zero if unknown.
    pub leader_epoch: i32,
    /// What was kept beside it.
    pub metadata: String,
}

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

    /// All that a group has committed.
    pub async fn committed_offsets(&self, group: &str) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
        let doing = format!("asking for the offsets of group {group}");
        let judge = |answer: &OffsetFetchResponse| {
            let code = answer.groups.first().map_or(answer.error_code, |group| group.error_code);
            ErrorCode::from(code)
        };
        let target = Target::Coordinator(group.into());
        let build = |version| request(group, version);
        let answer = self.client.cluster.call(target, &doing, build, judge).await?;
        committed(answer).map_err(|error| error.doing(doing))
    }
}

fn request(group: &str, version: i16) -> OffsetFetchRequest {
    match version {
        ..GROUPS_SINCE => {
            OffsetFetchRequest { group_id: group.to_owned(), topics: None, ..Default::default() }
        }
        _ => {
            let group =
                OffsetFetchRequestGroup { group_id: group.to_owned(), topics: None, ..Default::default() };
            OffsetFetchRequest { groups: vec![group], ..Default::default() }
        }
    }
}

/// What an answer says, in whichever version. Partitions without an offset are left out.
fn committed(answer: OffsetFetchResponse) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
    let mut all = BTreeMap::new();
    for Told { topic, partition, error, offset, leader_epoch, metadata, .. } in told(answer) {
        let partition = TopicPartition::new(topic, partition);
        match error {
            ErrorCode::None if offset >= 0 => {
                all.insert(partition, CommittedOffset { offset, leader_epoch, metadata });
            }
            ErrorCode::None => (),
            code => return Err(Error::refused(code).doing(format!("asking for the offset of {partition}"))),
        }
    }
    Ok(all)
}
