//! What a member reads: topics by name, or all that match a pattern, those to come included.

use std::collections::BTreeSet;

use vltava_core::{cluster::View, group::Pattern};

/// What a member reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subscription {
    /// These, of which some may not be there yet.
    Topics(BTreeSet<String>),
    /// All that match, but Kafka's own.
    Pattern(Pattern),
}

impl Subscription {
    /// The topics it means at the moment. For a pattern, the view has to be of all topics.
    pub(super) fn topics(&self, view: &View) -> BTreeSet<String> {
        match self {
            Self::Topics(topics) => topics.clone(),
            Self::Pattern(pattern) => {
                let there =
                    view.topics().filter(|(_, topic)| !topic.is_internal && !topic.partitions.is_empty());
                let names = there.map(|(name, _)| &**name);
                names.filter(|name| pattern.matches(name)).map(str::to_owned).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use vltava_core::cluster::Ask;
    use vltava_wire::messages::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};

    use super::*;

    fn view(topics: &[(&str, bool, usize)]) -> View {
        let topic = |(name, is_internal, partitions): &(&str, bool, usize)| MetadataResponseTopic {
            name: Some((*name).to_owned()),
            is_internal: *is_internal,
            partitions: (0..*partitions as i32)
                .map(|partition_index| MetadataResponsePartition { partition_index, ..Default::default() })
                .collect(),
            ..Default::default()
        };
        let topics = topics.iter().map(topic).collect();
        let mut view = View::default();
        view.on_metadata(&Ask::All, MetadataResponse { topics, ..Default::default() });
        view
    }

    #[test]
    fn a_pattern_means_what_is_there_and_is_not_kafkas_own() {
        let all = Subscription::Pattern(Pattern::new(".*orders.*").expect("it makes sense"));
        let then = view(&[
            ("orders", false, 1),
            ("refunds", false, 1),
            ("__orders", true, 1),
            ("orders-2", false, 0),
        ]);
        assert_eq!(all.topics(&then), BTreeSet::from(["orders".to_owned()]));
        assert_eq!(all.topics(&view(&[("my-orders", false, 3)])), BTreeSet::from(["my-orders".to_owned()]));
        assert_eq!(all.topics(&View::default()), BTreeSet::new());
    }

    #[test]
    fn names_are_meant_whether_they_are_there_or_not() {
        let names = BTreeSet::from(["orders".to_owned()]);
        assert_eq!(Subscription::Topics(names.clone()).topics(&View::default()), names);
    }
}
