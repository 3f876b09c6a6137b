//! What fuzzing found to be worth keeping, replayed.

#[path = "../../../wire/tests/fuzz/replay.rs"]
mod replay;
mod targets;

use targets::file;

#[test]
fn flow_files_hold() {
    replay::all("flow_file", file::seeds(), file::check);
}
