//! Looking up offsets in logs: their ends, and where a time begins. One request a leader, until every partition has
//! an answer.

use std::{collections::BTreeMap, sync::Arc};

use vltava_core::{
    Moment, Timestamp, TopicPartition,
    cluster::{NodeId, Target},
    fetch::{Isolation, Place},
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
    error::{Error, ErrorKind, Result},
    net::Pool,
};

/// What was found at a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    /// Of the record, where a time was looked for.
    pub(crate) timestamp: i64,
    pub(crate) leader_epoch: i32,
}

impl Found {
    fn of(answer: &ListOffsetsPartitionResponse) -> Option<Self> {
        let &ListOffsetsPartitionResponse { offset, timestamp, leader_epoch, .. } = answer;
        (offset >= 0).then_some(Self { offset, timestamp, leader_epoch })
    }
}

/// How places are asked for.
#[derive(Clone, Copy)]
struct Asking<'a> {
    pool: &'a Pool,
    isolation: Isolation,
    deadline: Moment,
}

impl Cluster {
    /// Where the places are, partition by partition; all of them by `deadline`, or an error. A time after the last
    /// record is at the end.
    pub(crate) async fn offsets(
        &self,
        pool: &Pool,
        places: BTreeMap<TopicPartition, Place>,
        deadline: Moment,
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        let isolation = Isolation::ReadUncommitted;
        let mut found = self.find_offsets(pool, isolation, places, deadline).await?;
        let late = found.iter().filter(|it| it.1.is_none()).map(|it| (it.0.clone(), Place::Latest));
        let late: BTreeMap<_, _> = late.collect();
        if !late.is_empty() {
            found.extend(self.find_offsets(pool, isolation, late, deadline).await?);
        }
        Ok(found.into_iter().filter_map(|(partition, it)| Some((partition, it?.offset))).collect())
    }

    /// Where the places are; none where a time is after the last record.
    pub(crate) async fn find_offsets(
        &self,
        pool: &Pool,
        isolation: Isolation,
        mut places: BTreeMap<TopicPartition, Place>,
        deadline: Moment,
    ) -> Result<BTreeMap<TopicPartition, Option<Found>>> {
        let _interests: Vec<_> = places.keys().map(|partition| self.interest(&partition.topic)).collect();
        let mut found = BTreeMap::new();
        let mut rng = self.context().rng();
        let mut failures = 0;
        while !places.is_empty() {
            let asking = Asking { pool, isolation, deadline };
            let failure = match self.look_up(asking, &mut places, &mut found).await {
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
        Asking { pool, isolation, deadline }: Asking<'_>,
        places: &mut BTreeMap<TopicPartition, Place>,
        found: &mut BTreeMap<TopicPartition, Option<Found>>,
    ) -> Result<()> {
        for (leader, asked) in self.by_leader(places, deadline).await? {
            let attempt = Attempt { pool, target: Target::Node(leader), deadline };
            let wall = self.context().clock.wall();
            let answer = self.attempt(&attempt, |_| request(&asked, isolation, wall)).await?;
            for (partition, answer) in answers(answer) {
                let Some(place) = asked.get(&partition) else { continue };
                match (ErrorCode::from(answer.error_code), Found::of(&answer), place) {
                    (ErrorCode::None, None, Place::Since(_) | Place::Within(_)) => {
                        places.remove(&partition);
                        found.insert(partition, None);
                    }
                    (ErrorCode::None, Some(at), _) => {
                        places.remove(&partition);
                        found.insert(partition, Some(at));
                    }
                    (ErrorCode::None, None, _) => {
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

fn request(
    places: &BTreeMap<TopicPartition, Place>,
    isolation: Isolation,
    wall: Timestamp,
) -> ListOffsetsRequest {
    let mut topics: BTreeMap<&Arc<str>, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (partition, place) in places {
        let timestamp = place.timestamp(wall);
        let partition_index = partition.partition;
        let asked = ListOffsetsPartition { partition_index, timestamp, ..Default::default() };
        topics.entry(&partition.topic).or_default().push(asked);
    }
    let topic = |(name, partitions): (&Arc<str>, _)| ListOffsetsTopic { name: name.to_string(), partitions };
    let topics = topics.into_iter().map(topic).collect();
    let isolation_level = isolation.level();
    ListOffsetsRequest { replica_id: -1, isolation_level, topics, ..Default::default() }
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
