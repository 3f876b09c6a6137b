//! Properties that hold for whatever bytes a peer sends. The fuzzer looks for bytes that break one; `cargo test` replays
//! what it has tried.

pub(crate) mod batch;
pub(crate) mod compressed;
mod golden;
mod message;
pub(crate) mod request;
pub(crate) mod response;
