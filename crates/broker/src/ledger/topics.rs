//! Topics: which there are, by which ids, with how many partitions and which configs.

use std::{collections::BTreeMap, sync::Arc};

use vltava_wire::{Uuid, messages};

use crate::topic_rules::{Rules, configs::Given};

messages! {
    /// A topic exists.
    pub struct Created {
        name: String => 0..;
        id: Uuid => 0..;
        leader_epochs: Vec<i32> => 0..;
        configs: Vec<Config> => 0..;
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

    /// A topic is gone.
    pub struct Deleted {
        id: Uuid => 0..;
    }
}

/// A topic that exists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    /// The leader epoch of each partition, in order of partition.
    pub(crate) leader_epochs: Vec<i32>,
    /// Kafka's configs that were given a value, by name.
    pub(crate) configs: Given,
    /// What follows from them.
    pub(crate) rules: Rules,
}

impl Topic {
    /// How many partitions there are.
    pub(crate) fn partitions(&self) -> i32 {
        i32::try_from(self.leader_epochs.len()).expect("a topic is created with an i32 of partitions")
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
            leader_epochs: created.leader_epochs.clone(),
            rules: Rules::of(&configs),
            configs,
        });
    }

    /// Every partition gets a leader again, after a restart: another reign begins.
    pub(super) fn lead_anew(&mut self) {
        for topic in self.by_name.values_mut() {
            let mut next = Topic::clone(topic);
            next.leader_epochs.iter_mut().for_each(|epoch| *epoch = epoch.saturating_add(1));
            *topic = Arc::new(next);
            self.by_id.insert(topic.id, topic.clone());
        }
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
            leader_epochs: topic.leader_epochs.clone(),
            configs: listed(&topic.configs),
        })
    }
}

/// Configs as an entry has them.
pub(crate) fn listed(given: &Given) -> Vec<Config> {
    given.iter().map(|(name, value)| Config { name: name.clone(), value: value.clone() }).collect()
}

fn given(configs: &[Config]) -> Given {
    configs.iter().map(|it| (it.name.clone(), it.value.clone())).collect()
}
