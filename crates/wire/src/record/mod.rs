//! Record batches in format v2: the form in which records are sent, stored and fetched.
//!
//! [`BatchBuilder`] writes one, straight from slices. [`batches`] walks what a fetch brought; each [`Batch`] is
//! checked ([`Batch::check_crc`]) and opened ([`Batch::decompress`]) once, and then its [`Records`] are read
//! borrowed or as owned handles, without an allocation per record. A broker needs little more than
//! [`BatchHeader`], the patches and [`Batch::check_produced`]; where it compacts, [`Records::retain`].
//!
//! The older message sets (magic 0 and 1) are refused by name: Kafka 4 neither writes nor accepts them.

mod batch;
mod builder;
mod control;
mod error;
mod fields;
mod header;
mod reader;
mod stored;
mod varint;

pub use batch::{Batch, Batches, Limits, batches};
pub use builder::{BatchBuilder, NO_HEADERS, RecordSlices, Stamp, restamp};
pub use control::ControlMarker;
pub use error::{RecordError, RecordErrorKind};
pub use fields::Headers;
pub use header::{
    BATCH_OVERHEAD_BYTES, BatchHeader, LENGTH_PREFIX_BYTES, TimestampType, patch_base_offset,
    patch_leader_epoch,
};
pub use reader::{Iter, Owned, Record, RecordRef, Records};
pub use stored::{Timestamps, patch_timestamps};
