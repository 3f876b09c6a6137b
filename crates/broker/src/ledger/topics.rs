//! Topics: which there are, by which ids, with how many partitions, led by whom, and which configs.

use std::{collections::BTreeMap, sync::Arc};

use vltava_core::cluster::{Leader, NodeId};
use vltava_wire::{Uuid, messages};

use crate::topic_rules::{Rules, configs::Given};

messages! {
    /// A topic exists. The leaders are listed if there are others than the first node.
    pub struct Created {
        name: String => 0..;
        id: Uuid => 0..;
        leader_epochs: Vec<i32> => 0..;
        configs: Vec<Config> => 0..;
    } tagged {
        0 => leaders: Vec<i32> => 0..;
    }

    /// One of Kafka's topic configs that was given a value.
    pub struct Config {
        name: String => 0..;
        value: Option<String> => 0..;
    }

    /// A topic has these configs, and no others, from here on.
    pub struct Configured {
        id: Uuid => 0..;
        configs: Vec<Config> => 0..;
    }

    /// Partitions of a topic have other leaders from here on, each in its next epoch.
    pub struct Led {
        id: Uuid => 0..;
        partitions: Vec<LedPartition> => 0..;
    }

    /// A partition and its leader.
    pub struct LedPartition {
        partition: i32 => 0..;
        leader: i32 => 0..;
    }

    /// A topic is gone.
    pub struct Deleted {
        id: Uuid => 0..;
    }
}

/// The node that leads where nothing else is said.
const FIRST_NODE: NodeId = NodeId(1);

impl Created {
    /// The leader of each partition, in order.
    pub(crate) fn leaders(&self) -> impl Iterator<Item = Leader> {
        let nodes = self.leaders.iter().map(|it| NodeId(*it)).chain(std::iter::repeat(FIRST_NODE));
        self.leader_epochs.iter().zip(nodes).map(|(&epoch, node)| Leader { node, epoch })
    }
}

/// These leaders as [`Created`] lists them.
pub(crate) fn listed_leaders(leaders: impl Iterator<Item = NodeId> + Clone) -> Vec<i32> {
    if leaders.clone().all(|it| it == FIRST_NODE) { Vec::new() } else { leaders.map(|it| it.0).collect() }
}

/// A topic that exists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    /// Of each partition, in order of partition.
    pub(crate) leaders: Vec<Leader>,
    /// Kafka's configs that were given a value, by name.
    pub(crate) configs: Given,
    /// What follows from them.
    pub(crate) rules: Rules,
}

impl Topic {
    /// How many partitions there are.
    pub(crate) fn partitions(&self) -> i32 {
        i32::try_from(self.leaders.len()).expect("a topic is created with an i32 of partitions")
    }
}

/// All topics, by name and by id.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    by_id: BTreeMap<Uuid, Arc<Topic>>,
}

impl Topics {
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    pub(crate) fn with_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// In order of name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    pub(super) fn create(&mut self, created: &Created) {
        let configs = given(&created.configs);
        self.put(Topic {
            name: created.name.as_str().into(),
            id: created.id,
            leaders: created.leaders().collect(),
            rules: Rules::of(&configs),
            configs,
        });
    }

    /// Every partition gets a leader again, after a restart: another reign begins.
    pub(super) fn lead_anew(&mut self) {
        for topic in self.by_name.values_mut() {
            let mut next = Topic::clone(topic);
            next.leaders.iter_mut().for_each(|it| *it = next_reign(*it, it.node));
            *topic = Arc::new(next);
            self.by_id.insert(topic.id, topic.clone());
        }
    }

    /// Partitions get other leaders.
    pub(super) fn lead(&mut self, led: &Led) {
        let Some(topic) = self.by_id.get(&led.id) else { return };
        let mut next = Topic::clone(topic);
        for it in &led.partitions {
            let index = usize::try_from(it.partition).ok();
            if let Some(leader) = index.and_then(|it| next.leaders.get_mut(it)) {
                *leader = next_reign(*leader, NodeId(it.leader));
            }
        }
        self.put(next);
    }

    pub(super) fn configure(&mut self, configured: &Configured) {
        let Some(topic) = self.by_id.get(&configured.id) else { return };
        let configs = given(&configured.configs);
        let rules = Rules::of(&configs);
        self.put(Topic { configs, rules, ..Topic::clone(topic) });
    }

    fn put(&mut self, topic: Topic) {
        let topic = Arc::new(topic);
        self.by_name.insert(topic.name.clone(), topic.clone());
        self.by_id.insert(topic.id, topic);
    }

    pub(super) fn delete(&mut self, deleted: &Deleted) -> Option<Arc<Topic>> {
        let topic = self.by_id.remove(&deleted.id)?;
        self.by_name.remove(&topic.name);
        Some(topic)
    }

    pub(super) fn image(&self) -> impl Iterator<Item = Created> {
        self.iter().map(|topic| Created {
            name: topic.name.to_string(),
            id: topic.id,
            leader_epochs: topic.leaders.iter().map(|it| it.epoch).collect(),
            leaders: listed_leaders(topic.leaders.iter().map(|it| it.node)),
            configs: listed(&topic.configs),
        })
    }
}

/// What follows on a leader: this node, in the next epoch.
pub(crate) fn next_reign(before: Leader, node: NodeId) -> Leader {
    Leader { node, epoch: before.epoch.saturating_add(1) }
}

/// Configs as an entry has them.
pub(crate) fn listed(given: &Given) -> Vec<Config> {
    given.iter().map(|(name, value)| Config { name: name.clone(), value: value.clone() }).collect()
}

fn given(configs: &[Config]) -> Given {
    configs.iter().map(|it| (it.name.clone(), it.value.clone())).collect()
}
