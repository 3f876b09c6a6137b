//! The round-robin assignor, as Java's `RoundRobinAssignor` does it: all partitions of all topics in a row, dealt out to
//! the members in turn, where who does not want a topic is passed over. It knows no racks.

use super::{Assignor, Subscriber, Topics, in_order, number};
use crate::TopicPartition;

/// All partitions dealt out in turn: even for members that want the same, whatever the topics' sizes.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundRobin;

impl Assignor for RoundRobin {
    fn name(&self) -> &str {
        "roundrobin"
    }

    fn assign(&self, topics: &Topics, subscribers: &[Subscriber]) -> Vec<Vec<TopicPartition>> {
        let mut shares = vec![Vec::new(); subscribers.len()];
        let ordered = in_order(subscribers);
        let mut turn = 0;
        for (topic, partitions) in topics.iter() {
            let wants = |member: &usize| subscribers[*member].topics.contains(&**topic);
            let wants: Vec<bool> = ordered.iter().map(wants).collect();
            if !wants.contains(&true) {
                continue;
            }
            for place in 0..partitions.len() {
                while !wants[turn] {
                    turn = (turn + 1) % ordered.len();
                }
                shares[ordered[turn]].push(TopicPartition::new(topic.clone(), number(place)));
                turn = (turn + 1) % ordered.len();
            }
        }
        shares
    }
}
