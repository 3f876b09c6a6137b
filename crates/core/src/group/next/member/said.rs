//! What a member tells the coordinator, all of it or only what is new.

use std::collections::{BTreeMap, BTreeSet};

use vltava_wire::{
    Uuid,
    messages::next_group::{ConsumerGroupHeartbeatRequest, TopicPartitions},
};

use crate::group::member::Ground;

/// Partitions by the ids of their topics.
pub(super) type ById = BTreeMap<Uuid, BTreeSet<i32>>;

/// What the coordinator knows of a member, once it has answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) topics: BTreeSet<String>,
    pub(super) owned: ById,
    /// How many times the target had changed by then: a coordinator that took back what was never taken waits to hear
    /// what is owned, be it as before.
    pub(super) turns: u64,
}

impl Said {
    /// The request that says this to a coordinator that knows so much.
    pub(super) fn request(&self, known: Option<&Self>, ground: &Ground) -> ConsumerGroupHeartbeatRequest {
        let config = &ground.config;
        let is_news = known.is_none();
        let topics = || self.topics.iter().cloned().collect();
        let owned = || self.owned.iter().map(topic).collect();
        ConsumerGroupHeartbeatRequest {
            group_id: config.group_id.clone(),
            member_id: ground.member_id.clone(),
            member_epoch: ground.epoch.max(0),
            instance_id: config.instance_id.clone(),
            rack_id: config.rack.clone().filter(|_| is_news),
            rebalance_timeout_ms: match is_news {
                true => i32::try_from(config.rebalance_timeout.as_millis()).unwrap_or(i32::MAX),
                false => -1,
            },
            subscribed_topic_names: known.is_none_or(|it| it.topics != self.topics).then(topics),
            subscribed_topic_regex: config.regex.clone().filter(|_| is_news),
            server_assignor: config.server_assignor.clone().filter(|_| is_news),
            topic_partitions: self.tells_owned(known).then(owned),
        }
    }

    /// Whether the request says what is owned.
    pub(super) fn tells_owned(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|it| it.owned != self.owned || it.turns != self.turns)
    }
}

fn topic((topic_id, partitions): (&Uuid, &BTreeSet<i32>)) -> TopicPartitions {
    TopicPartitions { topic_id: *topic_id, partitions: partitions.iter().copied().collect() }
}
