//! How far each group has come: what was committed last for every partition. Fed from the ledger, entry by entry.

use std::collections::BTreeMap;

use crate::TopicPartition;

/// What a group committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The offset to resume from.
    pub offset: i64,
    /// The leader epoch of the record before it, or -1.
    pub leader_epoch: i32,
    /// The group's own note.
    pub metadata: String,
}

/// The committed offsets of all groups. Who may commit is for the coordinator to say, not for this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offsets {
    groups: BTreeMap<String, BTreeMap<TopicPartition, Committed>>,
}

impl Offsets {
    /// Remembers a commit. The last word counts, also when it is lower: an administrator may turn a group back.
    pub fn commit(&mut self, group_id: &str, partition: TopicPartition, committed: Committed) {
        if let Some(group) = self.groups.get_mut(group_id) {
            group.insert(partition, committed);
        } else {
            self.groups.insert(group_id.to_owned(), BTreeMap::from([(partition, committed)]));
        }
    }

    /// What was committed last.
    pub fn committed(&self, group_id: &str, partition: &TopicPartition) -> Option<&Committed> {
        self.groups.get(group_id)?.get(partition)
    }

    /// All that a group has committed, by topic and partition.
    pub fn of(&self, group_id: &str) -> impl Iterator<Item = (&TopicPartition, &Committed)> {
        self.groups.get(group_id).into_iter().flatten()
    }

    /// Whether a group has committed anything.
    pub fn has(&self, group_id: &str) -> bool {
        self.groups.contains_key(group_id)
    }

    /// Every group that has committed anything, by name.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// Forgets what was committed for a topic that is deleted: a new one of that name starts anew.
    pub fn forget_topic(&mut self, topic: &str) {
        for group in self.groups.values_mut() {
            group.retain(|partition, _| &*partition.topic != topic);
        }
        self.groups.retain(|_, partitions| !partitions.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }

    fn at(offset: i64) -> Committed {
        Committed { offset, leader_epoch: 3, metadata: "gaps".to_owned() }
    }

    #[test]
    fn the_last_commit_counts_with_its_metadata() {
        let mut offsets = Offsets::default();
        offsets.commit("audit", partition("orders", 0), at(7));
        offsets.commit("audit", partition("orders", 0), at(5));
        assert_eq!(offsets.committed("audit", &partition("orders", 0)), Some(&at(5)));
        assert_eq!(offsets.committed("billing", &partition("orders", 0)), None);
    }

    #[test]
    fn a_deleted_topic_takes_its_offsets_and_empty_groups_along() {
        let mut offsets = Offsets::default();
        offsets.commit("audit", partition("orders", 0), at(7));
        offsets.commit("billing", partition("orders", 1), at(1));
        offsets.commit("billing", partition("refunds", 1), at(2));
        offsets.forget_topic("orders");
        assert_eq!(offsets.groups().collect::<Vec<_>>(), ["billing"]);
        assert_eq!(offsets.of("billing").count(), 1);
        assert!(!offsets.has("audit"));
    }
}
