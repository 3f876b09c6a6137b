//! Histories made by hand: each invariant has some that break it, and nothing else, and some that nearly do.

mod excuses;

use std::collections::BTreeSet;

use super::{Invariant, check};
use crate::history::History;

/// Lines without their times, which are then the line's number in milliseconds, save where one says otherwise.
fn history(parts: &[&str]) -> History {
    let mut lines = String::new();
    for (number, line) in parts.iter().flat_map(|it| it.lines()).filter(|it| !it.is_empty()).enumerate() {
        let rest = line.strip_prefix('{').expect("a line is an object");
        match rest.starts_with("\"at\"") {
            true => lines.push_str(line),
            false => lines.push_str(&format!("{{\"at\":{},{rest}", number * 1000)),
        }
        lines.push('\n');
    }
    lines.parse().expect("these are events")
}

#[track_caller]
fn holds(parts: &[&str]) {
    let history = history(parts);
    let told: Vec<_> = check(&history).iter().map(|it| it.told(&history)).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// Exactly this is broken; says how.
#[track_caller]
fn breaks(invariant: Invariant, parts: &[&str]) -> String {
    let history = history(parts);
    let found = check(&history);
    let broken: BTreeSet<_> = found.iter().map(|it| it.invariant).collect();
    let told: Vec<_> = found.iter().map(|it| it.told(&history)).collect();
    assert_eq!(broken, BTreeSet::from([invariant]), "{}", told.join("\n"));
    assert!(found.iter().all(|it| !it.events.is_empty()), "{found:?}");
    found[0].what.clone()
}

/// Two records, sent and acknowledged.
const SENT: &str = r#"
{"type":"play","workload":"by hand","seed":1,"slack":10}
{"type":"producer","client":"p","acks":"all","idempotent":true,"timeout":100000}
{"type":"invoke","op":0,"client":"p","call":"send","value":"p:0","topic":"t"}
{"type":"invoke","op":1,"client":"p","call":"send","value":"p:1","topic":"t"}
{"type":"ok","op":0,"partition":"t-0","offset":0}
{"type":"ok","op":1,"partition":"t-0","offset":1}
"#;

/// A third one, of which nothing is known yet.
const THIRD: &str = r#"
{"type":"invoke","op":2,"client":"p","call":"send","value":"p:2","topic":"t"}
"#;

const THIRD_IS_WRITTEN: &str = r#"
{"type":"ok","op":2,"partition":"t-0","offset":2}
"#;

/// The log of two.
const LOG: &str = r#"
{"type":"log","partition":"t-0","start":0,"end":2,"records":[[0,"p:0"],[1,"p:1"]]}
"#;

/// The log of three.
const LOG_OF_THREE: &str = r#"
{"type":"log","partition":"t-0","start":0,"end":3,"records":[[0,"p:0"],[1,"p:1"],[2,"p:2"]]}
"#;

/// Somebody who is to read everything.
const READER: &str = r#"
{"type":"consumer","client":"c"}
{"type":"assigned","client":"c","assignment":0,"partition":"t-0","start":"earliest"}
"#;

const READS_FIRST: &str = r#"
{"type":"poll","client":"c","assignment":0,"partition":"t-0","next":1,"records":[[0,"p:0"]]}
"#;

const READS_SECOND: &str = r#"
{"type":"poll","client":"c","assignment":0,"partition":"t-0","next":2,"records":[[1,"p:1"]]}
"#;

const READS_THIRD: &str = r#"
{"type":"poll","client":"c","assignment":0,"partition":"t-0","next":3,"records":[[2,"p:2"]]}
"#;

const DRAINED: &str = r#"
{"type":"drained","audience":"c"}
"#;

#[test]
fn what_is_as_it_was_acknowledged_and_read_holds() {
    holds(&[SENT, READER, READS_FIRST, READS_SECOND, DRAINED, LOG]);
    holds(&[SENT, LOG]);
    holds(&[SENT]);
}

#[test]
fn a_lost_write_is_found() {
    let emptied = r#"{"type":"log","partition":"t-0","start":0,"end":2,"records":[[0,"p:0"]]}"#;
    let what = breaks(Invariant::LostWrite, &[SENT, emptied]);
    assert_eq!(what, "p:1 was acknowledged in t-0 and is not there");
    let in_pieces = r#"
{"type":"log","partition":"t-0","start":0,"end":1,"records":[[0,"p:0"]]}
{"type":"log","partition":"t-0","start":0,"end":2,"records":[[1,"p:1"]]}
"#;
    holds(&[SENT, in_pieces]);
    let removed = r#"{"type":"removed","partition":"t-0","from":1,"to":2,"why":"compaction"}"#;
    holds(&[SENT, removed, emptied]);
    // Of what was only sent to the leader, some may go with it.
    let to_the_leader = SENT.replace("\"acks\":\"all\"", "\"acks\":\"leader\"");
    let lost_power = r#"{"type":"fault","fault":"power_loss","node":1}"#;
    holds(&[&to_the_leader, lost_power, emptied]);
    // Then another record may lie where it was acknowledged.
    let anothers = r#"{"type":"log","partition":"t-0","start":0,"end":1,"records":[[0,"p:1"]]}"#;
    holds(&[&to_the_leader.replace("\"idempotent\":true", "\"idempotent\":false"), lost_power, anothers]);
    breaks(Invariant::LostWrite, &[&to_the_leader, r#"{"type":"fault","fault":"cut"}"#, emptied]);
    holds(&[&SENT.replace("\"acks\":\"all\"", "\"acks\":\"none\""), emptied]);
}

#[test]
fn a_write_whose_offset_is_not_known_is_lost_all_the_same() {
    let acknowledged = r#"{"type":"ok","op":2,"partition":"t-0"}"#;
    holds(&[SENT, THIRD, acknowledged, LOG_OF_THREE]);
    breaks(Invariant::LostWrite, &[SENT, THIRD, acknowledged, LOG]);
}

#[test]
fn a_duplicate_is_found() {
    let twice = r#"
{"type":"log","partition":"t-0","start":0,"end":3,"records":[[0,"p:0"],[1,"p:1"],[2,"p:1"]]}
"#;
    let what = breaks(Invariant::Duplicate, &[SENT, twice]);
    assert_eq!(what, "p:1 is there more than once: t-0 @ 1, t-0 @ 2");
    holds(&[&SENT.replace("\"idempotent\":true", "\"idempotent\":false"), twice]);
}

#[test]
fn two_records_at_one_offset_are_found() {
    let reads_another = READS_THIRD.replace("p:2", "p:3");
    let fourth = THIRD.replace("\"op\":2", "\"op\":3").replace("p:2", "p:3");
    let read = [SENT, THIRD, &fourth, READER, READS_FIRST, READS_SECOND, &reads_another];
    let what = breaks(Invariant::InconsistentOffset, &[&read[..], &[THIRD_IS_WRITTEN]].concat());
    assert_eq!(what, "t-0 @ 2 is p:3 and p:2");
    // After an election another record may be there, for those who are told.
    let elected = r#"{"type":"removed","partition":"t-0","from":2,"why":"election"}"#;
    holds(&[&read[..], &[elected, THIRD_IS_WRITTEN]].concat());
}

#[test]
fn a_record_that_is_elsewhere_than_its_sender_was_told_is_found() {
    let shifted = r#"
{"type":"log","partition":"t-0","start":0,"end":3,"records":[[0,"p:0"],[2,"p:1"]]}
"#;
    let what = breaks(Invariant::InconsistentOffset, &[SENT, shifted]);
    assert_eq!(what, "p:1 was acknowledged in t-0 @ 1 and is @ 2");
}

#[test]
fn a_record_that_went_where_it_was_not_sent_is_found() {
    let what = breaks(Invariant::InconsistentOffset, &[SENT, &LOG.replace("t-0", "u-0")]);
    assert_eq!(what, "p:0 was sent to t and is in u-0");
    let wanted = THIRD.replace("\"topic\":\"t\"", "\"topic\":\"t\",\"partition\":1");
    let what = breaks(Invariant::InconsistentOffset, &[SENT, &wanted, THIRD_IS_WRITTEN, LOG_OF_THREE]);
    assert_eq!(what, "p:2 was sent to t and is in t-0");
}

#[test]
fn records_out_of_order_are_found() {
    let unknown = r#"
{"type":"invoke","op":2,"client":"p","call":"send","value":"p:2","topic":"t"}
{"type":"invoke","op":3,"client":"p","call":"send","value":"p:3","topic":"t"}
{"type":"info","op":2,"error":"nobody knows"}
{"type":"ok","op":3,"partition":"t-0"}
"#;
    let swapped = r#"
{"type":"log","partition":"t-0","start":0,"end":4,"records":[[0,"p:0"],[1,"p:1"],[2,"p:3"],[3,"p:2"]]}
"#;
    assert_eq!(breaks(Invariant::Order, &[SENT, unknown, swapped]), "p:2 is behind p:3 in t-0");
    holds(&[&SENT.replace("\"idempotent\":true", "\"idempotent\":false"), unknown, swapped]);
    // Each partition has an order of its own.
    let apart = r#"
{"type":"log","partition":"t-0","start":0,"end":2,"records":[[0,"p:0"],[1,"p:1"],[2,"p:3"]]}
{"type":"log","partition":"t-1","start":0,"end":1,"records":[[0,"p:2"]]}
"#;
    holds(&[SENT, unknown, apart]);
}

#[test]
fn a_poll_that_skips_is_found() {
    let read = [SENT, THIRD, THIRD_IS_WRITTEN, READER, READS_FIRST];
    let what = breaks(Invariant::PollSkip, &[&read[..], &[READS_THIRD, LOG_OF_THREE]].concat());
    assert_eq!(what, "c stood at 1 of t-0 and was not handed p:1 @ 1");
    holds(&[&read[..], &[READS_SECOND, READS_THIRD, LOG_OF_THREE]].concat());
    let sought = r#"{"type":"seek","client":"c","partition":"t-0","start":{"at":2}}"#;
    holds(&[&read[..], &[sought, READS_THIRD, LOG_OF_THREE]].concat());
    // Nothing is skipped where nothing is any more.
    let compacted = r#"{"type":"removed","partition":"t-0","from":1,"to":2,"why":"compaction"}"#;
    holds(&[&read[..], &[compacted, READS_THIRD, LOG_OF_THREE]].concat());
}

#[test]
fn a_poll_that_repeats_is_found() {
    let read = [SENT, READER, READS_FIRST];
    let what = breaks(Invariant::PollSkip, &[&read[..], &[READS_FIRST, READS_SECOND, LOG]].concat());
    assert_eq!(what, "c stood at 1 of t-0 and went on at 0");
    let again = r#"{"type":"assigned","client":"c","assignment":1,"partition":"t-0","start":{"at":0}}"#;
    holds(&[&read[..], &[again, READS_FIRST, READS_SECOND, LOG]].concat());
    let revoked = r#"{"type":"revoked","client":"c","assignment":0,"partition":"t-0"}"#;
    breaks(Invariant::PollSkip, &[&read[..], &[revoked, READS_SECOND, LOG]].concat());
}

#[test]
fn a_batch_that_is_in_disorder_is_found() {
    let reversed = r#"
{"type":"poll","client":"c","assignment":0,"partition":"t-0","next":2,"records":[[1,"p:1"],[0,"p:0"]]}
"#;
    breaks(Invariant::PollSkip, &[SENT, READER, reversed, LOG]);
    let ahead = READS_FIRST.replace("\"next\":1", "\"next\":0");
    breaks(Invariant::PollSkip, &[SENT, READER, &ahead, LOG]);
}

#[test]
fn what_failed_for_certain_or_was_never_sent_is_found() {
    let failed = r#"{"type":"fail","op":2,"error":"too large"}"#;
    let what = breaks(Invariant::AbortedRead, &[SENT, THIRD, failed, LOG_OF_THREE]);
    assert_eq!(what, "p:2 failed for certain and is in t-0 @ 2");
    holds(&[SENT, THIRD, failed, LOG]);
    let perhaps = failed.replace("fail", "info");
    holds(&[SENT, THIRD, &perhaps, LOG]);
    holds(&[SENT, THIRD, &perhaps, LOG_OF_THREE]);
    let what = breaks(Invariant::AbortedRead, &[SENT, LOG_OF_THREE]);
    assert_eq!(what, r#""p:2" is in t-0 @ 2 and nobody sent it"#);
}

#[test]
fn a_record_that_nobody_was_handed_is_found() {
    let what = breaks(Invariant::Unseen, &[SENT, READER, READS_FIRST, DRAINED, LOG]);
    assert_eq!(what, "c was never handed p:1 of t-0");
    holds(&[SENT, READER, READS_FIRST, LOG]);
    // Who was sent past it need not have it.
    let sought = r#"{"type":"seek","client":"c","partition":"t-0","start":{"at":2}}"#;
    holds(&[SENT, THIRD, THIRD_IS_WRITTEN, READER, READS_FIRST, sought, READS_THIRD, DRAINED, LOG_OF_THREE]);
    let from_the_second = READER.replace("\"earliest\"", "{\"at\":1}");
    holds(&[SENT, &from_the_second, READS_SECOND, DRAINED, LOG]);
}

#[test]
fn a_group_has_read_what_any_of_its_members_has() {
    let members = r#"
{"type":"consumer","client":"c","group":"g"}
{"type":"assigned","client":"c","assignment":0,"partition":"t-0","start":"earliest"}
{"type":"poll","client":"c","assignment":0,"partition":"t-0","next":1,"records":[[0,"p:0"]]}
{"type":"consumer","client":"d","group":"g"}
{"type":"assigned","client":"d","assignment":0,"partition":"t-0","start":{"at":1}}
"#;
    let drained = r#"{"type":"drained","audience":"g"}"#;
    breaks(Invariant::Unseen, &[SENT, members, drained, LOG]);
    let read =
        r#"{"type":"poll","client":"d","assignment":0,"partition":"t-0","next":2,"records":[[1,"p:1"]]}"#;
    holds(&[SENT, members, read, drained, LOG]);
}

#[test]
fn a_commit_that_goes_back_is_found() {
    let commits = r#"
{"at":7000,"type":"committed","group":"g","partition":"t-0","offset":7,"asked":6000}
{"at":9000,"type":"committed","group":"g","partition":"t-0","offset":5,"asked":8000}
"#;
    let what = breaks(Invariant::CommitWentBack, &[commits]);
    assert_eq!(what, "g had committed 7 of t-0, and then 5");
    // Who asked before does not contradict who was answered earlier.
    holds(&[&commits.replace("\"asked\":8000", "\"asked\":6500")]);
    holds(&[&commits.replace("\"offset\":5", "\"offset\":7")]);
    // A look that was overtaken makes nobody forget what was seen before.
    let overtaken = r#"
{"at":1000,"type":"committed","group":"g","partition":"t-0","offset":7,"asked":500}
{"at":2000,"type":"committed","group":"g","partition":"t-0","offset":3,"asked":600}
{"at":3000,"type":"committed","group":"g","partition":"t-0","offset":5,"asked":2500}
"#;
    breaks(Invariant::CommitWentBack, &[overtaken]);
}

#[test]
fn a_record_that_was_read_and_vanished_is_found() {
    let unacknowledged = [SENT, THIRD, READER, READS_FIRST, READS_SECOND, READS_THIRD];
    let crash = r#"{"type":"fault","fault":"power_loss","node":1}"#;
    let what = breaks(Invariant::Vanished, &[&unacknowledged[..], &[crash, LOG]].concat());
    assert_eq!(what, "p:2 was read in t-0 @ 2 and is not there");
    holds(&[&unacknowledged[..], &[crash, LOG_OF_THREE]].concat());
    let unsynced = r#"{"type":"removed","partition":"t-0","from":2,"why":"unsynced"}"#;
    holds(&[&unacknowledged[..], &[crash, unsynced, LOG]].concat());
}

#[test]
fn a_log_that_lost_its_beginning_is_found() {
    let from_the_third = r#"{"type":"log","partition":"t-0","start":2,"end":3,"records":[[2,"p:2"]]}"#;
    let sent = r#"
{"type":"producer","client":"p","acks":"none","idempotent":false,"timeout":100000}
{"type":"invoke","op":2,"client":"p","call":"send","value":"p:2","topic":"t"}
"#;
    breaks(Invariant::Vanished, &[sent, from_the_third]);
    let removed = r#"{"type":"removed","partition":"t-0","from":0,"to":2,"why":"retention"}"#;
    holds(&[sent, removed, from_the_third]);
}

#[test]
fn a_position_that_is_not_where_it_was_said_is_found() {
    let what = breaks(Invariant::SilentReset, &[SENT, READER, READS_SECOND, LOG]);
    assert_eq!(what, "c stood at 0 of t-0 and was not handed p:0 @ 0");
    let committed = READER.replace("\"earliest\"", "{\"at\":1}");
    breaks(Invariant::SilentReset, &[SENT, &committed, READS_FIRST, READS_SECOND, LOG]);
    let from_the_end = READER.replace("\"earliest\"", "\"latest\"");
    holds(&[SENT, &from_the_end, READS_SECOND, LOG]);
}

#[test]
fn a_jump_without_a_cause_is_found() {
    let back = |cause: &str| {
        format!(r#"{{"type":"jump","client":"c","partition":"t-0","from":1,"to":0,"cause":"{cause}"}}"#)
    };
    let lost = |why: &str| format!(r#"{{"type":"removed","partition":"t-0","from":1,"why":"{why}"}}"#);
    for (cause, why) in [("out_of_range", "unsynced"), ("truncated", "election"), ("recreated", "recreated")]
    {
        let jumped = [&back(cause), READS_FIRST, READS_SECOND, LOG];
        breaks(Invariant::SilentReset, &[&[SENT, READER, READS_FIRST], &jumped[..]].concat());
        holds(&[&[SENT, READER, READS_FIRST, &lost(why)], &jumped[..]].concat());
    }
}

#[test]
fn a_jump_from_where_nobody_stood_is_found() {
    let removed = r#"{"type":"removed","partition":"t-0","from":0,"to":2,"why":"retention"}"#;
    let jump = r#"{"type":"jump","client":"c","partition":"t-0","from":0,"to":2,"cause":"out_of_range"}"#;
    let log = r#"{"type":"log","partition":"t-0","start":2,"end":3,"records":[[2,"p:2"]]}"#;
    let read = [SENT, THIRD, THIRD_IS_WRITTEN, READER];
    holds(&[&read[..], &[removed, jump, READS_THIRD, log]].concat());
    breaks(Invariant::SilentReset, &[&read[..], &[READS_FIRST, removed, jump, READS_THIRD, log]].concat());
}

#[test]
fn what_does_not_come_to_rest_is_found() {
    let calm = r#"{"at":20000,"type":"calm","within":30000}"#;
    let late = r#"{"at":60000,"type":"ok","op":2,"partition":"t-0","offset":2}"#;
    let what = breaks(Invariant::NotAtRest, &[SENT, THIRD, calm, late]);
    assert_eq!(what, "p:2 by p has no outcome long after all was calm");
    breaks(Invariant::NotAtRest, &[SENT, THIRD, calm, r#"{"at":60000,"type":"closed"}"#]);
    holds(&[SENT, THIRD, calm, &late.replace("60000", "40000")]);
    holds(&[SENT, THIRD, r#"{"type":"crashed","client":"p"}"#, calm, r#"{"at":60000,"type":"closed"}"#]);
    // Calm that does not last is none.
    holds(&[SENT, THIRD, calm, r#"{"at":21000,"type":"fault","fault":"cut"}"#, late]);
}

#[test]
fn a_reader_that_does_not_catch_up_is_found() {
    let calm = r#"{"at":20000,"type":"calm","within":30000}"#;
    let late = READS_SECOND.replace("{\"type\"", "{\"at\":60000,\"type\"");
    let drained = DRAINED.replace("{\"type\"", "{\"at\":70000,\"type\"");
    let what = breaks(Invariant::NotAtRest, &[SENT, READER, READS_FIRST, calm, &late, &drained]);
    assert_eq!(what, "c was handed p:1 long after all was calm");
    holds(&[SENT, READER, READS_FIRST, calm, &late.replace("60000", "40000"), &drained]);
}

#[test]
fn a_broken_bound_is_found() {
    let gauge = r#"{"type":"gauge","of":"p","gauge":"buffered bytes","value":10,"most":10}"#;
    holds(&[gauge]);
    let what = breaks(Invariant::BrokenBound, &[&gauge.replace(":10,", ":11,")]);
    assert_eq!(what, "buffered bytes of p are 11, and 10 at most");
}

#[test]
fn what_is_not_given_back_is_found() {
    let gauge = |value: u64| format!(r#"{{"type":"gauge","of":"p","gauge":"connections","value":{value}}}"#);
    let closed = r#"{"type":"closed"}"#;
    holds(&[&gauge(1), &gauge(5), closed, &gauge(2), &gauge(1)]);
    let what = breaks(Invariant::BrokenBound, &[&gauge(1), &gauge(5), closed, &gauge(2)]);
    assert_eq!(what, "connections of p were 1 at first, and 2 when all was closed");
    let what = breaks(Invariant::BrokenBound, &[&gauge(1), &gauge(5), closed]);
    assert_eq!(what, "connections of p were not measured when all was closed");
}

#[test]
fn a_missed_deadline_is_found() {
    let late = r#"{"at":120000,"type":"info","op":2,"error":"timed out"}"#;
    let what = breaks(Invariant::MissedDeadline, &[SENT, THIRD, late]);
    assert_eq!(what, "p:2 by p took longer than 100000 µs");
    breaks(Invariant::MissedDeadline, &[SENT, THIRD, r#"{"at":120000,"type":"closed"}"#]);
    // At 6000 it was sent, 100000 later is its deadline, 10 are given.
    holds(&[SENT, THIRD, &late.replace("120000", "106010")]);
    breaks(Invariant::MissedDeadline, &[SENT, THIRD, &late.replace("120000", "106011")]);
    holds(&[SENT, THIRD, r#"{"type":"crashed","client":"p"}"#, r#"{"at":120000,"type":"closed"}"#]);
}

#[test]
fn a_shutdown_that_takes_too_long_is_found() {
    let shutdown = r#"{"at":7000,"type":"invoke","op":3,"client":"p","call":"shutdown","within":5000}"#;
    let ends = |at: u64| format!(r#"{{"at":{at},"type":"info","op":3,"error":"records were given up"}}"#);
    holds(&[SENT, shutdown, &ends(12_000)]);
    breaks(Invariant::MissedDeadline, &[SENT, shutdown, &ends(13_000)]);
}

#[test]
fn a_flush_that_returns_early_is_found() {
    let flush = r#"{"type":"invoke","op":3,"client":"p","call":"flush"}"#;
    let flushed = r#"{"type":"ok","op":3}"#;
    holds(&[SENT, THIRD, flush, THIRD_IS_WRITTEN, flushed]);
    let what = breaks(Invariant::MissedDeadline, &[SENT, THIRD, flush, flushed, THIRD_IS_WRITTEN]);
    assert_eq!(what, "a flush by p was done before p:2 was");
    // What is sent while it flushes is not waited for.
    holds(&[SENT, flush, THIRD, flushed, THIRD_IS_WRITTEN]);
}

#[test]
fn what_was_fetched_ahead_of_a_topic_that_is_made_anew_is_none_of_the_new_one() {
    let removed = r#"{"type":"removed","partition":"t-0","from":0,"to":2,"why":"recreated"}"#;
    let polled = r#"{"type":"poll","client":"c","assignment":0,"partition":"t-0","next":2,"records":[[0,"p:0"],[1,"p:1"]]}"#;
    let written = r#"{"type":"ok","op":2,"partition":"t-0","offset":0}"#;
    holds(&[SENT, READER, THIRD, removed, polled, written]);
    let what = breaks(Invariant::InconsistentOffset, &[SENT, READER, THIRD, polled, written]);
    assert_eq!(what, "t-0 @ 0 is p:0 and p:2");
}
