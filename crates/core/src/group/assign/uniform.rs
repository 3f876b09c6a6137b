//! What a coordinator shares out by in KIP-848's protocol, unless it is told to do otherwise.

use super::{
    Assignor, Subscriber, Topics,
    sticky::{Held, Problem, share_out},
};
use crate::TopicPartition;

/// As even as can be, and as little moved as may be, whether all members want the same or not. What members own is
/// what they were to have so far.
///
/// Kafka's own gives the greater shares to whoever comes first; this one leaves them where they are, so that nothing
/// moves without need.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uniform;

impl Assignor for Uniform {
    fn name(&self) -> &str {
        "uniform"
    }

    fn assign(&self, topics: &Topics, subscribers: &[Subscriber]) -> Vec<Vec<TopicPartition>> {
        let held: Vec<Held> =
            subscribers.iter().map(|it| Held { partitions: it.owned.clone(), generation: 0 }).collect();
        let problem = Problem::new(topics, subscribers, &held);
        problem.named(&share_out(&problem))
    }
}
