//! Properties that hold for whatever bytes a client sends. The fuzzer looks for bytes that break one; `cargo test`
//! replays what it has tried.

pub(crate) mod conversation;
