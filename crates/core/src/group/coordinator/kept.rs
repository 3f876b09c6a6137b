//! What the records of groups add up to, as it is kept and read back.

use std::collections::BTreeMap;

use super::record::{ClassicGroup, GroupGone, NextGroup, NextMember, NextMemberGone, NextTarget, Record};

/// All groups as their last records say. Records of a group that there is not are passed over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    groups: BTreeMap<String, KeptGroup>,
}

/// One group as its last records say.
#[derive(Debug, Clone, PartialEq)]
pub enum KeptGroup {
    /// Of the classic protocol.
    Classic(ClassicGroup),
    /// Of KIP-848.
    Next(KeptNext),
}

/// A group of KIP-848 with its members.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptNext {
    /// What is known of the group as a whole.
    pub group: NextGroup,
    /// Its members, by their ids.
    pub members: BTreeMap<String, NextMember>,
    /// What each of them is to have.
    pub targets: BTreeMap<String, NextTarget>,
}

impl Kept {
    /// Takes a record in.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Classic(group) => {
                self.groups.insert(group.group_id.clone(), KeptGroup::Classic(group.clone()));
            }
            Record::Next(group) => self.next(group),
            Record::Member(member) => {
                if let Some(kept) = self.next_mut(&member.group_id) {
                    kept.members.insert(member.member_id.clone(), member.clone());
                }
            }
            Record::Target(target) => {
                if let Some(kept) = self.next_mut(&target.group_id) {
                    kept.targets.insert(target.member_id.clone(), target.clone());
                }
            }
            Record::MemberGone(NextMemberGone { group_id, member_id }) => {
                if let Some(kept) = self.next_mut(group_id) {
                    kept.members.remove(member_id);
                    kept.targets.remove(member_id);
                }
            }
            Record::Gone(GroupGone { group_id }) => drop(self.groups.remove(group_id)),
        }
    }

    fn next(&mut self, group: &NextGroup) {
        match self.next_mut(&group.group_id) {
            Some(kept) => kept.group = group.clone(),
            None => {
                let kept = KeptNext { group: group.clone(), ..KeptNext::default() };
                self.groups.insert(group.group_id.clone(), KeptGroup::Next(kept));
            }
        }
    }

    fn next_mut(&mut self, group_id: &str) -> Option<&mut KeptNext> {
        match self.groups.get_mut(group_id)? {
            KeptGroup::Next(kept) => Some(kept),
            KeptGroup::Classic(_) => None,
        }
    }

    /// Every group, by name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &KeptGroup)> {
        self.groups.iter().map(|(group_id, group)| (&**group_id, group))
    }

    /// The records that make this up from nothing.
    pub fn image(&self) -> impl Iterator<Item = Record> {
        self.groups.values().flat_map(|group| {
            let (group, next) = match group {
                KeptGroup::Classic(group) => (Record::Classic(group.clone()), None),
                KeptGroup::Next(kept) => (Record::Next(kept.group.clone()), Some(kept)),
            };
            let members = next.into_iter().flat_map(|kept| kept.members.values().cloned());
            let targets = next.into_iter().flat_map(|kept| kept.targets.values().cloned());
            let rest = members.map(Record::Member).chain(targets.map(Record::Target));
            std::iter::once(group).chain(rest)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> String {
        text.to_owned()
    }

    fn classic(generation: i32) -> Record {
        Record::Classic(ClassicGroup { group_id: name("g"), generation, ..ClassicGroup::default() })
    }

    fn next(epoch: i32) -> Record {
        Record::Next(NextGroup { group_id: name("g"), epoch, ..NextGroup::default() })
    }

    fn member(member_id: &str, epoch: i32) -> Record {
        let (group_id, member_id) = (name("g"), name(member_id));
        Record::Member(NextMember { group_id, member_id, epoch, ..NextMember::default() })
    }

    fn target(member_id: &str) -> Record {
        let (group_id, member_id) = (name("g"), name(member_id));
        Record::Target(NextTarget { group_id, member_id, ..NextTarget::default() })
    }

    fn left(member_id: &str) -> Record {
        Record::MemberGone(NextMemberGone { group_id: name("g"), member_id: name(member_id) })
    }

    /// What is left of these records.
    fn check(records: &[Record], expected: &[Record]) {
        let mut kept = Kept::default();
        records.iter().for_each(|record| kept.apply(record));
        let image: Vec<_> = kept.image().collect();
        assert_eq!(image, expected);
        let mut again = Kept::default();
        image.iter().for_each(|record| again.apply(record));
        assert_eq!(again, kept, "an image makes up what it was taken of");
    }

    #[test]
    fn the_last_record_of_a_key_counts() {
        check(&[classic(1), classic(2)], &[classic(2)]);
        check(&[next(1), member("a", 1), next(2), member("a", 2)], &[next(2), member("a", 2)]);
    }

    #[test]
    fn a_member_goes_with_its_target_and_a_group_with_all() {
        let all = [next(1), member("a", 1), target("a"), member("b", 1), target("b")];
        check(&[&all[..], &[left("a")]].concat(), &[next(1), member("b", 1), target("b")]);
        let gone = Record::Gone(GroupGone { group_id: name("g") });
        check(&[&all[..], std::slice::from_ref(&gone)].concat(), &[]);
        check(&[gone, member("a", 1), left("a")], &[]);
    }

    #[test]
    fn a_group_that_changes_its_protocol_takes_nothing_of_the_other_along() {
        check(&[next(3), member("a", 3), target("a"), classic(4)], &[classic(4)]);
        check(&[classic(4), member("a", 1), next(5), member("b", 5)], &[next(5), member("b", 5)]);
    }
}
