//! What an onlooker is shown of a group.

use std::collections::BTreeMap;

use vltava_wire::messages::next_group::{
    DescribedAssignment, DescribedGroup, DescribedTopicPartitions, Member as DescribedMember,
};

use super::{Group, Partitions, member::Member};
use crate::group::coordinator::Directory;

impl Group {
    /// The name that Kafka's tools show.
    pub(in crate::group) fn state(&self) -> &'static str {
        if self.is_empty() {
            "Empty"
        } else if self.epoch != self.assignment_epoch {
            "Assigning"
        } else if self.members.values().all(|member| member.is_reconciled(self.assignment_epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    pub(in crate::group) fn describe(&self, topics: &Directory) -> DescribedGroup {
        let nothing = Partitions::new();
        let described = |(id, member): (&String, &Member)| {
            member.described(id, self.targets.get(id).unwrap_or(&nothing), topics)
        };
        DescribedGroup {
            group_state: self.state().to_owned(),
            group_epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor_name: self.preferred().name().to_owned(),
            members: self.members.iter().map(described).collect(),
            ..DescribedGroup::default()
        }
    }
}

impl Member {
    fn described(&self, id: &str, target: &Partitions, topics: &Directory) -> DescribedMember {
        DescribedMember {
            member_id: id.to_owned(),
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            member_epoch: self.epoch,
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topics.iter().cloned().collect(),
            subscribed_topic_regex: self.pattern.as_ref().map(|pattern| pattern.text().to_owned()),
            assignment: by_name(&self.assigned, topics),
            target_assignment: by_name(target, topics),
            member_type: if self.classic.is_some() { 0 } else { 1 },
        }
    }
}

/// Topics that are gone have no name, and are left out.
fn by_name(partitions: &Partitions, topics: &Directory) -> DescribedAssignment {
    let mut named: BTreeMap<&str, DescribedTopicPartitions> = BTreeMap::new();
    for (topic_id, partition) in partitions {
        let Some(name) = topics.name(*topic_id) else { continue };
        let topic_name = || name.as_ref().to_owned();
        let topic = named.entry(name).or_insert_with(|| DescribedTopicPartitions {
            topic_id: *topic_id,
            topic_name: topic_name(),
            partitions: Vec::new(),
        });
        topic.partitions.push(*partition);
    }
    DescribedAssignment { topic_partitions: named.into_values().collect() }
}
