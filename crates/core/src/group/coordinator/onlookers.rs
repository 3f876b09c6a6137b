//! What those ask who are no members: which groups there are, who is in them, and whether one may go.

use std::collections::BTreeMap;

use vltava_wire::{
    ErrorCode,
    messages::{
        group::{DescribedGroup, ListGroupsRequest, ListedGroup},
        next_group,
    },
};

use super::{GroupGone, Groups, Record, group::Group};

/// From this version on an unknown group is an error to describe; before it is a dead one.
const DESCRIBE_UNKNOWN_SINCE: i16 = 6;

impl Groups {
    /// The groups that `asked` lets through. `others` have nothing but committed offsets.
    pub fn list<'a>(
        &self,
        asked: &ListGroupsRequest,
        others: impl Iterator<Item = &'a str>,
    ) -> Vec<ListedGroup> {
        let listed = |group_id: &str, protocol_type: &str, state: &str, group_type: &str| ListedGroup {
            group_id: group_id.to_owned(),
            protocol_type: protocol_type.to_owned(),
            group_state: state.to_owned(),
            group_type: group_type.to_owned(),
        };
        let mut all: BTreeMap<&str, ListedGroup> =
            others.map(|id| (id, listed(id, "", "Empty", "classic"))).collect();
        for (id, group) in &self.groups {
            all.insert(id, listed(id, group.protocol_type(), group.state(), group.type_name()));
        }
        let lets_through = |listed: &ListedGroup| {
            is_among(&asked.states_filter, &listed.group_state)
                && is_among(&asked.types_filter, &listed.group_type)
        };
        all.into_values().filter(lets_through).collect()
    }

    /// One group of the classic protocol. `has_offsets` says whether it has committed any: then it is there, even
    /// if nobody ever joined it.
    pub fn describe(&self, version: i16, group_id: &str, has_offsets: bool) -> DescribedGroup {
        let mut described = match self.groups.get(group_id) {
            Some(Group::Classic(group)) => group.describe(),
            None if has_offsets => {
                DescribedGroup { group_state: "Empty".to_owned(), ..DescribedGroup::default() }
            }
            _ => DescribedGroup { group_state: "Dead".to_owned(), ..DescribedGroup::default() },
        };
        if described.group_state == "Dead" && version >= DESCRIBE_UNKNOWN_SINCE {
            described.error_code = ErrorCode::GroupIdNotFound.code();
            described.error_message = Some(format!("there is no group {group_id} of the classic protocol"));
        }
        described.group_id = group_id.to_owned();
        described
    }

    /// One group of KIP-848.
    pub fn describe_next(&self, group_id: &str) -> next_group::DescribedGroup {
        let described = match self.groups.get(group_id) {
            Some(Group::Next(group)) => group.describe(&self.topics),
            _ => next_group::DescribedGroup {
                error_code: ErrorCode::GroupIdNotFound.code(),
                error_message: Some(format!("there is no group {group_id} of consumers of KIP-848")),
                ..next_group::DescribedGroup::default()
            },
        };
        next_group::DescribedGroup { group_id: group_id.to_owned(), ..described }
    }

    /// Deletes a group that nobody is in; `poll` has it recorded. What it committed is for the caller to delete.
    pub fn on_delete(&mut self, group_id: &str, has_offsets: bool) -> Result<(), ErrorCode> {
        match self.groups.get(group_id) {
            _ if group_id.is_empty() => return Err(ErrorCode::InvalidGroupId),
            None if has_offsets => (),
            None => return Err(ErrorCode::GroupIdNotFound),
            Some(group) if !group.is_empty() => return Err(ErrorCode::NonEmptyGroup),
            Some(_) => self.forget(group_id),
        }
        let gone = GroupGone { group_id: group_id.to_owned() };
        self.records.push_back(Record::Gone(gone));
        Ok(())
    }
}

/// Names are compared as Kafka does, whatever their case; no names are all.
fn is_among(wanted: &[String], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
}
