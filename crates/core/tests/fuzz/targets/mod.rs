//! Properties that hold for whatever bytes the members of a group send each other. The fuzzer looks for bytes that
//! break one; `cargo test` replays what it has tried.

pub(crate) mod member;
