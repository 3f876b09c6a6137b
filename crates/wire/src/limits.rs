//! How much of anything a peer may send, and why so much. How long a frame may be is said API by API in [`crate::api`];
//! how much of memory all peers together may take is the business of a [`crate::Budget`].
//!
//! Only what can be told from a frame before it is believed needs a limit here. Nesting needs none: the tables of
//! messages contain each other [`NESTING_MAX`] deep and none contains itself, which a test holds them to.

use crate::record::Limits;

/// Text of a field, in bytes: what Kafka's two-byte lengths can say. Kafka keeps to it in flexible versions too.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Elements of an array: as many as KRaft was built to have partitions, two million, so an array of anything that a
/// cluster has fits.
pub const ARRAY_ELEMENTS_MAX: usize = 1 << 21;

/// Fields inside each other, the innermost included. The deepest is an id in a topic of the assignment of a member
/// of a group, in the answer to ConsumerGroupDescribe.
pub const NESTING_MAX: usize = 5;

/// Fields in one tagged section. The fullest one of Kafka 4.3 has four; the rest is left to its future.
pub const TAGS_MAX: usize = 64;

/// Bytes of one tagged field. What Kafka puts there is about single brokers and features; a list of all brokers, with
/// names as long as DNS has them, of a cluster of thousands fits.
pub const TAG_BYTES_MAX: usize = 1 << 20;

/// Headers of a record. Programs use a handful; each costs two bytes on the wire, and dozens where somebody lists them.
pub const HEADERS_MAX: usize = 1 << 16;

/// Bytes of a header's name, as of any other text.
pub const HEADER_NAME_BYTES_MAX: usize = STRING_BYTES_MAX;

/// Bytes of a batch's records before they were packed, unless a reader says less: see [`Limits::BYTES_MAX`].
pub const UNPACKED_BYTES_MAX: usize = Limits::BYTES_MAX;

/// How many times its size a batch may unpack to: see [`Limits::RATIO_MAX`].
pub const UNPACKED_RATIO_MAX: usize = Limits::RATIO_MAX;

/// Records of a batch, unless a reader says less: see [`Limits::RECORDS_MAX`].
pub const RECORDS_MAX: usize = Limits::RECORDS_MAX;
