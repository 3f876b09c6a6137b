//! What excuses somebody, and what does not: removals, seeks, jumps and faults.

use super::*;

/// A crash of somebody who did not sync takes the second record, and another is written in its place.
const WRITTEN_ANEW: &str = r#"
{"type":"removed","partition":"t-0","from":1,"to":2,"why":"unsynced"}
{"type":"invoke","op":2,"client":"p","call":"send","value":"p:2","topic":"t"}
{"type":"ok","op":2,"partition":"t-0","offset":1}
"#;

#[test]
fn what_was_taken_before_excuses_nothing_that_is_lost_after() {
    let anew = r#"{"type":"log","partition":"t-0","start":0,"end":2,"records":[[0,"p:0"],[1,"p:2"]]}"#;
    let emptied = r#"{"type":"log","partition":"t-0","start":0,"end":2,"records":[[0,"p:0"]]}"#;
    holds(&[SENT, WRITTEN_ANEW, anew]);
    let what = breaks(Invariant::LostWrite, &[SENT, WRITTEN_ANEW, emptied]);
    assert_eq!(what, "p:2 was acknowledged in t-0 and is not there");
    let somewhere = WRITTEN_ANEW.replace(",\"offset\":1}", "}");
    breaks(Invariant::LostWrite, &[SENT, &somewhere, emptied]);
    // Who was sent before and acknowledged after may have been written in between.
    let [removed, sent, written] = [1, 2, 3].map(|it| WRITTEN_ANEW.lines().nth(it).expect("it has three"));
    holds(&[SENT, sent, removed, written, emptied]);
    let removed_again = removed.replace("unsynced", "election");
    holds(&[SENT, WRITTEN_ANEW, &removed_again, emptied]);
}

#[test]
fn what_was_freed_before_two_were_sent_excuses_neither() {
    let fourth = r#"{"type":"invoke","op":3,"client":"p","call":"send","value":"p:3","topic":"t"}"#;
    let reads = |client: &str, value: &str| {
        format!(
            r#"{{"type":"poll","client":"{client}","assignment":0,"partition":"t-0","next":2,"records":[[1,"{value}"]]}}"#
        )
    };
    let other = READER.replace("\"c\"", "\"d\"");
    let first = READS_FIRST.replace("\"c\"", "\"d\"");
    let reading = [SENT, READER, READS_FIRST, &other, &first];
    let [removed, sent, _] = [1, 2, 3].map(|it| WRITTEN_ANEW.lines().nth(it).expect("it has three"));
    let (third, last) = (reads("c", "p:2"), reads("d", "p:3"));
    let after = [removed, sent, fourth, &third, &last];
    breaks(Invariant::InconsistentOffset, &[&reading[..], &after[..]].concat());
    let before = [sent, fourth, removed, &third, &last];
    holds(&[&reading[..], &before[..]].concat());
}

#[test]
fn what_was_read_anew_and_vanished_is_found() {
    let reads_anew = READS_SECOND.replace("p:1", "p:2");
    let unacknowledged = WRITTEN_ANEW.lines().take(3).collect::<Vec<_>>().join("\n");
    let emptied = r#"{"type":"log","partition":"t-0","start":0,"end":2,"records":[[0,"p:0"]]}"#;
    breaks(Invariant::Vanished, &[SENT, READER, READS_FIRST, &unacknowledged, &reads_anew, emptied]);
}

#[test]
fn a_reader_of_a_topic_that_is_made_anew_has_to_see_the_new_one() {
    let anew = r#"
{"type":"removed","partition":"t-0","from":0,"to":100,"why":"recreated"}
{"type":"invoke","op":2,"client":"p","call":"send","value":"p:2","topic":"t"}
{"type":"ok","op":2,"partition":"t-0","offset":0}
"#;
    let jump = r#"{"type":"jump","client":"c","partition":"t-0","from":1,"to":0,"cause":"recreated"}"#;
    let read = READS_FIRST.replace("p:0", "p:2");
    let log = r#"{"type":"log","partition":"t-0","start":0,"end":1,"records":[[0,"p:2"]]}"#;
    let until = [SENT, READER, READS_FIRST, anew];
    holds(&[&until[..], &[jump, &read, DRAINED, log]].concat());
    let what = breaks(Invariant::Unseen, &[&until[..], &[jump, DRAINED, log]].concat());
    assert_eq!(what, "c was never handed p:2 of t-0");
    breaks(Invariant::Unseen, &[&until[..], &[DRAINED, log]].concat());
    // Who goes where he stood in the one before wants nothing of the new one that is below.
    let sought = r#"{"type":"seek","client":"c","partition":"t-0","start":{"at":1}}"#;
    holds(&[&until[..], &[sought, DRAINED, log]].concat());
}

#[test]
fn who_is_sent_somewhere_has_to_see_what_follows() {
    let sought = |to: &str| format!(r#"{{"type":"seek","client":"c","partition":"t-0","start":{to}}}"#);
    let read = [SENT, THIRD, THIRD_IS_WRITTEN, READER, READS_FIRST];
    for back in ["{\"at\":0}", "\"earliest\"", "{\"at\":2}"] {
        let what = breaks(Invariant::Unseen, &[&read[..], &[&sought(back), DRAINED, LOG_OF_THREE]].concat());
        let owed = if back == "{\"at\":2}" { "p:2" } else { "p:1" };
        assert_eq!(what, format!("c was never handed {owed} of t-0"));
    }
    holds(&[&read[..], &[&sought("{\"at\":3}"), DRAINED, LOG_OF_THREE]].concat());
    // Nobody knows where the end was.
    holds(&[&read[..], &[&sought("\"latest\""), DRAINED, LOG_OF_THREE]].concat());
    // Who is sent back from there owes what is behind it, and not what was passed.
    let back = [&*sought("\"latest\""), &sought("{\"at\":2}")];
    holds(&[&read[..], &back[..], &[READS_THIRD, DRAINED, LOG_OF_THREE]].concat());
    breaks(Invariant::Unseen, &[&read[..], &back[..], &[DRAINED, LOG_OF_THREE]].concat());
}

#[test]
fn a_jump_over_what_is_there_is_found() {
    let removed = r#"{"type":"removed","partition":"t-0","from":0,"to":1,"why":"retention"}"#;
    let log = r#"{"type":"log","partition":"t-0","start":1,"end":3,"records":[[1,"p:1"],[2,"p:2"]]}"#;
    let jump = |to: i64| {
        format!(
            r#"{{"type":"jump","client":"c","partition":"t-0","from":0,"to":{to},"cause":"out_of_range"}}"#
        )
    };
    let sent = [SENT, THIRD, THIRD_IS_WRITTEN];
    let (near, far) = (jump(1), jump(3));
    holds(&[&sent[..], &[READER, removed, &near, READS_SECOND, READS_THIRD, DRAINED, log]].concat());
    let what = breaks(Invariant::SilentReset, &[&sent[..], &[READER, removed, &far, DRAINED, log]].concat());
    assert_eq!(what, "c went to 3 of t-0 over p:1 @ 1");
    let resets =
        |to: &str| READER.replace("\"client\":\"c\"}", &format!("\"client\":\"c\",\"resets\":{to}}}"));
    breaks(Invariant::SilentReset, &[&sent[..], &[&resets("\"earliest\""), removed, &far, log]].concat());
    holds(&[&sent[..], &[&resets("\"latest\""), removed, &far, DRAINED, log]].concat());
}

#[test]
fn a_jump_that_says_not_from_where_is_judged_by_where_he_stood() {
    for cause in ["out_of_range", "other"] {
        let jump = format!(r#"{{"type":"jump","client":"c","partition":"t-0","to":0,"cause":"{cause}"}}"#);
        let read = [SENT, READER, READS_FIRST, &jump, READS_FIRST, READS_SECOND, LOG];
        let what = breaks(Invariant::SilentReset, &read);
        assert_eq!(what, "c went from 1 of t-0 to 0 as if the log had not that offset");
    }
    let ahead = r#"{"type":"jump","client":"c","partition":"t-0","to":2,"cause":"truncated"}"#;
    let lost = r#"{"type":"removed","partition":"t-0","from":2,"why":"election"}"#;
    let what = breaks(Invariant::SilentReset, &[SENT, READER, READS_FIRST, lost, ahead, LOG]);
    assert_eq!(what, "c went to 2 of t-0 over p:1 @ 1");
}

#[test]
fn a_loss_before_a_reader_came_is_no_cause_for_him_to_jump() {
    let anew = r#"{"type":"log","partition":"t-0","start":0,"end":2,"records":[[0,"p:0"],[1,"p:2"]]}"#;
    let reads_anew = READS_SECOND.replace("p:1", "p:2");
    for cause in ["out_of_range", "truncated"] {
        let jump =
            format!(r#"{{"type":"jump","client":"c","partition":"t-0","from":2,"to":0,"cause":"{cause}"}}"#);
        let read = [SENT, READER, READS_FIRST, WRITTEN_ANEW, &reads_anew, &jump, READS_FIRST, &reads_anew];
        breaks(Invariant::SilentReset, &[&read[..], &[anew]].concat());
    }
}

#[test]
fn what_a_leader_has_acknowledged_stays_where_no_leader_lacks_what_another_had() {
    let emptied = r#"{"type":"log","partition":"t-0","start":0,"end":2,"records":[[0,"p:0"]]}"#;
    let apart = SENT.replace("\"acks\":\"all\"", "\"acks\":\"leader\"");
    let shared = apart.replace("\"slack\":10", "\"slack\":10,\"shares_log\":true");
    for fault in
        [r#""kill","node":1"#, r#""power_loss","node":1"#, r#""leader_moved","partition":"t-0","to":2"#]
    {
        let fault = format!(r#"{{"type":"fault","fault":{fault}}}"#);
        holds(&[&apart, &fault, emptied]);
        breaks(Invariant::LostWrite, &[&shared, &fault, emptied]);
    }
    // What is over, or reaches clients alone, costs no leader anything.
    for fault in [r#""back","node":1"#, r#""unreachable","node":1"#, r#""other","what":"a reply is lost""#] {
        let fault = format!(r#"{{"type":"fault","fault":{fault}}}"#);
        breaks(Invariant::LostWrite, &[&apart, &fault, emptied]);
    }
}
