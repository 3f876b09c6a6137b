//! Properties that hold for whatever bytes a client sends, and whatever became of the folder. The fuzzer looks for
//! bytes that break one; `cargo test` replays what it has tried.

pub(crate) mod conversation;
pub(crate) mod folder;
mod panics;
