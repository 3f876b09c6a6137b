//! Every message, one table per topic. Structs and fields carry Kafka's names.
//!
//! `produce` and `fetch` stay modules of their own at the crate's door: some of their structs share names.

pub mod fetch;
pub mod group;
pub mod metadata;
pub mod offsets;
pub mod produce;
pub mod session;
pub mod topics;
pub mod txn;

pub use fetch::{FetchRequest, FetchResponse};
pub use group::*;
pub use metadata::*;
pub use offsets::*;
pub use produce::{ProduceRequest, ProduceResponse};
pub use session::*;
pub use topics::*;
pub use txn::*;
