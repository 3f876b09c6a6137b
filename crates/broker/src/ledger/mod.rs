//! What the broker knows besides records: topics, groups and their committed offsets, producer ids, its own name.
//!
//! The ledger is the sum of its entries. Each is decided elsewhere, appended to the journal and then applied here;
//! an image of the ledger is again a list of entries, those that make it up from nothing.

pub(crate) mod cluster;
pub(crate) mod groups;
pub(crate) mod offsets;
pub(crate) mod partitions;
pub(crate) mod producer_ids;
pub(crate) mod topics;

use bytes::Bytes;
use vltava_core::group::coordinator::{
    ClassicGroup, GroupGone, Kept, NextGroup, NextMember, NextMemberGone, NextTarget,
};
use vltava_wire::{DecodeError, Decoder, EncodeError, Encoder, Version, Wire};

/// Entries are written in this version of their tables. A row that is added later has a later version.
const VERSION: Version = Version { number: 0, flexible: true };
/// What an entry may take in memory, per byte of it on the disk.
const MEMORY_PER_BYTE: usize = 64;

macro_rules! entries {
    ($($(#[$doc:meta])* $kind:literal => $name:ident($message:ty);)*) => {
        /// One change to the ledger.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) enum Entry {
            $($(#[$doc])* $name($message),)*
        }

        impl Entry {
            /// The number that stands for the kind in the journal.
            pub(crate) fn kind(&self) -> u8 {
                match self {
                    $(Self::$name(_) => $kind,)*
                }
            }

            pub(crate) fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
                match self {
                    $(Self::$name(message) => message.encode(out, VERSION),)*
                }
            }

            /// None if the kind is unknown.
            pub(crate) fn decode(kind: u8, payload: Bytes) -> Option<Result<Self, DecodeError>> {
                let budget = payload.len().saturating_mul(MEMORY_PER_BYTE);
                let mut input = Decoder::new(payload, VERSION, budget);
                Some(match kind {
                    $($kind => Wire::decode(&mut input).map(Self::$name),)*
                    _ => return None,
                })
            }
        }
    };
}

entries! {
    /// What the broker is called, and how often it was opened.
    2 => Opened(cluster::Opened);
    /// Producer ids below this one may have been handed out.
    3 => ProducerIds(producer_ids::Reserved);
    /// A topic exists from here on.
    4 => TopicCreated(topics::Created);
    /// A topic and all that is known of it is gone from here on.
    5 => TopicDeleted(topics::Deleted);
    /// A group committed offsets.
    6 => OffsetsCommitted(offsets::Committed);
    /// What a partition has in its segments, and who wrote to it; only in an image.
    7 => PartitionStored(partitions::Stored);
    /// A topic has other configs from here on.
    8 => TopicConfigured(topics::Configured);
    /// The beginning of a partition's log is gone from here on.
    9 => Trimmed(partitions::Trimmed);
    /// A partition's log goes on in another segment from here on.
    10 => Rolled(partitions::Rolled);
    /// A partition's log is in other segments from here on.
    11 => Compacted(partitions::Compacted);
    /// Partitions have other leaders from here on.
    12 => Led(topics::Led);
    /// Committed offsets are gone from here on.
    13 => OffsetsForgotten(offsets::Forgotten);
    /// A group of the classic protocol is so from here on.
    14 => ClassicGroup(ClassicGroup);
    /// A group of KIP-848 is so from here on, save for its members.
    15 => NextGroup(NextGroup);
    /// A member of a group of KIP-848 is so from here on.
    16 => NextMember(NextMember);
    /// A member of a group of KIP-848 is to have this from here on.
    17 => NextTarget(NextTarget);
    /// A member of a group of KIP-848 is gone from here on.
    18 => NextMemberGone(NextMemberGone);
    /// A group is gone from here on, with what it has committed.
    19 => GroupGone(GroupGone);
}

/// The ledger as of its last entry.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) cluster: cluster::Cluster,
    pub(crate) producer_ids: producer_ids::ProducerIds,
    pub(crate) topics: topics::Topics,
    pub(crate) offsets: offsets::Offsets,
    pub(crate) groups: Kept,
}

impl Ledger {
    /// Takes an entry in. What concerns the logs of partitions is their owner's business.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Opened(opened) => {
                self.cluster.apply(opened);
                self.producer_ids.give_up_reserved();
                self.topics.lead_anew();
            }
            Entry::ProducerIds(reserved) => self.producer_ids.apply(reserved),
            Entry::TopicCreated(created) => self.topics.create(created),
            Entry::TopicDeleted(deleted) => {
                if let Some(topic) = self.topics.delete(deleted) {
                    self.offsets.forget_topic(&topic.name);
                }
            }
            Entry::TopicConfigured(configured) => self.topics.configure(configured),
            Entry::Led(led) => self.topics.lead(led),
            Entry::OffsetsCommitted(committed) => self.offsets.commit(committed),
            Entry::OffsetsForgotten(forgotten) => self.offsets.forget(forgotten),
            Entry::ClassicGroup(_)
            | Entry::NextGroup(_)
            | Entry::NextMember(_)
            | Entry::NextTarget(_)
            | Entry::NextMemberGone(_) => self.regroup(entry),
            Entry::GroupGone(gone) => {
                self.offsets.forget_group(&gone.group_id);
                self.regroup(entry);
            }
            Entry::PartitionStored(_) | Entry::Trimmed(_) | Entry::Rolled(_) | Entry::Compacted(_) => (),
        }
    }

    fn regroup(&mut self, entry: &Entry) {
        if let Some(record) = groups::record(entry) {
            self.groups.apply(&record);
        }
    }

    /// The entries that make up the ledger as it is.
    pub(crate) fn image(&self) -> impl Iterator<Item = Entry> {
        let known = [Entry::Opened(self.cluster.image()), Entry::ProducerIds(self.producer_ids.image())];
        let topics = self.topics.image().map(Entry::TopicCreated);
        let offsets = self.offsets.image().map(Entry::OffsetsCommitted);
        let groups = self.groups.image().map(Entry::from);
        known.into_iter().chain(topics).chain(offsets).chain(groups)
    }
}
