//! Bytes to Kafka messages and records, and back.
//!
//! Messages are plain structs with Kafka's own names, declared as tables ([`mod@messages`]); each is written and read in
//! every version that Kafka 4.3 has of it. Nothing here does IO, waits or reads a clock, and nothing that a peer says
//! about lengths, counts or sizes is believed: what decoding allocates is paid from a budget.
//!
//! ```
//! use vltava_wire::{
//!     Compression, frame,
//!     messages::{ProduceRequest, ProduceResponse, produce},
//!     record::{BatchBuilder, Limits, RecordSlices, Stamp, batches},
//! };
//!
//! // Records are encoded straight into the batch that will be sent.
//! let mut batch = BatchBuilder::new();
//! batch.append(RecordSlices::new(1_700_000_000_000, Some(b"AAPL"), Some(b"191.24")))?;
//! let records = batch.finish(Stamp::NONE, Compression::Lz4)?;
//!
//! // A request is a struct; its frame is ready for a vectored write.
//! let partition = produce::PartitionProduceData { index: 0, records: Some(records.clone()) };
//! let topic = produce::TopicProduceData {
//!     name: "trades".into(),
//!     partition_data: vec![partition],
//!     ..Default::default()
//! };
//! let request = ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
//! let sent = frame::request(9, 1, Some("docs"), &request)?.into_segments();
//! assert!(sent.iter().map(|segment| segment.len()).sum::<usize>() > records.len());
//!
//! // What comes back is read within a budget.
//! let frame = frame::response(vltava_wire::Api::Produce, 9, 1, &ProduceResponse::default())?.into_bytes().slice(4..);
//! let response = frame::response_body::<ProduceRequest>(frame, 9, 1 << 20)?;
//! assert!(response.responses.is_empty());
//!
//! // A fetched batch is checked once; then its records are borrowed, or owned without a copy.
//! for batch in batches(records) {
//!     let batch = batch?;
//!     batch.check_crc()?;
//!     for record in &batch.decompress(Limits::default())? {
//!         assert_eq!(record.value(), Some(&b"191.24"[..]));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod api;
mod budget;
mod compress;
mod decode_error;
mod decoder;
#[cfg(any(test, feature = "sample"))]
#[doc(hidden)]
pub mod describe;
mod encoder;
mod error_code;
pub mod frame;
pub mod limits;
pub mod messages;
mod primitive;
pub mod record;
#[cfg(any(test, feature = "sample"))]
#[doc(hidden)]
pub mod sample;
#[doc(hidden)]
pub mod schema;
mod version;

pub use api::{Api, Request};
pub use budget::{Budget, OverLimit, Permit};
pub use compress::{
    BadCodec, BadLevel, Codec, Compression, CompressionError, Compressor, Decompressor, UnknownCompression,
};
pub use decode_error::{DecodeError, DecodeErrorKind};
pub use decoder::{Allowance, Decoder};
pub use encoder::{EncodeError, EncodeErrorKind, Encoder};
pub use error_code::{Class, ErrorCode};
pub use primitive::{Uuid, Wire};
pub use schema::Struct;
pub use version::Version;
