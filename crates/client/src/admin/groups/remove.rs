//! Groups and members that go.

use vltava_core::cluster::Target;
use vltava_wire::{
    ErrorCode,
    messages::{
        DeleteGroupsRequest, DeleteGroupsResponse, LeaveGroupRequest, LeaveGroupResponse, MemberIdentity,
    },
};

use super::{super::Admin, refused, retriable};
use crate::error::{Error, ErrorKind, Result};

/// Why an administrator's removal says it happened; brokers log it.
const REASON: &str = "removed by an administrator";

/// The first version of LeaveGroup that names instances (Kafka 2.4).
const INSTANCES_SINCE: i16 = 3;

impl Admin {
    /// Deletes a group with all that it has committed. One with members is refused, code `NON_EMPTY_GROUP`.
    pub async fn delete_group(&self, group: &str) -> Result<()> {
        let doing = format!("deleting group {group}");
        let build = |_| DeleteGroupsRequest { groups_names: vec![group.to_owned()] };
        let judge = |answer: &DeleteGroupsResponse| {
            answer.results.first().map_or(ErrorCode::None, |it| retriable(it.error_code))
        };
        let target = Target::Coordinator(group.into());
        let answer = self.client.cluster.call(target, &doing, build, judge).await?;
        let deleted = answer.results.into_iter().next();
        let deleted = deleted.ok_or_else(|| Error::new(ErrorKind::Malformed).doing(&doing))?;
        match ErrorCode::from(deleted.error_code) {
            ErrorCode::None => Ok(()),
            code => Err(refused(group, code, &doing)),
        }
    }

    /// Removes the static member of a name from a group, so that its partitions go to others before its session ends.
    /// A process that still runs under that name is fenced off, and may join again. Brokers before Kafka 2.4 cannot,
    /// and say so.
    pub async fn remove_member(&self, group: &str, instance_id: &str) -> Result<()> {
        let doing = format!("removing member {instance_id} from group {group}");
        let target = Target::Coordinator(group.into());
        let judge = |answer: &LeaveGroupResponse| match retriable(answer.error_code) {
            ErrorCode::None => answer.members.first().map_or(ErrorCode::None, |it| retriable(it.error_code)),
            code => code,
        };
        let build = |version| removal(group, instance_id, version);
        let answer = self.client.cluster.call(target, &doing, build, judge).await?;
        let whole = ErrorCode::from(answer.error_code);
        let code = match (whole, answer.members.first()) {
            (ErrorCode::None, Some(member)) => ErrorCode::from(member.error_code),
            (ErrorCode::None, None) => return Err(Error::new(ErrorKind::Unsupported).doing(doing)),
            (code, _) => code,
        };
        match code {
            ErrorCode::None => Ok(()),
            ErrorCode::UnknownMemberId => {
                Err(Error::refused(code).doing(doing).what(format!("{instance_id} is not in it ({code})")))
            }
            code => Err(Error::refused(code).doing(doing)),
        }
    }
}

/// Before instances were named, this names nobody, and nobody goes.
fn removal(group: &str, instance_id: &str, version: i16) -> LeaveGroupRequest {
    let group_id = group.to_owned();
    if version < INSTANCES_SINCE {
        return LeaveGroupRequest { group_id, ..Default::default() };
    }
    let member = MemberIdentity {
        member_id: String::new(),
        group_instance_id: Some(instance_id.to_owned()),
        reason: Some(REASON.to_owned()),
    };
    LeaveGroupRequest { group_id, members: vec![member], ..Default::default() }
}
