//! What moved from whom to whom while shares are evened out, so that no two partitions of a topic are swapped where
//! one could have stayed.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Member, Partition, Topic};

#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Of each partition that moved: from whom at first, and to whom at last.
    moved: BTreeMap<Partition, (Member, Member)>,
    by_way: BTreeMap<(Topic, Member, Member), BTreeSet<Partition>>,
}

impl Moves {
    /// What to move instead of this partition: one of the topic that came the opposite way, if there is any.
    pub(super) fn better(&self, topic: Topic, partition: Partition, from: Member, to: Member) -> Partition {
        let origin = self.moved.get(&partition).map_or(from, |(origin, _)| *origin);
        let back = self.by_way.get(&(topic, to, origin)).and_then(BTreeSet::first);
        back.copied().unwrap_or(partition)
    }

    pub(super) fn note(&mut self, topic: Topic, partition: Partition, from: Member, to: Member) {
        let origin = match self.moved.remove(&partition) {
            None => from,
            Some((origin, last)) => {
                let way = (topic, origin, last);
                let those = self.by_way.get_mut(&way).expect("what moved is noted twice");
                those.remove(&partition);
                if those.is_empty() {
                    self.by_way.remove(&way);
                }
                origin
            }
        };
        if origin != to {
            self.moved.insert(partition, (origin, to));
            self.by_way.entry((topic, origin, to)).or_default().insert(partition);
        }
    }
}
