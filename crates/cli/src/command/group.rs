//! `vltava group`: which consumer groups there are, and how far behind they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use serde::Serialize;
use vltava::{
    Offset, TopicPartition,
    client::{CommittedOffset, ErrorCode, GroupDescription, GroupListing, GroupMember},
};

use crate::{
    brokers::{Brokers, Cluster},
    output::{self, Look, Output, Row, count},
    report::Failure,
};

/// The state of a group that is not there, where brokers do not say so by an error.
const DEAD: &str = "Dead";

/// List and describe consumer groups
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List all groups
    List {
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        brokers: Brokers,
    },
    /// Show what a group has committed, how far that is behind, and who works on it
    Describe {
        /// Its name
        name: String,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        brokers: Brokers,
    },
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let (Verb::List { brokers, .. } | Verb::Describe { brokers, .. }) = &args.verb;
    let cluster = brokers.connect().await?;
    let done = match &args.verb {
        Verb::List { output, .. } => list(&cluster, *output).await,
        Verb::Describe { name, output, .. } => describe(&cluster, name, *output).await,
    };
    done.and(cluster.close().await)
}

async fn list(cluster: &Cluster, output: Output) -> Result<(), Failure> {
    let groups = cluster.client.admin().list_groups().await.map_err(vltava::Error::from)?;
    let row = |it: GroupListing| GroupRow {
        group: it.group,
        state: it.state,
        protocol: it.protocol_type,
        coordinator: it.coordinator,
    };
    Ok(output::print(&groups.into_iter().map(row).collect::<Vec<_>>(), output.look)?)
}

async fn describe(cluster: &Cluster, name: &str, output: Output) -> Result<(), Failure> {
    let admin = cluster.client.admin();
    let described = admin.describe_group(name).await.map_err(|error| match error.code() {
        Some(ErrorCode::GroupIdNotFound) => not_there(cluster, name),
        _ => vltava::Error::from(error).into(),
    })?;
    let committed = admin.committed_offsets(name).await.map_err(vltava::Error::from)?;
    if described.state == DEAD && committed.is_empty() {
        return Err(not_there(cluster, name));
    }
    let ends = ends(cluster, &described, &committed).await?;
    let group = Group::of(described, &committed, &ends);
    match output.look {
        Look::Json => {
            Ok(output::write(&(serde_json::to_string_pretty(&group).map_err(io::Error::from)? + "\n"))?)
        }
        Look::Table => Ok(output::write(&group.text())?),
    }
}

fn not_there(cluster: &Cluster, name: &str) -> Failure {
    Failure::not_found(format!("group {name} is not there on {}", cluster.name))
        .fix(format!("those that are: vltava group list{}", cluster.flag))
}

/// Where the partitions end that the group has to do with. Those of topics that are gone have no end.
async fn ends(
    cluster: &Cluster,
    group: &GroupDescription,
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let admin = cluster.client.admin();
    let topics = admin.topics().await.map_err(vltava::Error::from)?;
    let there: BTreeSet<TopicPartition> = topics
        .iter()
        .flat_map(|topic| {
            topic.partitions.iter().map(|it| TopicPartition::new(topic.name.clone(), it.partition))
        })
        .collect();
    let assigned = group.members.iter().flat_map(|member| &member.partitions);
    let wanted: BTreeSet<&TopicPartition> =
        committed.keys().chain(assigned).filter(|it| there.contains(it)).collect();
    let places = wanted.into_iter().map(|it| (it.clone(), Offset::Latest));
    Ok(admin.offsets(places).await.map_err(vltava::Error::from)?)
}

#[derive(Debug, Serialize)]
struct GroupRow {
    group: String,
    state: String,
    protocol: String,
    coordinator: i32,
}

impl Row for GroupRow {
    const HEAD: &'static [&'static str] = &["GROUP", "STATE", "PROTOCOL", ">COORDINATOR"];

    fn cells(&self) -> Vec<String> {
        vec![self.group.clone(), self.state.clone(), self.protocol.clone(), self.coordinator.to_string()]
    }
}

/// A group, its partitions, and how far behind it is.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Group {
    group: String,
    state: String,
    protocol: String,
    members: usize,
    /// Of all partitions that it has committed.
    lag: i64,
    partitions: Vec<PartitionRow>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct PartitionRow {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    end: Option<i64>,
    lag: Option<i64>,
    member: Option<String>,
    host: Option<String>,
}

impl Group {
    fn of(
        described: GroupDescription,
        committed: &BTreeMap<TopicPartition, CommittedOffset>,
        ends: &BTreeMap<TopicPartition, i64>,
    ) -> Group {
        let mut owners: BTreeMap<&TopicPartition, Option<&GroupMember>> =
            committed.keys().map(|partition| (partition, None)).collect();
        for member in &described.members {
            owners.extend(member.partitions.iter().map(|partition| (partition, Some(member))));
        }
        let partitions: Vec<PartitionRow> = owners
            .into_iter()
            .map(|(partition, owner)| {
                let committed = committed.get(partition).map(|it| it.offset);
                PartitionRow::of(partition, owner, committed, ends.get(partition).copied())
            })
            .collect();
        Group {
            lag: partitions.iter().filter_map(|it| it.lag).sum(),
            members: described.members.len(),
            group: described.group,
            state: described.state,
            protocol: described.protocol,
            partitions,
        }
    }

    fn text(&self) -> String {
        let Group { group, state, protocol, members, lag, partitions } = self;
        let cells = vec![group.clone(), state.clone(), protocol.clone(), members.to_string(), count(*lag)];
        let head = output::table(&["GROUP", "STATE", "PROTOCOL", ">MEMBERS", ">LAG"], &[cells]);
        let rows: Vec<_> = partitions.iter().map(Row::cells).collect();
        format!("{head}\n{}", output::table(PartitionRow::HEAD, &rows))
    }
}

impl PartitionRow {
    fn of(
        partition: &TopicPartition,
        owner: Option<&GroupMember>,
        committed: Option<i64>,
        end: Option<i64>,
    ) -> PartitionRow {
        PartitionRow {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            committed,
            end,
            // A topic that was deleted and created again may end before what was committed.
            lag: committed.zip(end).map(|(committed, end)| (end - committed).max(0)),
            member: owner.map(|it| it.client_id.clone()),
            host: owner.map(|it| it.host.clone()),
        }
    }
}

impl Row for PartitionRow {
    const HEAD: &'static [&'static str] =
        &["TOPIC-PARTITION", ">COMMITTED", ">END", ">LAG", "MEMBER", "HOST"];

    fn cells(&self) -> Vec<String> {
        let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), count);
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            format!("{}-{}", self.topic, self.partition),
            number(self.committed),
            number(self.end),
            number(self.lag),
            text(&self.member),
            text(&self.host),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_that_are_assigned_or_committed_are_shown_with_what_is_known() {
        let place = |partition| TopicPartition::new("orders", partition);
        let member = GroupMember {
            member_id: "app-1-x".into(),
            client_id: "app-1".into(),
            host: "/10.0.0.7".into(),
            partitions: vec![place(1), place(2)],
        };
        let described = GroupDescription {
            group: "billing".into(),
            state: "Stable".into(),
            protocol_type: "consumer".into(),
            protocol: "range".into(),
            members: vec![member],
        };
        let offset = |offset| CommittedOffset { offset, leader_epoch: 0, metadata: String::new() };
        let committed = BTreeMap::from([(place(0), offset(7)), (place(1), offset(10))]);
        let ends = BTreeMap::from([(place(1), 12_212), (place(2), 5)]);
        let expected = "\
GROUP    STATE   PROTOCOL  MEMBERS     LAG
billing  Stable  range           1  12,202

TOPIC-PARTITION  COMMITTED     END     LAG  MEMBER  HOST
orders-0                 7       -       -  -       -
orders-1                10  12,212  12,202  app-1   /10.0.0.7
orders-2                 -       5       -  app-1   /10.0.0.7
";
        assert_eq!(Group::of(described, &committed, &ends).text(), expected);
    }
}
