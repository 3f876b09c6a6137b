//! One partition that is fetched: the lane to its reader, and whether the cluster has told of it.

use std::sync::Arc;

use vltava_core::{Moment, TopicPartition, cluster::View, fetch::Positions};
use vltava_wire::ErrorCode;

use super::{
    AssignmentId,
    lane::{Item, Lane},
};
use crate::{
    cluster::{Cluster, Interest},
    error::{Error, ErrorKind, Result},
};

/// A partition that is assigned.
pub(super) struct Partition {
    pub(super) assignment: AssignmentId,
    pub(super) lane: Arc<Lane>,
    pub(super) is_paused: bool,
    /// Where it began to be read, once that is known.
    pub(super) begun: Option<i64>,
    /// The cluster has told of it.
    pub(super) known: bool,
    /// Whoever assigned it may know of it before this client does: until then it is waited for.
    pub(super) patience: Moment,
    pub(super) _interest: Interest,
}

impl Partition {
    /// Looks whether the cluster has told of it by now, and waits for that only so long.
    pub(super) fn look_for(
        &mut self,
        name: &TopicPartition,
        cluster: &Cluster,
        is_fresh: bool,
        now: Moment,
        positions: &mut Positions,
    ) {
        match cluster.view(|view| whether_known(view, name)) {
            Ok(known) => self.known = known,
            Err(error) if error.kind() == ErrorKind::UnknownTopic && (now < self.patience || !is_fresh) => {
                cluster.stale();
            }
            Err(error) => {
                positions.unassign(name);
                self.known = true;
                self.lane.put([Item::Failed(error)]);
            }
        }
    }
}

/// Whether the cluster has told of a partition yet; an error if, as far as is known, there is none.
fn whether_known(view: &View, partition: &TopicPartition) -> Result<bool> {
    let Some(topic) = view.topic(&partition.topic) else { return Ok(false) };
    let count = topic.partitions.len();
    let missing = |what: String| Err(Error::new(ErrorKind::UnknownTopic).what(what));
    match topic.error {
        ErrorCode::UnknownTopicOrPartition if count == 0 => {
            missing(format!("topic {} is not there", partition.topic))
        }
        code if count == 0 && code != ErrorCode::None && !code.is_retriable() => {
            Err(Error::refused(code).doing(format!("looking for topic {}", partition.topic)))
        }
        _ if count == 0 => Ok(false),
        _ if usize::try_from(partition.partition).is_ok_and(|number| number < count) => Ok(true),
        _ => missing(format!("{partition} is not there: the topic has {count} partitions")),
    }
}
