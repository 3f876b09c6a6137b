//! Groups as they were last recorded. What is recorded of them, and what that adds up to, is `core::group`'s business;
//! here it becomes entries, one for each kind of record, and back.

use vltava_core::group::coordinator::Record;

use super::Entry;

impl From<Record> for Entry {
    fn from(record: Record) -> Self {
        match record {
            Record::Classic(group) => Self::ClassicGroup(group),
            Record::Next(group) => Self::NextGroup(group),
            Record::Member(member) => Self::NextMember(member),
            Record::Target(target) => Self::NextTarget(target),
            Record::MemberGone(gone) => Self::NextMemberGone(gone),
            Record::Gone(gone) => Self::GroupGone(gone),
        }
    }
}

/// The record that an entry has, if it is one of groups.
pub(super) fn record(entry: &Entry) -> Option<Record> {
    Some(match entry {
        Entry::ClassicGroup(group) => Record::Classic(group.clone()),
        Entry::NextGroup(group) => Record::Next(group.clone()),
        Entry::NextMember(member) => Record::Member(member.clone()),
        Entry::NextTarget(target) => Record::Target(target.clone()),
        Entry::NextMemberGone(gone) => Record::MemberGone(gone.clone()),
        Entry::GroupGone(gone) => Record::Gone(gone.clone()),
        _ => return None,
    })
}
