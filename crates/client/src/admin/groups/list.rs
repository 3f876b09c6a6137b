//! Which groups there are.

use std::collections::BTreeMap;

use vltava_core::cluster::{NodeId, Target};
use vltava_wire::{
    ErrorCode,
    messages::{ListGroupsRequest, ListGroupsResponse, ListedGroup},
};

use super::{
    super::Admin,
    words::{GroupState, GroupType},
};
use crate::error::{Error, ErrorKind, Result};

/// The first version that asks for certain states (Kafka 2.6).
const STATES_SINCE: i16 = 4;
/// The first version that asks for certain types (Kafka 3.8). Before, there are classic groups alone.
const TYPES_SINCE: i16 = 5;

/// A group as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub group: String,
    /// The protocol it speaks with its coordinator.
    pub group_type: GroupType,
    /// What its members speak among each other; `consumer` for consumer groups.
    pub protocol_type: String,
    /// Its state; none where brokers are too old to say (before Kafka 2.6).
    pub state: Option<GroupState>,
    /// The broker that coordinates it.
    pub coordinator: i32,
}

/// Which groups are wanted; all by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupFilter {
    /// Those in one of these states; in any, if there are none here.
    pub states: Vec<GroupState>,
    /// Those of these types; of any, if there are none here.
    pub types: Vec<GroupType>,
}

impl GroupFilter {
    fn request(&self, version: i16) -> ListGroupsRequest {
        let mut request = ListGroupsRequest::default();
        if version >= STATES_SINCE {
            request.states_filter = self.states.iter().map(ToString::to_string).collect();
        }
        if version >= TYPES_SINCE {
            request.types_filter = self.types.iter().map(ToString::to_string).collect();
        }
        request
    }

    /// Older brokers tell more than was asked for.
    fn wants(&self, group: &GroupListing) -> bool {
        let state = self.states.is_empty() || group.state.as_ref().is_some_and(|it| self.states.contains(it));
        state && (self.types.is_empty() || self.types.contains(&group.group_type))
    }
}

impl Admin {
    /// The groups of every broker, by name. To ask for states of brokers that are too old to tell them is an error.
    pub async fn list_groups(&self, filter: &GroupFilter) -> Result<Vec<GroupListing>> {
        let cluster = &self.client.cluster;
        let mut groups = BTreeMap::new();
        for node in cluster.nodes() {
            let judge = |answer: &ListGroupsResponse| ErrorCode::from(answer.error_code);
            let build = |version| filter.request(version);
            let answer = cluster.call(Target::Node(node), "listing groups", build, judge).await?;
            let listed = answer.groups.into_iter().map(|it| (it.group_id.clone(), listing(it, node)));
            groups.extend(listed);
        }
        let groups = groups.into_values();
        let groups: Vec<_> = match filter.states.is_empty() {
            true => groups.collect(),
            false => groups.map(with_state).collect::<Result<_>>()?,
        };
        Ok(groups.into_iter().filter(|group| filter.wants(group)).collect())
    }
}

fn listing(group: ListedGroup, node: NodeId) -> GroupListing {
    let ListedGroup { group_id, protocol_type, group_state, group_type } = group;
    GroupListing {
        group: group_id,
        group_type: if group_type.is_empty() { GroupType::Classic } else { (&*group_type).into() },
        protocol_type,
        state: Some(group_state).filter(|state| !state.is_empty()).map(|state| (&*state).into()),
        coordinator: node.0,
    }
}

fn with_state(group: GroupListing) -> Result<GroupListing> {
    let GroupListing { group: name, coordinator, state, .. } = &group;
    if state.is_some() {
        return Ok(group);
    }
    let what = format!("broker {coordinator} is too old to tell the state of group {name}");
    Err(Error::new(ErrorKind::Unsupported).what(what).fix("list groups whatever their state"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_brokers_are_asked_for_no_more_than_they_know() {
        let filter = GroupFilter { states: vec![GroupState::Stable], types: vec![GroupType::Consumer] };
        let asked = [3, 4, 5].map(|version| filter.request(version));
        let counts = asked.map(|it| (it.states_filter.len(), it.types_filter.len()));
        assert_eq!(counts, [(0, 0), (1, 0), (1, 1)]);
    }

    #[test]
    fn what_an_old_broker_tells_too_much_is_left_out() {
        let told = |group_type: &str, group_state: &str| {
            let group = ListedGroup {
                group_id: "billing".into(),
                protocol_type: "consumer".into(),
                group_state: group_state.into(),
                group_type: group_type.into(),
            };
            listing(group, NodeId(1))
        };
        let filter = GroupFilter { states: vec![GroupState::Stable], types: vec![GroupType::Classic] };
        assert!(filter.wants(&told("", "Stable")), "without a type it is classic");
        assert!(filter.wants(&told("Classic", "Stable")));
        assert!(!filter.wants(&told("", "Empty")));
        assert!(!filter.wants(&told("Consumer", "Stable")));
        assert!(with_state(told("", "")).is_err(), "nobody knows");
    }
}
