//! Properties that hold for whatever stands in a flow file. The fuzzer looks for text that breaks one; `cargo test`
//! replays what it has tried.

pub(crate) mod file;
