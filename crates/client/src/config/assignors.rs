//! How a member offers to share out partitions.

use std::sync::Arc;

use vltava_core::group::assign::{Assignor, CooperativeSticky, Range, RoundRobin, Sticky};

/// The ways of sharing out that a member of the classic protocol offers, the one liked best first. Empty to leave it
/// to the client.
#[derive(Debug, Clone, Default)]
pub struct Assignors(Vec<Arc<dyn Assignor>>);

impl Assignors {
    /// The assignors by which Kafka's own clients share out, by their names: `range`, `roundrobin`, `sticky`,
    /// `cooperative-sticky`, or the last part of the names of Java's classes for them. None if a name is of neither.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        names.into_iter().map(named).collect::<Option<_>>().map(Self)
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<dyn Assignor>> {
        self.0.iter()
    }
}

fn named(name: &str) -> Option<Arc<dyn Assignor>> {
    Some(match name.rsplit('.').next().unwrap_or_default() {
        "range" | "RangeAssignor" => Arc::new(Range),
        "roundrobin" | "RoundRobinAssignor" => Arc::new(RoundRobin),
        "sticky" | "StickyAssignor" => Arc::new(Sticky),
        "cooperative-sticky" | "CooperativeStickyAssignor" => Arc::new(CooperativeSticky),
        _ => return None,
    })
}

impl FromIterator<Arc<dyn Assignor>> for Assignors {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Assignor>>>(assignors: I) -> Self {
        Self(assignors.into_iter().collect())
    }
}

/// What the group goes by is the names.
impl PartialEq for Assignors {
    fn eq(&self, other: &Self) -> bool {
        self.iter().map(|it| it.name()).eq(other.iter().map(|it| it.name()))
    }
}

impl Eq for Assignors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_own_are_known_by_both_of_their_names() {
        let ours = ["range", "roundrobin", "sticky", "cooperative-sticky"];
        let java = ["RangeAssignor", "RoundRobinAssignor", "StickyAssignor", "CooperativeStickyAssignor"];
        let java = java.map(|name| format!("org.apache.kafka.clients.consumer.{name}"));
        let known = Assignors::named(ours).expect("they are known");
        assert_eq!(known.iter().map(|it| it.name()).collect::<Vec<_>>(), ours);
        assert_eq!(Assignors::named(java.iter().map(String::as_str)), Some(known));
        assert_eq!(Assignors::named(["range", "fair"]), None);
    }
}
