//! What there is of the topics that a member wants, and of those it shares out: kept in the cluster's view, and looked
//! up there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use vltava_core::{
    Moment,
    cluster::{NodeId, Topic, View},
    group::assign::{Racks, Topics},
};
use vltava_wire::{ErrorCode, Uuid};

use crate::cluster::{Cluster, Interest};

/// A topic that is said not to be there for so long is taken for deleted. Brokers that have just started say so of any.
const GONE_AFTER: Duration = Duration::from_secs(10);

pub(super) struct Lookout {
    cluster: Cluster,
    wanted: BTreeMap<String, Interest>,
    /// Topics that are said not to be there, and since when.
    missing: BTreeMap<String, Moment>,
    /// Ids whose topics' names are wanted.
    sought: BTreeSet<Uuid>,
}

impl Lookout {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { cluster, wanted: BTreeMap::new(), missing: BTreeMap::new(), sought: BTreeSet::new() }
    }

    /// Looks at these too from now on.
    pub(super) fn want(&mut self, topics: &BTreeSet<String>) {
        for topic in topics {
            let interest = || self.cluster.interest(&Arc::from(&**topic));
            self.wanted.entry(topic.clone()).or_insert_with(interest);
        }
    }

    /// Looks for the names of topics with these ids.
    pub(super) fn seek(&mut self, ids: BTreeSet<Uuid>) {
        self.sought.extend(ids);
        let Self { cluster, sought, .. } = self;
        if cluster.view(|view| sought.iter().any(|id| view.name(*id).is_none())) {
            cluster.stale();
        }
    }

    /// The names that were found since.
    pub(super) fn names(&mut self) -> BTreeMap<Uuid, Arc<str>> {
        let Self { cluster, sought, .. } = self;
        let name = |view: &View, id: &Uuid| Some((*id, view.name(*id)?.clone()));
        let found: BTreeMap<_, _> =
            cluster.view(|view| sought.iter().filter_map(|id| name(view, id)).collect());
        sought.retain(|id| !found.contains_key(id));
        found
    }

    /// Whether brokers have said anything of a topic.
    pub(super) fn knows(&self, topic: &str) -> bool {
        self.cluster.view(|view| view.topic(topic).is_some())
    }

    /// What there is of all that is wanted.
    pub(super) fn topics(&mut self, now: Moment) -> Topics {
        let Self { cluster, wanted, missing, .. } = self;
        let mut topics = Topics::default();
        cluster.view(|view| {
            for name in wanted.keys() {
                let Some(topic) = view.topic(name) else { continue };
                match is_missing(topic) {
                    true => drop(missing.entry(name.clone()).or_insert(now)),
                    false => drop(missing.remove(name)),
                }
                let is_gone = missing.get(name).is_some_and(|since| *since + GONE_AFTER <= now);
                if !is_gone && !topic.partitions.is_empty() {
                    topics.insert(&**name, racks(view, topic));
                }
            }
        });
        topics
    }
}

fn is_missing(topic: &Topic) -> bool {
    matches!(topic.error, ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId)
}

fn racks(view: &View, topic: &Topic) -> Vec<Racks> {
    let rack = |it: &NodeId| view.broker(*it)?.rack.as_deref().map(Arc::from);
    topic.partitions.iter().map(|partition| partition.replicas.iter().filter_map(rack).collect()).collect()
}
