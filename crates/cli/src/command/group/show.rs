//! A group as it is printed: how far behind it is, and who works on it.

use std::{collections::BTreeMap, io};

use serde::Serialize;
use vltava::{
    TopicPartition,
    client::{
        GroupMember,
        lag::{Status, Trouble},
    },
};

use super::{
    called,
    look::{Progress, Seen},
};
use crate::{
    output::{self, Row, count},
    times,
};

/// A group, its partitions, and how far behind it is.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Group {
    group: String,
    state: String,
    protocol: String,
    assignor: String,
    coordinator: String,
    /// Of all partitions that it has committed.
    lag: i64,
    /// That of the partition that is worst off.
    status: Option<String>,
    /// What is wrong there.
    reason: Option<String>,
    partitions: Vec<PartitionRow>,
    members: Vec<MemberRow>,
}

#[derive(Debug, PartialEq, Serialize)]
struct PartitionRow {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    end: Option<i64>,
    lag: Option<i64>,
    /// How many seconds ago the first record that is not done was written.
    behind_seconds: Option<f64>,
    member: Option<String>,
    status: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct MemberRow {
    client_id: String,
    host: String,
    member_id: String,
    instance_id: Option<String>,
    epoch: Option<i32>,
    partitions: Vec<String>,
    /// What it is to have, if that is something else.
    target: Option<Vec<String>>,
}

impl Group {
    pub(super) fn of(Seen { group, partitions }: Seen, coordinator: String) -> Group {
        let worst = partitions.iter().filter_map(|(of, it)| Some((it.status?, of, it)));
        let worst = worst.max_by_key(|(status, _, progress)| (*status, progress.lag()));
        Group {
            lag: partitions.values().filter_map(Progress::lag).sum(),
            status: worst.map(|(status, ..)| status.to_string()),
            reason: worst.and_then(|(status, of, progress)| reason(status, of, progress)),
            members: group.members.iter().map(MemberRow::of).collect(),
            group: group.group,
            state: group.state.to_string(),
            protocol: group.group_type.to_string(),
            assignor: group.protocol,
            coordinator,
            partitions: partitions.into_iter().map(|(of, it)| PartitionRow::of(&of, &it)).collect(),
        }
    }

    /// As tables, that of the members only if they are wanted.
    pub(super) fn text(&self, members: bool) -> String {
        let verdict = match (&self.status, &self.reason) {
            (Some(status), Some(reason)) => format!("{status}  {reason}"),
            (Some(status), None) => status.clone(),
            (None, _) => "-".to_owned(),
        };
        let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let cells = vec![
            self.group.clone(),
            self.state.clone(),
            self.protocol.clone(),
            dash(&self.assignor),
            self.coordinator.clone(),
            count(self.lag),
            verdict,
        ];
        let head = ["GROUP", "STATE", "PROTOCOL", "ASSIGNOR", "COORDINATOR", ">LAG", "STATUS"];
        let mut text = output::table(&head, &[cells]) + "\n" + &rows(&self.partitions);
        if members && !self.members.is_empty() {
            text = text + "\n" + &rows(&self.members);
        }
        text
    }

    /// As an object, in one line unless it is to be read by people too.
    pub(super) fn json(&self, pretty: bool) -> io::Result<String> {
        let text = if pretty { serde_json::to_string_pretty(self)? } else { serde_json::to_string(self)? };
        Ok(text + "\n")
    }
}

fn rows<R: Row>(rows: &[R]) -> String {
    output::table(R::HEAD, &rows.iter().map(Row::cells).collect::<Vec<_>>())
}

/// What is wrong with a partition, in words.
fn reason(status: Status, of: &TopicPartition, progress: &Progress) -> Option<String> {
    let lag = count(progress.lag().unwrap_or(0));
    match status {
        Status::Ok => None,
        Status::Warn => {
            let growth = progress.growth.unwrap_or(0.0).round() as i64;
            Some(format!("{of} falls behind (+{}/s)", count(growth)))
        }
        Status::Err(Trouble::Stall) => Some(format!("{of} stands still, {lag} behind")),
        Status::Err(Trouble::Stop) => Some(format!("nobody works on {of}, {lag} behind")),
        Status::Err(Trouble::Rewind) => Some(format!("{of} was turned back, {lag} behind")),
    }
}

impl PartitionRow {
    fn of(partition: &TopicPartition, progress: &Progress) -> PartitionRow {
        PartitionRow {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            committed: progress.committed,
            end: progress.end,
            lag: progress.lag(),
            behind_seconds: progress.behind.map(|it| it.as_secs_f64()),
            member: progress.owner.as_ref().map(called),
            status: progress.status.map(|it| it.to_string()),
        }
    }
}

impl Row for PartitionRow {
    const HEAD: &'static [&'static str] =
        &["TOPIC-PARTITION", ">COMMITTED", ">END", ">LAG", ">BEHIND", "MEMBER", "STATUS"];

    fn cells(&self) -> Vec<String> {
        let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), count);
        let behind = self.behind_seconds.map(|it| times::rounded(std::time::Duration::from_secs_f64(it)));
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            format!("{}-{}", self.topic, self.partition),
            number(self.committed),
            number(self.end),
            number(self.lag),
            text(behind),
            text(self.member.clone()),
            text(self.status.clone()),
        ]
    }
}

impl MemberRow {
    fn of(member: &GroupMember) -> MemberRow {
        let target = member.target.as_ref().filter(|target| !same(target, &member.partitions));
        MemberRow {
            client_id: member.client_id.clone(),
            host: member.host.trim_start_matches('/').to_owned(),
            member_id: member.member_id.clone(),
            instance_id: member.instance_id.clone(),
            epoch: member.epoch,
            partitions: grouped(&member.partitions),
            target: target.map(|it| grouped(it)),
        }
    }
}

impl Row for MemberRow {
    const HEAD: &'static [&'static str] = &["MEMBER", "ID", "INSTANCE", ">EPOCH", "PARTITIONS"];

    fn cells(&self) -> Vec<String> {
        let shown = |all: &[String]| if all.is_empty() { "-".to_owned() } else { all.join(" ") };
        let partitions = match &self.target {
            None => shown(&self.partitions),
            Some(target) => format!("{} → {}", shown(&self.partitions), shown(target)),
        };
        vec![
            format!("{} {}", self.client_id, self.host),
            self.member_id.clone(),
            self.instance_id.clone().unwrap_or_else(|| "-".to_owned()),
            self.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string()),
            partitions,
        ]
    }
}

fn same(some: &[TopicPartition], others: &[TopicPartition]) -> bool {
    let sorted = |all: &[TopicPartition]| {
        let mut all = all.to_vec();
        all.sort();
        all
    };
    sorted(some) == sorted(others)
}

/// A word for each topic: `orders-0,1,2`.
fn grouped(partitions: &[TopicPartition]) -> Vec<String> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for TopicPartition { topic, partition } in partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    let word = |(topic, mut numbers): (&str, Vec<i32>)| {
        numbers.sort_unstable();
        let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
        format!("{topic}-{}", numbers.join(","))
    };
    topics.into_iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vltava::client::{GroupDescription, GroupState, GroupType};

    use super::*;

    fn place(partition: i32) -> TopicPartition {
        TopicPartition::new("orders", partition)
    }

    fn group(members: Vec<GroupMember>) -> GroupDescription {
        GroupDescription {
            group: "billing".into(),
            group_type: GroupType::Consumer,
            state: GroupState::Stable,
            protocol_type: "consumer".into(),
            protocol: "uniform".into(),
            epoch: Some(3),
            members,
        }
    }

    #[test]
    fn a_group_is_shown_with_what_is_known() {
        let member = GroupMember {
            member_id: "x".into(),
            client_id: "app-1".into(),
            host: "/10.0.0.7".into(),
            epoch: Some(2),
            partitions: vec![place(2), place(1)],
            target: Some(vec![place(1)]),
            ..GroupMember::default()
        };
        let lags = Progress {
            committed: Some(10),
            end: Some(12_212),
            owner: Some(member.clone()),
            behind: Some(Duration::from_secs(41)),
            status: Some(Status::Warn),
            growth: Some(309.7),
        };
        let gone = Progress { committed: Some(7), ..Progress::default() };
        let new = Progress { end: Some(5), owner: Some(member.clone()), ..Progress::default() };
        let partitions = [(place(0), gone), (place(1), lags), (place(2), new)].into_iter().collect();
        let seen = Seen { group: group(vec![member]), partitions };
        let expected = "\
GROUP    STATE   PROTOCOL  ASSIGNOR  COORDINATOR       LAG  STATUS
billing  Stable  consumer  uniform   2 (host:9093)  12,202  WARN  orders-1 falls behind (+310/s)

TOPIC-PARTITION  COMMITTED     END     LAG  BEHIND  MEMBER          STATUS
orders-0                 7       -       -       -  -               -
orders-1                10  12,212  12,202    41 s  app-1 10.0.0.7  WARN
orders-2                 -       5       -       -  app-1 10.0.0.7  -

MEMBER          ID  INSTANCE  EPOCH  PARTITIONS
app-1 10.0.0.7  x   -             2  orders-1,2 → orders-1
";
        let shown = Group::of(seen, "2 (host:9093)".into());
        assert_eq!(shown.text(true), expected);
        assert!(expected.starts_with(&shown.text(false)));
    }

    #[test]
    fn the_worst_partition_speaks_for_the_group() {
        let at = |lag: i64, status| Progress {
            committed: Some(0),
            end: Some(lag),
            status: Some(status),
            ..Progress::default()
        };
        let partitions = [
            (place(0), at(90, Status::Warn)),
            (place(1), at(2, Status::Err(Trouble::Stop))),
            (place(2), at(5, Status::Err(Trouble::Stop))),
            (place(3), at(0, Status::Ok)),
        ];
        let seen = Seen { group: group(Vec::new()), partitions: partitions.into_iter().collect() };
        let shown = Group::of(seen, "1".into());
        assert_eq!(shown.status.as_deref(), Some("ERR stop"));
        assert_eq!(shown.reason.as_deref(), Some("nobody works on orders-2, 5 behind"));
        assert_eq!(shown.lag, 97);
    }
}
