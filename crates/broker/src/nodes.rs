//! Which nodes there are and which of them run, and what follows: who leads and coordinates what, and who takes over.
//!
//! All nodes are one process with one log, so every node has a replica of everything, and any running node can take
//! over from any other.

use vltava_core::cluster::NodeId;

/// There are no more nodes: each has a port and a task, and no test of a failover needs as many.
pub(crate) const NODES_MAX: usize = 64;

/// The nodes of a broker, numbered from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nodes {
    /// Whether each of them runs.
    running: Vec<bool>,
}

/// Why a node does not stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IsLast;

impl Nodes {
    /// So many nodes, all of which run.
    ///
    /// # Panics
    /// If there are none.
    pub(crate) fn new(count: usize) -> Self {
        assert!(count > 0, "a broker has a node");
        Self { running: vec![true; count] }
    }

    /// All of them, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = NodeId> {
        (0..self.running.len()).map(id)
    }

    /// Those that run, in order.
    pub(crate) fn running(&self) -> impl Iterator<Item = NodeId> {
        self.all().filter(|it| self.runs(*it))
    }

    /// Those that were stopped, in order.
    pub(crate) fn stopped(&self) -> impl Iterator<Item = NodeId> {
        self.all().filter(|it| !self.runs(*it))
    }

    /// Whether a node is one of them.
    pub(crate) fn has(&self, node: NodeId) -> bool {
        self.all().any(|it| it == node)
    }

    pub(crate) fn runs(&self, node: NodeId) -> bool {
        let index = usize::try_from(i64::from(node.0) - 1).ok();
        index.and_then(|it| self.running.get(it)).is_some_and(|it| *it)
    }

    /// A node stops, unless no other runs.
    pub(crate) fn stop(&mut self, node: NodeId) -> Result<(), IsLast> {
        if self.running().all(|it| it == node) {
            return Err(IsLast);
        }
        self.set(node, false);
        Ok(())
    }

    pub(crate) fn start(&mut self, node: NodeId) {
        self.set(node, true);
    }

    fn set(&mut self, node: NodeId, runs: bool) {
        let index = usize::try_from(i64::from(node.0) - 1).ok();
        if let Some(it) = index.and_then(|it| self.running.get_mut(it)) {
            *it = runs;
        }
    }

    /// The node itself if it runs, or else the next one that does. A node that is not there, as in a folder of a
    /// broker that had more, is followed likewise.
    pub(crate) fn successor(&self, node: NodeId) -> NodeId {
        self.from((i64::from(node.0) - 1).rem_euclid(self.running.len() as i64) as usize)
    }

    /// Who leads a partition of a new topic: each node in turn.
    pub(crate) fn first_leader(&self, partition: usize) -> NodeId {
        self.from(partition % self.running.len())
    }

    /// Who coordinates a group: one node for life, and while that is stopped the next one.
    pub(crate) fn coordinator(&self, group: &str) -> NodeId {
        // As Kafka spreads groups over partitions.
        let hash =
            group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
        self.from(hash.unsigned_abs() as usize % self.running.len())
    }

    /// Who is told to be the controller.
    pub(crate) fn controller(&self) -> NodeId {
        self.from(0)
    }

    /// The first that runs, from this place on and around.
    fn from(&self, index: usize) -> NodeId {
        let count = self.running.len();
        let around = (index..index + count).map(|it| it % count);
        let first = around.into_iter().find(|it| self.running[*it]);
        id(first.expect("the last node does not stop"))
    }
}

fn id(index: usize) -> NodeId {
    NodeId(index as i32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes of which these are stopped.
    fn nodes(count: usize, stopped: &[i32]) -> Nodes {
        let mut nodes = Nodes::new(count);
        stopped.iter().for_each(|it| nodes.stop(NodeId(*it)).unwrap());
        nodes
    }

    #[test]
    fn the_next_running_node_takes_over() {
        for (stopped, node, expected) in [
            (&[][..], 2, 2),
            (&[2], 2, 3),
            (&[2, 3], 2, 1),
            (&[3], 3, 1),
            (&[1], 3, 3),
            // Of a broker that had more nodes, or of a folder that makes no sense.
            (&[], 4, 1),
            (&[1], 4, 2),
            (&[], 0, 3),
            (&[], i32::MIN, 1),
            (&[], i32::MAX, 1),
        ] {
            assert_eq!(
                nodes(3, stopped).successor(NodeId(node)),
                NodeId(expected),
                "{node}, {stopped:?} stopped"
            );
        }
    }

    #[test]
    fn the_partitions_of_a_new_topic_go_to_each_running_node_in_turn() {
        let leaders = |stopped| (0..5).map(|it| nodes(3, stopped).first_leader(it).0).collect::<Vec<_>>();
        assert_eq!(leaders(&[]), [1, 2, 3, 1, 2]);
        assert_eq!(leaders(&[2]), [1, 3, 3, 1, 3]);
        assert_eq!((0..3).map(|it| nodes(1, &[]).first_leader(it).0).collect::<Vec<_>>(), [1; 3]);
    }

    #[test]
    fn the_last_running_node_does_not_stop() {
        let mut nodes = nodes(3, &[1, 3]);
        assert_eq!(nodes.stop(NodeId(2)), Err(IsLast));
        assert!(nodes.runs(NodeId(2)));
        nodes.start(NodeId(3));
        assert_eq!(nodes.stop(NodeId(2)), Ok(()));
        assert_eq!(nodes.running().collect::<Vec<_>>(), [NodeId(3)]);
        assert_eq!(nodes.stopped().collect::<Vec<_>>(), [NodeId(1), NodeId(2)]);
    }

    #[test]
    fn groups_are_spread_and_go_back_to_their_node_when_it_runs_again() {
        let groups: Vec<_> = (0..60).map(|it| format!("group-{it}")).collect();
        let all = |nodes: &Nodes| groups.iter().map(|it| nodes.coordinator(it)).collect::<Vec<_>>();
        let mut nodes = Nodes::new(3);
        let before = all(&nodes);
        for node in nodes.all() {
            assert!(before.iter().filter(|it| **it == node).count() > 10, "node {node}");
        }
        nodes.stop(NodeId(2)).unwrap();
        let expected: Vec<_> = before.iter().map(|it| if it.0 == 2 { NodeId(3) } else { *it }).collect();
        assert_eq!(all(&nodes), expected);
        nodes.start(NodeId(2));
        assert_eq!(all(&nodes), before);
    }

    #[test]
    fn a_group_is_coordinated_by_the_hash_of_its_name_as_java_has_it() {
        // Their hashCode() is 1382682413, -1008770331 and 69209585.
        for (group, expected) in [("payments", 4), ("orders", 2), ("Größe", 6)] {
            assert_eq!(Nodes::new(10).coordinator(group), NodeId(expected), "{group}");
        }
    }

    #[test]
    fn only_nodes_that_are_there_run() {
        let nodes = nodes(2, &[]);
        let told: Vec<_> = [i32::MIN, -1, 0, 1, 2, 3].map(|it| nodes.runs(NodeId(it))).to_vec();
        assert_eq!(told, [false, false, false, true, true, false]);
    }
}
