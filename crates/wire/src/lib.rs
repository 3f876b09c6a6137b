//! Bytes to Kafka messages and records, and back.

pub mod api;
mod compress;
mod decoder;
mod encoder;
mod error_code;
pub mod frame;
pub mod messages;
mod primitive;
pub mod record;
#[doc(hidden)]
pub mod schema;
mod version;

pub use api::{Api, Request};
pub use compress::{Compression, CompressionError, UnknownCompression};
pub use decoder::{DecodeError, DecodeErrorKind, Decoder};
pub use encoder::{EncodeError, EncodeErrorKind, Encoder};
pub use error_code::{Class, ErrorCode};
pub use primitive::{Uuid, Wire};
pub use version::Version;
