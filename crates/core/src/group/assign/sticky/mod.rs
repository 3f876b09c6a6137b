//! The sticky assignors: as even as can be, and of all that is even what moves least, as Java's `StickyAssignor` and
//! `CooperativeStickyAssignor` do it.
//!
//! `problem` is who wants what and has what, in numbers; `alike` solves it where all members want the same topics,
//! `mixed` where they do not, with what moved in `moves`. Here is where what members have is told and learnt.

mod alike;
mod mixed;
mod moves;
mod problem;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use vltava_wire::{
    DecodeError, Decoder, Encoder, Version, Wire, messages::group::TopicPartition as TopicPartitions,
};

pub(super) use problem::{Held, Problem};

use self::problem::Member;
use super::{Assignor, Subscriber, Topics};
use crate::TopicPartition;

/// What members send along is written without a version of its own, in Kafka's old encoding.
const PLAIN: Version = Version { number: 0, flexible: false };
/// What one member's words may take when they are read.
const BUDGET_BYTES: usize = 16 << 20;

/// Even shares that move little from one rebalance to the next. Members give all back before, and say themselves what
/// they had.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sticky;

impl Assignor for Sticky {
    fn name(&self) -> &str {
        "sticky"
    }

    fn user_data(&self, held: &BTreeSet<TopicPartition>, generation: i32) -> Option<Bytes> {
        (generation >= 0).then(|| {
            let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
            held.iter().for_each(|it| by_topic.entry(&it.topic).or_default().push(it.partition));
            let topic = |(topic, partitions): (&str, Vec<i32>)| TopicPartitions {
                topic: topic.to_owned(),
                partitions,
            };
            let previous: Vec<TopicPartitions> = by_topic.into_iter().map(topic).collect();
            let mut out = Encoder::default();
            previous.encode(&mut out, PLAIN).expect("topics' names are shorter than 32 KiB, Kafka's are");
            out.put(&generation.to_be_bytes());
            out.into_bytes()
        })
    }

    fn assign(&self, topics: &Topics, subscribers: &[Subscriber]) -> Vec<Vec<TopicPartition>> {
        let said = |it: &Subscriber| it.user_data.clone().map(previous).unwrap_or_default();
        let held: Vec<Held> = subscribers.iter().map(said).collect();
        let problem = Problem::new(topics, subscribers, &held);
        problem.named(&share_out(&problem))
    }
}

/// The same shares, for members that keep what they have while the group rebalances: what another has yet to give
/// back is left out, and shared out when the group rebalances once more.
#[derive(Debug, Clone, Copy, Default)]
pub struct CooperativeSticky;

impl Assignor for CooperativeSticky {
    fn name(&self) -> &str {
        "cooperative-sticky"
    }

    fn is_cooperative(&self) -> bool {
        true
    }

    /// The generation, for leaders that read no newer subscription than version 1.
    fn user_data(&self, _held: &BTreeSet<TopicPartition>, generation: i32) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(&generation.to_be_bytes()))
    }

    fn assign(&self, topics: &Topics, subscribers: &[Subscriber]) -> Vec<Vec<TopicPartition>> {
        let held: Vec<Held> = subscribers.iter().map(owned).collect();
        let problem = Problem::new(topics, subscribers, &held);
        let mut owners = share_out(&problem);
        for (partition, owner) in owners.iter_mut().enumerate() {
            owner.take_if(|it| problem.must_be_given_back(partition, *it));
        }
        problem.named(&owners)
    }
}

/// Who is to have each partition.
pub(super) fn share_out(problem: &Problem<'_>) -> Vec<Option<Member>> {
    if problem.all_want_the_same { alike::share_out(problem) } else { mixed::share_out(problem) }
}

/// What a member of the eager protocol says that it had. What cannot be read is nothing: it costs moves, no more.
fn previous(user_data: Bytes) -> Held {
    let mut input = Decoder::new(user_data, PLAIN, BUDGET_BYTES);
    let read = |input: &mut Decoder| -> Result<Held, DecodeError> {
        let topics = Vec::<TopicPartitions>::decode(input)?;
        let partitions = topics.into_iter().flat_map(|TopicPartitions { topic, partitions }| {
            let topic: std::sync::Arc<str> = topic.into();
            partitions.into_iter().map(move |it| TopicPartition::new(topic.clone(), it))
        });
        let partitions = partitions.collect();
        // The first version of this ends here.
        let generation = i32::decode(input).unwrap_or(-1);
        Ok(Held { partitions, generation })
    };
    read(&mut input).unwrap_or_default()
}

/// What a member of the cooperative protocol says that it has.
fn owned(member: &Subscriber) -> Held {
    let sent = || i32::decode(&mut Decoder::new(member.user_data.clone()?, PLAIN, BUDGET_BYTES)).ok();
    let generation = if member.generation >= 0 { member.generation } else { sent().unwrap_or(-1) };
    Held { partitions: member.owned.clone(), generation }
}
