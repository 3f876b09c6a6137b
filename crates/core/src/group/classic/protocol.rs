//! What members of a consumer group tell each other through the coordinator, which does not read it: what each
//! subscribes to, and what the leader assigned to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use vltava_wire::{
    DecodeError, Decoder, Encoder, Version, Wire,
    messages::group::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, JoinGroupResponseMember,
        TopicPartition as TopicPartitions,
    },
};

use crate::{TopicPartition, group::assign::Subscriber};

/// The protocol type of groups of consumers.
pub const PROTOCOL_TYPE: &str = "consumer";
/// The newest version we know, which we write. A newer one starts with the same fields, Kafka promises, and is read as
/// this; who knows an older one only reads as far as that goes.
const VERSION: Version = Version { number: 3, flexible: false };
/// What the words of one member may take when they are read.
const BUDGET_BYTES: usize = 16 << 20;

/// What a member tells the leader: all of it but its ids, which the coordinator knows.
pub fn subscription(member: &Subscriber) -> Bytes {
    write(&ConsumerProtocolSubscription {
        topics: member.topics.iter().cloned().collect(),
        user_data: member.user_data.clone(),
        owned_partitions: by_topic(&member.owned),
        generation_id: member.generation,
        rack_id: member.rack.as_deref().map(str::to_owned),
    })
}

/// What the leader learns of a member from what the coordinator hands on. Versions before 1 say nothing of what is
/// owned, before 2 nothing of the generation, before 3 nothing of the rack.
pub fn subscribed(it: JoinGroupResponseMember) -> Result<Subscriber, DecodeError> {
    let said: ConsumerProtocolSubscription = read(it.metadata)?;
    Ok(Subscriber {
        member_id: it.member_id,
        instance_id: it.group_instance_id,
        topics: said.topics.into_iter().collect(),
        rack: said.rack_id.map(Into::into),
        owned: partitions(said.owned_partitions).collect(),
        generation: said.generation_id,
        user_data: said.user_data,
    })
}

/// What the leader tells a member that is to have these partitions.
pub fn assignment(partitions: &[TopicPartition]) -> Bytes {
    write(&ConsumerProtocolAssignment { assigned_partitions: by_topic(partitions), user_data: None })
}

/// The partitions that a member is to have. No bytes at all are none: the leader left this member out. A part that
/// is cut off is an error, never fewer partitions.
pub fn assigned(assignment: Bytes) -> Result<BTreeSet<TopicPartition>, DecodeError> {
    if assignment.is_empty() {
        return Ok(BTreeSet::new());
    }
    let assignment: ConsumerProtocolAssignment = read(assignment)?;
    Ok(partitions(assignment.assigned_partitions).collect())
}

/// Topics in order, and their partitions as they come.
fn by_topic(partitions: &[TopicPartition]) -> Vec<TopicPartitions> {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for it in partitions {
        by_topic.entry(&it.topic).or_default().push(it.partition);
    }
    let topic =
        |(topic, partitions): (&str, Vec<i32>)| TopicPartitions { topic: topic.to_owned(), partitions };
    by_topic.into_iter().map(topic).collect()
}

fn partitions(by_topic: Vec<TopicPartitions>) -> impl Iterator<Item = TopicPartition> {
    by_topic.into_iter().flat_map(|TopicPartitions { topic, partitions }| {
        let topic: Arc<str> = topic.into();
        partitions.into_iter().map(move |it| TopicPartition::new(topic.clone(), it))
    })
}

fn write(message: &impl Wire) -> Bytes {
    let mut out = Encoder::default();
    out.put(&VERSION.number.to_be_bytes());
    message.encode(&mut out, VERSION).expect("topics' names are shorter than 32 KiB, Kafka's are");
    out.into_bytes()
}

/// Reads a message behind its version. Bytes after it are left alone: a newer version may have more to say.
fn read<T: Wire>(bytes: Bytes) -> Result<T, DecodeError> {
    let mut input = Decoder::new(bytes, VERSION, BUDGET_BYTES);
    let number = i16::decode(&mut input)?.clamp(0, VERSION.number);
    input.set_version(Version { number, ..VERSION });
    T::decode(&mut input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Bytes {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
        (0..hex.len()).step_by(2).map(byte).collect::<Vec<u8>>().into()
    }

    fn read_subscription(metadata: Bytes) -> Result<Subscriber, DecodeError> {
        subscribed(JoinGroupResponseMember { metadata, ..JoinGroupResponseMember::default() })
    }

    /// What is in `SUBSCRIPTION_3`.
    fn everything() -> Subscriber {
        Subscriber {
            topics: BTreeSet::from(["orders".to_owned(), "t".to_owned()]),
            rack: Some("r".into()),
            owned: vec![TopicPartition::new("t", 1)],
            generation: 7,
            ..Subscriber::default()
        }
    }

    /// What `ConsumerProtocol` of kafka-clients 4.3.0 wrote.
    const SUBSCRIPTION_0: &str = "000000000001000174ffffffff";
    const SUBSCRIPTION_3: &str =
        "00030000000200066f7264657273000174ffffffff00000001000174000000010000000100000007000172";
    const ASSIGNMENT_3: &str =
        "00030000000200017400000002000000010000000000066f72646572730000000100000002ffffffff";

    #[test]
    fn subscriptions_are_those_of_java() {
        assert_eq!(subscription(&everything()), bytes(SUBSCRIPTION_3));
        assert_eq!(read_subscription(bytes(SUBSCRIPTION_3)), Ok(everything()));
        let first = Subscriber { topics: BTreeSet::from(["t".to_owned()]), ..Subscriber::default() };
        assert_eq!(read_subscription(bytes(SUBSCRIPTION_0)), Ok(first));
    }

    #[test]
    fn assignments_of_java_are_read_and_ours_are_read_back() {
        let partitions = ["orders-2", "t-0", "t-1"];
        let read = assigned(bytes(ASSIGNMENT_3)).expect("Java wrote it");
        assert_eq!(read.iter().map(TopicPartition::to_string).collect::<Vec<_>>(), partitions);
        let ours: Vec<_> = read.iter().cloned().collect();
        assert_eq!(assigned(assignment(&ours)), Ok(read));
    }

    #[test]
    fn a_newer_version_with_more_behind_it_is_read_as_what_is_known() {
        let newer = bytes(&SUBSCRIPTION_3.replacen("0003", "0009", 1).replace("000172", "000172aabb"));
        assert_eq!(read_subscription(newer), Ok(everything()));
    }

    #[test]
    fn what_is_cut_off_is_an_error_and_never_fewer_partitions() {
        for (whole, is_assignment) in [(bytes(ASSIGNMENT_3), true), (bytes(SUBSCRIPTION_3), false)] {
            for end in 1..whole.len() {
                let cut = whole.slice(..end);
                let refused =
                    if is_assignment { assigned(cut).is_err() } else { read_subscription(cut).is_err() };
                assert!(refused, "cut at {end}");
            }
        }
        assert_eq!(assigned(Bytes::new()), Ok(BTreeSet::new()), "left out by the leader");
    }
}
