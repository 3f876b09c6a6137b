//! Looking up offsets in logs: their ends, and where a time begins. One request a leader, until every partition has
//! an answer.

use std::{collections::BTreeMap, sync::Arc};

use vltava_core::{
    Moment, Timestamp, TopicPartition,
    cluster::{NodeId, Target},
};
use vltava_wire::{
    ErrorCode,
    messages::{
        ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
        ListOffsetsTopic,
    },
};

use super::{Attempt, Cluster};
use crate::{
    Offset,
    error::{Error, ErrorKind, Result},
    net::Pool,
};

/// What stands for the end of a log, and for its beginning, in place of a timestamp.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// What is looked up in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Earliest,
    Latest,
    /// The first record that is as late or later; the end if there is none.
    Since(Timestamp),
}

impl Place {
    /// The place to look up for an offset, or the offset itself if it says it all.
    pub(crate) fn of(offset: Offset) -> Result<Self, i64> {
        match offset {
            Offset::Earliest => Ok(Self::Earliest),
            Offset::Latest => Ok(Self::Latest),
            Offset::Timestamp(timestamp) => Ok(Self::Since(timestamp)),
            Offset::Exact(offset) => Err(offset),
        }
    }
}

impl Cluster {
    /// Where the places are, partition by partition; all of them by `deadline`, or an error.
    pub(crate) async fn offsets(
        &self,
        pool: &Pool,
        mut places: BTreeMap<TopicPartition, Place>,
        deadline: Moment,
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        let _interests: Vec<_> = places.keys().map(|partition| self.interest(&partition.topic)).collect();
        let mut found = BTreeMap::new();
        let mut rng = self.context().rng();
        let mut failures = 0;
        while !places.is_empty() {
            let failure = match self.look_up(pool, &mut places, &mut found, deadline).await {
                Ok(()) if places.is_empty() => break,
                Ok(()) => Error::refused(ErrorCode::LeaderNotAvailable),
                Err(failure) => failure,
            };
            failures += 1;
            let again = self.context().now() + self.context().connection.backoff.after(failures, &mut rng);
            if !failure.is_retriable() || again >= deadline {
                let one = places.keys().next().map(TopicPartition::to_string).unwrap_or_default();
                return Err(failure.doing(format!("looking up an offset of {one}")));
            }
            self.context().clock.sleep_until(again).await;
        }
        Ok(found)
    }

    /// One round: every leader is asked once. What is found moves from `places` to `found`.
    async fn look_up(
        &self,
        pool: &Pool,
        places: &mut BTreeMap<TopicPartition, Place>,
        found: &mut BTreeMap<TopicPartition, i64>,
        deadline: Moment,
    ) -> Result<()> {
        for (leader, asked) in self.by_leader(places, deadline).await? {
            let attempt = Attempt { pool, target: Target::Node(leader), deadline };
            let answer = self.attempt(&attempt, |_| request(&asked)).await?;
            for (partition, answer) in answers(answer) {
                let Some(place) = asked.get(&partition) else { continue };
                match (ErrorCode::from(answer.error_code), answer.offset, place) {
                    (ErrorCode::None, ..0, Place::Since(_)) => {
                        places.insert(partition, Place::Latest);
                    }
                    (ErrorCode::None, 0.., _) => {
                        places.remove(&partition);
                        found.insert(partition, answer.offset);
                    }
                    (ErrorCode::None, ..) => {
                        return Err(Error::new(ErrorKind::Malformed).what("an offset is below zero"));
                    }
                    (code, ..) if code.is_retriable() => self.on_refusal(&attempt.target, code),
                    (code, ..) => return Err(Error::refused(code).doing(format!("looking up {partition}"))),
                }
            }
        }
        Ok(())
    }

    /// The places by who leads their partitions. Topics that are not known yet are waited for.
    async fn by_leader(
        &self,
        places: &BTreeMap<TopicPartition, Place>,
        deadline: Moment,
    ) -> Result<BTreeMap<NodeId, BTreeMap<TopicPartition, Place>>> {
        let mut leaders: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        let mut leaderless = false;
        for (partition, place) in places {
            if self.leader(partition).is_none() {
                let (topic, _) = self.topic(&partition.topic, false, deadline).await?;
                if usize::try_from(partition.partition)
                    .map_or(true, |number| number >= topic.partitions.len())
                {
                    let what = format!("{partition} is not there: the topic has {}", topic.partitions.len());
                    return Err(Error::new(ErrorKind::UnknownTopic).what(what));
                }
            }
            match self.leader(partition) {
                Some(leader) => {
                    leaders.entry(leader.node).or_default().insert(partition.clone(), *place);
                }
                None => leaderless = true,
            }
        }
        if leaderless {
            self.stale();
        }
        Ok(leaders)
    }
}

fn request(places: &BTreeMap<TopicPartition, Place>) -> ListOffsetsRequest {
    let mut topics: BTreeMap<&Arc<str>, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (partition, place) in places {
        let timestamp = match place {
            Place::Earliest => EARLIEST,
            Place::Latest => LATEST,
            Place::Since(timestamp) => timestamp.0.max(0),
        };
        let partition_index = partition.partition;
        let asked = ListOffsetsPartition { partition_index, timestamp, ..Default::default() };
        topics.entry(&partition.topic).or_default().push(asked);
    }
    let topic = |(name, partitions): (&Arc<str>, _)| ListOffsetsTopic { name: name.to_string(), partitions };
    let topics = topics.into_iter().map(topic).collect();
    ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }
}

fn answers(
    answer: ListOffsetsResponse,
) -> impl Iterator<Item = (TopicPartition, ListOffsetsPartitionResponse)> {
    answer.topics.into_iter().flat_map(|topic| {
        let name: Arc<str> = topic.name.into();
        let named = move |it: ListOffsetsPartitionResponse| {
            (TopicPartition::new(name.clone(), it.partition_index), it)
        };
        topic.partitions.into_iter().map(named)
    })
}
