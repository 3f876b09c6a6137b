//! What of a group outlives a restart: nearly all of it, each member and target by itself.

use std::collections::VecDeque;

use super::{
    Group,
    group::{read, write},
    member::{Classic, Member, State},
    pattern::Pattern,
};
use crate::{
    Moment, Timestamp,
    group::{
        classic::coordinator::{as_millis, millis},
        coordinator::{
            ClassicWords, KeptNext, Limits, NextGroup, NextMember, NextMemberGone, NextTarget, Record,
        },
    },
};

impl Group {
    /// What changed since it was asked last. The epoch of the assignment comes behind what it is about.
    pub(in crate::group) fn take_records(
        &mut self,
        group_id: &str,
        wall: Timestamp,
        out: &mut VecDeque<Record>,
    ) {
        let unrecorded = std::mem::take(&mut self.unrecorded);
        self.empty_since = self.is_empty().then(|| self.empty_since.unwrap_or(wall));
        if unrecorded.group {
            out.push_back(Record::Next(self.kept(group_id, self.recorded_assignment)));
        }
        let (group_id, gone) = (group_id.to_owned(), unrecorded.gone.into_iter());
        let gone = gone.filter(|id| !self.members.contains_key(id));
        out.extend(
            gone.map(|member_id| {
                Record::MemberGone(NextMemberGone { group_id: group_id.clone(), member_id })
            }),
        );
        let members = unrecorded.members.iter().filter_map(|id| Some((id, self.members.get(id)?)));
        out.extend(members.map(|(id, member)| Record::Member(member.kept(&group_id, id))));
        let targets = unrecorded.targets.into_iter().filter_map(|id| {
            let partitions = write(self.targets.get(&id)?);
            Some(Record::Target(NextTarget { group_id: group_id.clone(), member_id: id, partitions }))
        });
        out.extend(targets);
        if self.recorded_assignment != self.assignment_epoch {
            self.recorded_assignment = self.assignment_epoch;
            out.push_back(Record::Next(self.kept(&group_id, self.assignment_epoch)));
        }
    }

    fn kept(&self, group_id: &str, assignment_epoch: i32) -> NextGroup {
        NextGroup {
            group_id: group_id.to_owned(),
            epoch: self.epoch,
            assignment_epoch,
            topics_hash: self.topics_hash,
            empty_since: self.empty_since.map_or(-1, |since| since.0),
        }
    }

    /// The group as it was recorded. Sessions begin anew: nobody could be heard of meanwhile.
    pub(in crate::group) fn restored(now: Moment, limits: &Limits, kept: &KeptNext) -> Self {
        let mut group = Self::new(kept.group.epoch);
        group.assignment_epoch = kept.group.assignment_epoch;
        group.recorded_assignment = kept.group.assignment_epoch;
        group.topics_hash = kept.group.topics_hash;
        for (id, member) in &kept.members {
            group.put(id, Member::restored(now, limits, member));
            let target = kept.targets.get(id).map(|target| read(&target.partitions));
            group.targets.insert(id.clone(), target.unwrap_or_default());
        }
        group.empty_since = group.is_empty().then_some(Timestamp(kept.group.empty_since));
        group
    }
}

impl Member {
    fn kept(&self, group_id: &str, id: &str) -> NextMember {
        let words = |classic: &Classic| ClassicWords {
            session_timeout_ms: as_millis(classic.session_timeout),
            protocols: classic.protocols.clone(),
        };
        NextMember {
            group_id: group_id.to_owned(),
            member_id: id.to_owned(),
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: as_millis(self.rebalance_timeout),
            topics: self.topics.iter().cloned().collect(),
            regex: self.pattern.as_ref().map(|pattern| pattern.text().to_owned()),
            assignor: self.assignor.clone(),
            classic: self.classic.as_ref().map(words),
            epoch: self.epoch,
            previous_epoch: self.previous_epoch,
            state: self.state as i8,
            assigned: write(&self.assigned),
            revoking: write(&self.revoking),
        }
    }

    fn restored(now: Moment, limits: &Limits, kept: &NextMember) -> Self {
        let rebalance_timeout = millis(kept.rebalance_timeout_ms);
        let classic = kept.classic.as_ref().map(|words| Classic {
            session_timeout: millis(words.session_timeout_ms),
            protocols: words.protocols.clone(),
        });
        let state = State::from_number(kept.state);
        let session = classic.as_ref().map_or(limits.next_session_timeout, |classic| classic.session_timeout);
        let waited_for = state == State::Unrevoked && classic.is_none();
        Self {
            instance_id: kept.instance_id.clone(),
            rack_id: kept.rack_id.clone(),
            client_id: kept.client_id.clone(),
            client_host: kept.client_host.clone(),
            rebalance_timeout,
            topics: kept.topics.iter().cloned().collect(),
            // One that could be built once can be built again, unless a newer version sees it otherwise.
            pattern: kept.regex.as_deref().and_then(|text| Pattern::new(text).ok()),
            assignor: kept.assignor.clone(),
            classic,
            epoch: kept.epoch,
            previous_epoch: kept.previous_epoch,
            state,
            assigned: read(&kept.assigned),
            revoking: read(&kept.revoking),
            is_confirmed: false,
            session_end: now + session,
            patience_end: waited_for.then(|| now + rebalance_timeout),
        }
    }
}
