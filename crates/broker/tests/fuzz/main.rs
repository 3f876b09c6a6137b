//! What fuzzing found to be worth keeping, replayed.

#[path = "../../../wire/tests/fuzz/replay.rs"]
mod replay;
mod targets;

use targets::{conversation, folder};

#[test]
fn conversations_hold() {
    replay::all("conversation", conversation::seeds(), conversation::check);
}

#[test]
fn folders_hold() {
    replay::all("folder", folder::seeds(), folder::check);
}
