//! Looking at a group: who is in it, what it has committed, where its partitions end; several times, so that it shows
//! how it keeps up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use vltava::{
    Offset, TopicPartition,
    client::{
        Clock, CommittedOffset, ErrorKind, GroupDescription, GroupMember, PartitionClient, SystemClock,
        Timestamp,
        lag::{Look, Status, Window},
    },
};

use super::{described, not_there};
use crate::{brokers::Cluster, report::Failure};

/// So long a record may take to be fetched before its age is left unsaid.
const PATIENCE: Duration = Duration::from_secs(2);

/// A group that is looked at.
pub(super) struct Watch<'a> {
    cluster: &'a Cluster,
    name: &'a str,
    span: Duration,
    clock: SystemClock,
    windows: BTreeMap<TopicPartition, Window>,
    /// Those that fetch the first record that is not done.
    readers: BTreeMap<TopicPartition, PartitionClient>,
}

/// A group at one time.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) group: GroupDescription,
    pub(super) partitions: BTreeMap<TopicPartition, Progress>,
}

/// How far a group is with a partition.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Progress {
    pub(super) committed: Option<i64>,
    /// None if its topic is gone.
    pub(super) end: Option<i64>,
    pub(super) owner: Option<GroupMember>,
    /// How long ago the first record that is not done was written.
    pub(super) behind: Option<Duration>,
    /// None if that cannot be told yet.
    pub(super) status: Option<Status>,
    /// Records a second.
    pub(super) growth: Option<f64>,
}

impl Progress {
    /// A topic that was deleted and created again may end before what was committed.
    pub(super) fn lag(&self) -> Option<i64> {
        self.committed.zip(self.end).map(|(committed, end)| (end - committed).max(0))
    }
}

impl<'a> Watch<'a> {
    /// What is seen is remembered for as long as `span` for the sake of the next look.
    pub(super) fn new(cluster: &'a Cluster, name: &'a str, span: Duration) -> Self {
        let (windows, readers) = (BTreeMap::new(), BTreeMap::new());
        Self { cluster, name, span, clock: SystemClock::new(), windows, readers }
    }

    /// Takes a look.
    pub(super) async fn look(&mut self) -> Result<Seen, Failure> {
        let admin = self.cluster.client.admin();
        let group = described(self.cluster, self.name).await?;
        let committed = admin.committed_offsets(self.name).await.map_err(vltava::Error::from)?;
        let Some(group) = group else { return Err(not_there(self.cluster, self.name)) };
        let mut partitions = progress(&group, &committed);
        let ends = ends(self.cluster, partitions.keys()).await?;
        let at = self.clock.now();
        self.windows.retain(|at, _| ends.contains_key(at));
        for (of, end) in ends {
            let Some(progress) = partitions.get_mut(&of) else { continue };
            let window = self.windows.entry(of).or_insert_with(|| Window::new(self.span));
            let is_owned = progress.owner.is_some();
            window.push(Look { at, committed: progress.committed, end, is_owned });
            progress.end = Some(end);
            progress.status = window.status();
            progress.growth = window.growth();
        }
        Ok(Seen { group, partitions })
    }

    /// Finds out how old the first record is that is not done, where there is one.
    pub(super) async fn date(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let now = self.clock.wall();
        for (of, progress) in &mut seen.partitions {
            let Some(committed) = progress.committed.filter(|_| progress.lag() > Some(0)) else { continue };
            let client = &self.cluster.client;
            let new = || client.partition(of.topic.clone(), of.partition).deadline(PATIENCE);
            let reader = self.readers.entry(of.clone()).or_insert_with(new);
            let written = first_timestamp(reader, committed).await?;
            progress.behind = written.map(|it| Duration::from_millis((now.0 - it.0).max(0).unsigned_abs()));
        }
        Ok(())
    }
}

/// Every partition that is committed or assigned.
fn progress(
    group: &GroupDescription,
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
) -> BTreeMap<TopicPartition, Progress> {
    let mut all: BTreeMap<TopicPartition, Progress> = BTreeMap::new();
    for (of, it) in committed {
        all.entry(of.clone()).or_default().committed = Some(it.offset);
    }
    for member in &group.members {
        for of in &member.partitions {
            all.entry(of.clone()).or_default().owner = Some(member.clone());
        }
    }
    all
}

/// Where these partitions end. Those of topics that are gone have no end.
async fn ends(
    cluster: &Cluster,
    wanted: impl Iterator<Item = &TopicPartition>,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let admin = cluster.client.admin();
    let topics = admin.topics().await.map_err(vltava::Error::from)?;
    let partitions = topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|it| TopicPartition::new(topic.name.clone(), it.partition))
    });
    let there: BTreeSet<TopicPartition> = partitions.collect();
    let places = wanted.filter(|it| there.contains(it)).map(|it| (it.clone(), Offset::Latest));
    Ok(admin.offsets(places).await.map_err(vltava::Error::from)?)
}

/// When the first record from this offset on was written; none if that is not found out in time.
async fn first_timestamp(reader: &PartitionClient, offset: i64) -> Result<Option<Timestamp>, Failure> {
    let read = match reader.read(offset, 1..=1).await {
        // Retention was faster than the group.
        Err(error) if error.kind() == ErrorKind::NoOffset => reader.read(Offset::Earliest, 1..=1).await,
        read => read,
    };
    let batch = match read {
        Err(error) if error.is_retriable() => return Ok(None),
        read => read.map_err(vltava::Error::from)?,
    };
    let first = batch.iter().next().map(|record| Timestamp(record.timestamp()));
    Ok(first.filter(|it| *it > Timestamp::NONE))
}
