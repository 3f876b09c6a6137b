//! Leaders that move: what `nodes` decides is put into the log, and becomes so.

use tokio::sync::MutexGuard;
use tracing::info;
use vltava_core::cluster::NodeId;
use vltava_wire::ErrorCode;

use crate::{
    Error, ErrorKind, Result,
    ledger::topics::Topic,
    log::{Position, Refused},
    node::Node,
    nodes::{IsLast, Nodes},
};

impl Node {
    /// Waits for its turn to move leaders. What was moved before is settled: a client may be told of a leader epoch that
    /// a crash takes back, and the start after that gives it again, but it gives no more than one.
    pub(crate) async fn turn_to_move(&self) -> Result<MutexGuard<'_, ()>> {
        let alone = self.moving.lock().await;
        self.log.settled(self.log.ledger_position()).await?;
        Ok(alone)
    }

    /// Has a running node lead a partition, in the next leader epoch unless it does already, and waits until that is
    /// settled.
    pub(crate) async fn move_leader(&self, topic: &str, partition: i32, to: NodeId) -> Result<()> {
        self.move_leaders(&[(topic.to_owned(), partition, to)]).await
    }

    /// As [`Node::move_leader`], of many: they wait for one turn, and for what was moved to be settled together. Tells
    /// the last error, and moves what can be moved all the same.
    pub(crate) async fn move_leaders(&self, moves: &[(String, i32, NodeId)]) -> Result<()> {
        let _alone = self.turn_to_move().await?;
        let (mut last, mut moved) = (Position::default(), Ok(()));
        for (topic, partition, to) in moves {
            match self.hand_over(topic, *partition, *to) {
                Ok(position) => last = last.max(position),
                Err(error) => moved = Err(error),
            }
        }
        self.log.settled(last).await.and(moved)
    }

    fn hand_over(&self, topic: &str, partition: i32, to: NodeId) -> Result<Position> {
        let nodes = self.lock_nodes();
        if !nodes.has(to) {
            return Err(unknown_node(to));
        }
        if !nodes.runs(to) {
            let message = format!("node {to} was stopped and cannot lead {topic}-{partition}");
            return Err(Error::new(ErrorKind::NodeStopped, message));
        }
        let unknown = || {
            let message = format!("there is no partition {topic}-{partition}");
            Error::new(ErrorKind::UnknownTopicOrPartition, message)
        };
        let found = self.log.topic(topic).ok_or_else(unknown)?;
        let index = usize::try_from(partition).ok();
        let leader = index.and_then(|it| found.leaders.get(it)).ok_or_else(unknown)?;
        if leader.node == to {
            return Ok(Position::default());
        }
        let position = self.lead(&found, &[(partition, to)])?;
        info!(topic, partition, from = %leader.node, %to, "leader moved");
        Ok(position)
    }

    /// Has a node run no longer, and others lead what it led. Says when that is settled.
    pub(crate) fn withdraw(&self, node: NodeId) -> Result<Position> {
        let mut nodes = self.lock_nodes();
        if !nodes.runs(node) {
            return Ok(Position::default());
        }
        nodes.stop(node).map_err(|IsLast| {
            let message = format!("node {node} is the last that runs, so it cannot be stopped");
            Error::new(ErrorKind::LastNode, message)
        })?;
        match self.take_over(&nodes) {
            Ok(position) => {
                info!(%node, "node stopped");
                Ok(position)
            }
            Err(error) => {
                nodes.start(node);
                Err(goes_on(node, error))
            }
        }
    }

    /// Has a node run again.
    pub(crate) fn rejoin(&self, node: NodeId) {
        let mut nodes = self.lock_nodes();
        if !nodes.runs(node) {
            nodes.start(node);
            info!(%node, "node started");
        }
    }

    /// Leads again what nodes led in an earlier life of which there are fewer now.
    pub(crate) async fn lead_orphans(&self) -> Result<()> {
        let position = self.take_over(&self.lock_nodes())?;
        self.log.settled(position).await
    }

    /// Has every partition led by a node that runs.
    fn take_over(&self, nodes: &Nodes) -> Result<Position> {
        let mut last = Position::default();
        for topic in self.log.topics() {
            let all = (0..).zip(&topic.leaders).filter(|(_, leader)| !nodes.runs(leader.node));
            let orphans: Vec<_> = all.map(|(it, leader)| (it, nodes.successor(leader.node))).collect();
            if !orphans.is_empty() {
                last = self.lead(&topic, &orphans)?;
            }
        }
        Ok(last)
    }

    fn lead(&self, topic: &Topic, leaders: &[(i32, NodeId)]) -> Result<Position> {
        match self.log.lead(topic.id, leaders) {
            Ok(position) => Ok(position),
            // It was deleted meanwhile, and needs no leader.
            Err(Refused::Code(ErrorCode::UnknownTopicId)) => Ok(Position::default()),
            Err(refused) => Err(refused.into_error()),
        }
    }
}

/// What is said where a node does not stop because nobody can take over.
pub(crate) fn goes_on(node: NodeId, error: Error) -> Error {
    Error::new(error.kind(), format!("node {node} goes on: it cannot be written down who leads after it"))
        .because(error)
}

/// What is said where a node is named that is not there.
pub(crate) fn unknown_node(node: NodeId) -> Error {
    Error::new(ErrorKind::UnknownNode, format!("there is no node {node}"))
}
