//! What a member says when it joins, and how one that leads shares out.

use std::{collections::BTreeSet, time::Duration};

use vltava_wire::messages::group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponseMember, SyncGroupRequest,
    SyncGroupRequestAssignment,
};

use super::machine::{Member, Stage};
use crate::{
    TopicPartition,
    group::{
        assign::{Assignor, Racks, Subscriber, Topics},
        classic::protocol,
        member::{Ask, Ground, Step},
    },
};

/// What a join may take beyond the rebalance that it waits for.
const JOIN_GRACE: Duration = Duration::from_secs(5);

/// The topics of a group as its leader has shared them out.
#[derive(Debug)]
pub(super) struct Watched {
    wanted: BTreeSet<String>,
    /// None until the leader has seen what there is: it came back to a group that is at rest.
    seen: Option<Topics>,
}

impl Watched {
    /// Whether there is something else by now.
    pub(super) fn has_changed(&mut self, topics: &Topics, minds_racks: bool) -> bool {
        let now = of(topics, &self.wanted);
        let Some(seen) = &self.seen else {
            self.seen = Some(now);
            return false;
        };
        let has_changed = |(one, other): (&[Racks], &[Racks])| match minds_racks {
            true => one != other,
            false => one.len() != other.len(),
        };
        self.wanted.iter().map(|it| (seen.partitions(it), now.partitions(it))).any(has_changed)
    }
}

/// What there is of these topics.
fn of(topics: &Topics, wanted: &BTreeSet<String>) -> Topics {
    let mut some = Topics::default();
    for (topic, partitions) in topics.iter().filter(|(topic, _)| wanted.contains(&***topic)) {
        some.insert(topic.clone(), partitions.to_vec());
    }
    some
}

impl Member {
    pub(super) fn join(&mut self, ground: &mut Ground) {
        self.again = None;
        let offered = ground.config.assignors();
        let protocols = offered.iter().map(|assignor| self.protocol(ground, &**assignor)).collect();
        let config = &ground.config;
        let request = JoinGroupRequest {
            group_id: config.group_id.clone(),
            session_timeout_ms: millis(config.session_timeout),
            rebalance_timeout_ms: millis(config.rebalance_timeout),
            member_id: ground.member_id.clone(),
            group_instance_id: config.instance_id.clone(),
            protocol_type: protocol::PROTOCOL_TYPE.to_owned(),
            protocols,
            reason: Some(self.reason.to_string()),
        };
        ground.steps.push_back(Step::Rebalancing(self.reason));
        let timeout = ground.config.rebalance_timeout + JOIN_GRACE;
        self.stage = Stage::Joining(ground.call(Ask::Join(request), timeout));
    }

    fn protocol(&self, ground: &Ground, assignor: &dyn Assignor) -> JoinGroupRequestProtocol {
        let nothing = (BTreeSet::new(), -1);
        let (given, generation) = self.given.as_ref().unwrap_or(&nothing);
        let subscriber = Subscriber {
            topics: ground.config.topics.clone(),
            rack: ground.config.rack.as_deref().map(Into::into),
            owned: ground.held().iter().cloned().collect(),
            generation: ground.epoch,
            user_data: assignor.user_data(given, *generation),
            ..Subscriber::default()
        };
        let metadata = protocol::subscription(&subscriber);
        JoinGroupRequestProtocol { name: assignor.name().to_owned(), metadata }
    }

    /// The member leads: asks how much there is to share out, unless the group is at rest and stays so.
    pub(super) fn lead(&mut self, ground: &mut Ground, members: Vec<JoinGroupResponseMember>, skips: bool) {
        // Whoever cannot be understood gets nothing; the others need not suffer for it.
        let subscriber = |member: JoinGroupResponseMember| {
            let (member_id, instance_id) = (member.member_id.clone(), member.group_instance_id.clone());
            let nothing = || Subscriber { member_id, instance_id, ..Subscriber::default() };
            protocol::subscribed(member).unwrap_or_else(|_| nothing())
        };
        let members: Vec<Subscriber> = members.into_iter().map(subscriber).collect();
        let wanted: BTreeSet<String> = members.iter().flat_map(|it| it.topics.iter().cloned()).collect();
        ground.steps.push_back(Step::Count(wanted.clone()));
        self.watched = Some(Watched { wanted, seen: None });
        match skips {
            true => self.sync(ground, Vec::new()),
            false => self.stage = Stage::Counting(members),
        }
    }

    pub(super) fn share_out(&mut self, ground: &mut Ground, members: &[Subscriber], topics: &Topics) {
        let Some(assignor) = self.assignor.clone() else { return };
        let wanted: BTreeSet<String> = members.iter().flat_map(|it| it.topics.iter().cloned()).collect();
        let topics = of(topics, &wanted);
        let mut shares = assignor.assign(&topics, members);
        // An assignor may be the user's own: no member has its answer taken for that of another.
        shares.resize(members.len(), Vec::new());
        let assign = |(member, share): (&Subscriber, Vec<TopicPartition>)| SyncGroupRequestAssignment {
            member_id: member.member_id.clone(),
            assignment: protocol::assignment(&share),
        };
        let assignments = members.iter().zip(shares).map(assign).collect();
        self.watched = Some(Watched { wanted, seen: Some(topics) });
        self.sync(ground, assignments);
    }

    pub(super) fn sync(&mut self, ground: &mut Ground, assignments: Vec<SyncGroupRequestAssignment>) {
        let request = SyncGroupRequest {
            group_id: ground.config.group_id.clone(),
            generation_id: ground.epoch,
            member_id: ground.member_id.clone(),
            group_instance_id: ground.config.instance_id.clone(),
            protocol_type: Some(protocol::PROTOCOL_TYPE.to_owned()),
            protocol_name: self.assignor.as_ref().map(|it| it.name().to_owned()),
            assignments,
        };
        let timeout = ground.config.rebalance_timeout + JOIN_GRACE;
        self.stage = Stage::Syncing(ground.call(Ask::Sync(request), timeout));
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
