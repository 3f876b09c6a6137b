//! Which broker a request goes to.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    ids::{NodeId, TopicPartition},
    view::View,
};
use crate::Rng;

/// Whom a request is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The leader of a partition.
    Leader(TopicPartition),
    /// The coordinator of a group.
    Coordinator(Arc<str>),
    /// The broker that creates and deletes topics.
    Controller,
    /// This broker and no other.
    Node(NodeId),
    /// Whoever answers.
    Any,
}

/// Why there is nobody to send a request to, and so what must be found out first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unroutable {
    /// Nothing is known of the partition, or it has no leader: metadata is to be asked for.
    NoLeader(TopicPartition),
    /// The coordinator of the group is to be looked up.
    NoCoordinator(Arc<str>),
    /// The broker is not one of the cluster.
    NoNode(NodeId),
    /// No broker is known: one of the addresses that were configured is to be asked.
    NoBrokers,
}

/// Where requests go: what [`View`] does not tell, and the choice among those who would do.
#[derive(Debug, Default)]
pub struct Route {
    coordinators: BTreeMap<Arc<str>, NodeId>,
    /// How often in a row each broker could not be reached.
    failures: BTreeMap<NodeId, u32>,
}

impl Route {
    /// The broker for a target.
    pub fn to(&self, target: &Target, view: &View, rng: &mut Rng) -> Result<NodeId, Unroutable> {
        match target {
            Target::Leader(partition) => view
                .leader(partition)
                .map(|it| it.node)
                .ok_or_else(|| Unroutable::NoLeader(partition.clone())),
            Target::Coordinator(group) => {
                self.coordinator(group, view).ok_or_else(|| Unroutable::NoCoordinator(group.clone()))
            }
            Target::Controller => {
                let controller = view.controller().filter(|it| view.broker(*it).is_some());
                controller.map_or_else(|| self.any(view, rng), Ok)
            }
            Target::Node(node) => view.broker(*node).map(|it| it.id).ok_or(Unroutable::NoNode(*node)),
            Target::Any => self.any(view, rng),
        }
    }

    /// FindCoordinator has told who coordinates a group.
    pub fn on_coordinator(&mut self, group: &Arc<str>, node: NodeId) {
        self.coordinators.insert(group.clone(), node);
    }

    /// A group's coordinator turned out not to be, or cannot be reached: it is to be looked up again.
    pub fn forget_coordinator(&mut self, group: &str) {
        self.coordinators.remove(group);
    }

    /// A broker was reached.
    pub fn on_reached(&mut self, node: NodeId) {
        self.failures.remove(&node);
    }

    /// A broker could not be reached: others are asked first, and groups it coordinates may have moved.
    pub fn on_unreachable(&mut self, node: NodeId) {
        *self.failures.entry(node).or_default() += 1;
        self.coordinators.retain(|_, it| *it != node);
    }

    fn coordinator(&self, group: &str, view: &View) -> Option<NodeId> {
        self.coordinators.get(group).copied().filter(|it| view.broker(*it).is_some())
    }

    /// One of those who failed least, by chance.
    fn any(&self, view: &View, rng: &mut Rng) -> Result<NodeId, Unroutable> {
        let failures = |it: NodeId| self.failures.get(&it).copied().unwrap_or(0);
        let fewest = view.brokers().map(|it| failures(it.id)).min().ok_or(Unroutable::NoBrokers)?;
        let best: Vec<NodeId> = view.brokers().map(|it| it.id).filter(|it| failures(*it) == fewest).collect();
        Ok(best[rng.below(best.len() as u64) as usize])
    }
}

impl fmt::Display for Unroutable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLeader(partition) => write!(f, "{partition} has no known leader"),
            Self::NoCoordinator(group) => write!(f, "group {group} has no known coordinator"),
            Self::NoNode(node) => write!(f, "broker {node} is not one of the cluster"),
            Self::NoBrokers => write!(f, "no broker of the cluster is known yet"),
        }
    }
}

impl std::error::Error for Unroutable {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn cluster(brokers: i32) -> View {
        let mut view = View::default();
        (1..=brokers).for_each(|it| view.on_broker(it, "host".into(), 9092, None));
        view
    }

    fn anybody(route: &Route, view: &View) -> BTreeSet<i32> {
        let rng = &mut Rng::new(3);
        (0..100).map(|_| route.to(&Target::Any, view, rng).expect("there are brokers").0).collect()
    }

    #[test]
    fn anybody_is_each_of_them_in_turn_by_chance() {
        assert_eq!(anybody(&Route::default(), &cluster(3)), BTreeSet::from([1, 2, 3]));
    }

    #[test]
    fn a_broker_that_cannot_be_reached_is_asked_last() {
        let mut route = Route::default();
        route.on_unreachable(NodeId(2));
        assert_eq!(anybody(&route, &cluster(3)), BTreeSet::from([1, 3]));
        route.on_unreachable(NodeId(1));
        route.on_unreachable(NodeId(3));
        assert_eq!(anybody(&route, &cluster(3)), BTreeSet::from([1, 2, 3]), "all failed alike");
        route.on_reached(NodeId(3));
        assert_eq!(anybody(&route, &cluster(3)), BTreeSet::from([3]));
    }

    #[test]
    fn a_coordinator_is_looked_up_once_and_again_when_its_broker_is_gone() {
        let (mut route, view, rng) = (Route::default(), cluster(2), &mut Rng::new(1));
        let target = Target::Coordinator("billing".into());
        let unknown = Err(Unroutable::NoCoordinator("billing".into()));
        assert_eq!(route.to(&target, &view, rng), unknown);
        route.on_coordinator(&"billing".into(), NodeId(2));
        assert_eq!(route.to(&target, &view, rng), Ok(NodeId(2)));
        route.on_unreachable(NodeId(1));
        assert_eq!(route.to(&target, &view, rng), Ok(NodeId(2)));
        route.on_unreachable(NodeId(2));
        assert_eq!(route.to(&target, &view, rng), unknown);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let (route, view, rng) = (Route::default(), View::default(), &mut Rng::new(1));
        let orders = TopicPartition::new("orders", 3);
        let none = route.to(&Target::Leader(orders.clone()), &view, rng);
        assert_eq!(none, Err(Unroutable::NoLeader(orders)));
        assert_eq!(route.to(&Target::Node(NodeId(4)), &view, rng), Err(Unroutable::NoNode(NodeId(4))));
        assert_eq!(route.to(&Target::Controller, &view, rng), Err(Unroutable::NoBrokers));
    }
}
