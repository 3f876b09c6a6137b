//! The topics that there are, as the coordinator is told: what members of KIP-848 share out by id, and subscribe to by
//! name.

use std::{collections::BTreeMap, sync::Arc};

use vltava_wire::Uuid;

use super::Topic;

/// Topics by name and by id.
#[derive(Debug, Default)]
pub(in crate::group) struct Directory {
    topics: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<Uuid, Arc<str>>,
    changes: u64,
}

impl Directory {
    /// A topic is there, another one than before perhaps, or there no more.
    pub(super) fn set(&mut self, name: &str, topic: Option<Topic>) {
        let before = self.topics.get(name).copied();
        if before == topic {
            return;
        }
        self.changes += 1;
        if let Some(before) = before {
            self.topics.remove(name);
            self.names.remove(&before.id);
        }
        if let Some(topic) = topic {
            let name: Arc<str> = name.into();
            self.names.insert(topic.id, name.clone());
            self.topics.insert(name, topic);
        }
    }

    /// How often it changed.
    pub(in crate::group) fn changes(&self) -> u64 {
        self.changes
    }

    pub(in crate::group) fn topic(&self, name: &str) -> Option<Topic> {
        self.topics.get(name).copied()
    }

    pub(in crate::group) fn name(&self, id: Uuid) -> Option<&Arc<str>> {
        self.names.get(&id)
    }

    /// Every topic, by name.
    pub(in crate::group) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Topic)> {
        self.topics.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_made_anew_is_found_by_its_new_id_only() {
        let mut topics = Directory::default();
        topics.set("t", Some(Topic { id: Uuid(1), partitions: 3 }));
        topics.set("t", Some(Topic { id: Uuid(2), partitions: 3 }));
        assert_eq!(topics.name(Uuid(1)), None);
        assert_eq!(topics.name(Uuid(2)).map(|name| &**name), Some("t"));
        let changes = topics.changes();
        topics.set("t", Some(Topic { id: Uuid(2), partitions: 3 }));
        assert_eq!(topics.changes(), changes, "nothing new");
        topics.set("t", None);
        assert_eq!((topics.topic("t"), topics.name(Uuid(2))), (None, None));
    }
}
