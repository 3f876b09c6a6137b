//! What fuzzing found to be worth keeping, replayed.

#[path = "../../../wire/tests/fuzz/replay.rs"]
mod replay;
mod targets;

use targets::member;

#[test]
fn words_of_members_hold() {
    replay::all("member", member::seeds(), member::check);
}
