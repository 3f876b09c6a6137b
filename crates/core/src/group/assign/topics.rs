//! What there is to share out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The racks that hold replicas of a partition.
pub type Racks = BTreeSet<Arc<str>>;

/// Topics that exist, by name, and for each of their partitions the racks it lies in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topics(BTreeMap<Arc<str>, Vec<Racks>>);

impl Topics {
    /// Adds a topic, or says anew what is known of it: for each partition its racks, none where they are not known.
    pub fn insert(&mut self, topic: impl Into<Arc<str>>, partitions: Vec<Racks>) {
        self.0.insert(topic.into(), partitions);
    }

    /// The racks of each partition of a topic; nothing at all for one that is not there.
    pub fn partitions(&self, topic: &str) -> &[Racks] {
        self.0.get(topic).map_or(&[], Vec::as_slice)
    }

    /// All topics by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &[Racks])> {
        self.0.iter().map(|(topic, partitions)| (topic, &**partitions))
    }
}

/// From the numbers of partitions, where racks do not matter.
impl<T: Into<Arc<str>>> FromIterator<(T, usize)> for Topics {
    fn from_iter<I: IntoIterator<Item = (T, usize)>>(counts: I) -> Self {
        let bare = |(topic, count): (T, usize)| (topic.into(), vec![Racks::new(); count]);
        Self(counts.into_iter().map(bare).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_not_there_has_no_partitions() {
        let topics = Topics::from_iter([("t", 2)]);
        assert_eq!(topics.partitions("t").len(), 2);
        assert!(topics.partitions("u").is_empty());
    }
}
