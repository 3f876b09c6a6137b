//! One group: its members, what each of them holds, and what of that is not recorded yet.

use std::collections::{BTreeMap, BTreeSet};

use vltava_wire::{ErrorCode, Uuid, messages::next_group::TopicPartitions};

use super::{
    Partitions, Refusal,
    member::{Member, Progress, State},
};
use crate::{
    Moment, Rng, Timestamp,
    group::coordinator::{Directory, Limits},
};

/// What a group takes from around it.
pub(in crate::group) struct World<'a> {
    pub(in crate::group) limits: &'a Limits,
    pub(in crate::group) topics: &'a Directory,
    pub(in crate::group) rng: &'a mut Rng,
}

#[derive(Debug)]
pub(in crate::group) struct Group {
    /// Rises with every change that needs another assignment.
    pub(super) epoch: i32,
    /// The epoch that the targets are for.
    pub(super) assignment_epoch: i32,
    /// What the topics that it subscribes to looked like at its epoch.
    pub(super) topics_hash: i64,
    /// Which topics there were when that was looked at.
    pub(super) topics_seen: Option<u64>,
    pub(super) members: BTreeMap<String, Member>,
    /// What each member is to have in the end.
    pub(super) targets: BTreeMap<String, Partitions>,
    /// Static members: the id that speaks for each instance.
    pub(super) instances: BTreeMap<String, String>,
    /// Partitions that a member holds, or has not given back.
    pub(super) held: BTreeMap<(Uuid, i32), String>,
    /// When each member is gone if nothing happens.
    ends: BTreeSet<(Moment, String)>,
    bytes: usize,
    pub(super) empty_since: Option<Timestamp>,
    pub(super) unrecorded: Unrecorded,
    /// The epoch of the targets that are recorded.
    pub(super) recorded_assignment: i32,
}

/// What changed since it was recorded last.
#[derive(Debug, Default)]
pub(super) struct Unrecorded {
    pub(super) group: bool,
    pub(super) members: BTreeSet<String>,
    pub(super) targets: BTreeSet<String>,
    pub(super) gone: BTreeSet<String>,
}

impl Group {
    /// A group without members. Its epochs go on from those that a group of that name had before.
    pub(in crate::group) fn new(epoch: i32) -> Self {
        Self {
            epoch,
            assignment_epoch: 0,
            topics_hash: 0,
            topics_seen: None,
            members: BTreeMap::new(),
            targets: BTreeMap::new(),
            instances: BTreeMap::new(),
            held: BTreeMap::new(),
            ends: BTreeSet::new(),
            bytes: 0,
            empty_since: None,
            unrecorded: Unrecorded::default(),
            recorded_assignment: 0,
        }
    }

    /// Whether nobody is in it.
    pub(in crate::group) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether nobody ever was in it.
    pub(in crate::group) fn is_forgettable(&self) -> bool {
        self.epoch == 0 && self.is_empty()
    }

    /// Bytes that members left here.
    pub(in crate::group) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When `expire` has something to do.
    pub(in crate::group) fn deadline(&self) -> Option<Moment> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Those who were not heard of, or did not do in time what all wait for, are out.
    pub(in crate::group) fn expire(&mut self, now: Moment) {
        while let Some((end, _)) = self.ends.first()
            && *end <= now
        {
            let (_, id) = self.ends.first().cloned().expect("it was just looked at");
            self.remove(&id);
        }
    }

    /// A member lives, and nothing else is new.
    pub(super) fn heard_of(&mut self, id: &str, session_end: Moment) {
        let Some(member) = self.members.get_mut(id) else { return };
        self.ends.remove(&(member.end(), id.to_owned()));
        member.session_end = session_end;
        self.ends.insert((member.end(), id.to_owned()));
    }

    /// Takes a member out for good: whatever it held is free, and the others share anew.
    pub(super) fn remove(&mut self, id: &str) {
        if self.take(id).is_none() {
            return;
        }
        self.targets.remove(id);
        self.unrecorded.members.remove(id);
        self.unrecorded.targets.remove(id);
        self.unrecorded.gone.insert(id.to_owned());
        self.bump();
    }

    /// Another assignment is needed.
    pub(super) fn bump(&mut self) {
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        self.unrecorded.group = true;
    }

    /// Takes a member out to change it. Until it is put back nobody holds what it held.
    pub(super) fn take(&mut self, id: &str) -> Option<Member> {
        let member = self.members.remove(id)?;
        for partition in member.holds() {
            // It may have been given to another meanwhile, if the assignment of a classic group said so.
            if self.held.get(&partition).is_some_and(|holder| holder == id) {
                self.held.remove(&partition);
            }
        }
        if let Some(instance) = &member.instance_id
            && self.instances.get(instance).is_some_and(|speaks| speaks == id)
        {
            self.instances.remove(instance);
        }
        self.ends.remove(&(member.end(), id.to_owned()));
        self.bytes -= id.len() + member.bytes();
        Some(member)
    }

    /// Puts a member in. What nobody knows yet of it is to be recorded by who changed it.
    pub(super) fn put(&mut self, id: &str, member: Member) {
        self.held.extend(member.holds().map(|partition| (partition, id.to_owned())));
        if let Some(instance) = &member.instance_id {
            self.instances.insert(instance.clone(), id.to_owned());
        }
        self.ends.insert((member.end(), id.to_owned()));
        self.bytes += id.len() + member.bytes();
        self.members.insert(id.to_owned(), member);
    }

    /// A member takes the place of another, with what that was to have; nobody else need notice.
    pub(super) fn succeed(&mut self, old: &str, id: &str) -> Member {
        let before = self.take(old).expect("instances name members");
        let target = self.targets.remove(old).unwrap_or_default();
        self.targets.insert(id.to_owned(), target);
        self.unrecorded.members.remove(old);
        self.unrecorded.targets.remove(old);
        self.unrecorded.gone.insert(old.to_owned());
        self.unrecorded.targets.insert(id.to_owned());
        before.successor()
    }

    /// Leads a member, which is out, towards its target.
    pub(super) fn reconcile(
        &self,
        now: Moment,
        id: &str,
        member: &mut Member,
        owned: Option<&Partitions>,
    ) -> Progress {
        let nothing = Partitions::new();
        let target = self.targets.get(id).unwrap_or(&nothing);
        let is_free = |partition: &(Uuid, i32)| !self.held.contains_key(partition);
        let progress = member.reconcile(self.assignment_epoch, target, owned, is_free);
        if member.classic.is_none() && progress != Progress::None {
            let waited_for = member.state == State::Unrevoked;
            member.patience_end = waited_for.then(|| now + member.rebalance_timeout);
        }
        progress
    }

    /// Whether a commit of this member and epoch counts; without members everybody may, in no epoch's name.
    pub(in crate::group) fn on_commit(&self, member_id: &str, epoch: i32) -> Result<(), ErrorCode> {
        if epoch < 0 && self.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        match member.epoch == epoch {
            true => Ok(()),
            false if member.classic.is_some() => Err(ErrorCode::IllegalGeneration),
            false => Err(ErrorCode::StaleMemberEpoch),
        }
    }

    /// Whether offsets are told to who calls itself this, in this epoch; nobody need call itself anything.
    pub(in crate::group) fn on_offset_fetch(
        &self,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        if member_id.is_none() && epoch < 0 {
            return Ok(());
        }
        let member_id = member_id.unwrap_or_default();
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        match member.epoch == epoch {
            true => Ok(()),
            false => Err(ErrorCode::StaleMemberEpoch),
        }
    }

    pub(super) fn known(&self, id: &str) -> Result<&Member, Refusal> {
        let unknown = || Refusal::new(ErrorCode::UnknownMemberId, format!("member {id} is not in the group"));
        self.members.get(id).ok_or_else(unknown)
    }

    /// Since when nobody is in it.
    pub(in crate::group) fn empty_since(&self) -> Option<Timestamp> {
        self.empty_since
    }
}

/// Partitions as requests and records have them.
pub(super) fn read(topics: &[TopicPartitions]) -> Partitions {
    let topic = |it: &TopicPartitions| {
        let id = it.topic_id;
        it.partitions.iter().map(move |partition| (id, *partition)).collect::<Vec<_>>()
    };
    topics.iter().flat_map(topic).collect()
}

/// And back, in order.
pub(super) fn write(partitions: &Partitions) -> Vec<TopicPartitions> {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (topic_id, partition) in partitions {
        match topics.last_mut() {
            Some(last) if last.topic_id == *topic_id => last.partitions.push(*partition),
            _ => topics.push(TopicPartitions { topic_id: *topic_id, partitions: vec![*partition] }),
        }
    }
    topics
}
