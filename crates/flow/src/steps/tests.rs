//! What steps make of values, by the bytes that go in and come out.

use vltava_client::{Compression, TopicPartition};
use vltava_wire::record::{Batch, BatchBuilder, Limits, RecordSlices, Stamp};

use super::{Decode, Program, Step, run};
use crate::{Format, Record};

fn record(value: Option<&[u8]>) -> Record {
    let headers = [("a", Some(&b"1"[..])), ("a", Some(b"2")), ("b", None)];
    let mut slices = RecordSlices::new(99, Some(b"key"), value);
    slices.headers = &headers;
    let mut builder = BatchBuilder::new();
    builder.append(slices).expect("it is small");
    let batch = builder.finish(Stamp::NONE, Compression::None).expect("it has a record");
    let records =
        Batch::parse(batch).and_then(|it| it.decompress(Limits::default())).expect("it was just built");
    Record::new(TopicPartition::new("orders", 2), records.owned().next().expect("it has a record"))
}

fn map(code: &str) -> Step {
    Step::Map(Program::compile(code).unwrap_or_else(|fault| panic!("{code}: {fault:?}")))
}

fn filter(code: &str) -> Step {
    Step::Filter(Program::compile(code).unwrap_or_else(|fault| panic!("{code}: {fault:?}")))
}

/// The values that come out; a tombstone as `none`.
fn out(decode: Decode, steps: &[Step], value: Option<&[u8]>) -> Result<Vec<String>, String> {
    let outputs = run(&record(value), decode, steps).map_err(|failure| failure.to_string())?;
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or(b"none")).into_owned();
    Ok(outputs.iter().map(|output| text(output.value())).collect())
}

fn check(decode: Decode, code: &str, value: &[u8], expected: &[&str]) {
    assert_eq!(out(decode, &[map(code)], Some(value)).unwrap(), expected, "{code} of {value:?}");
}

#[test]
fn a_map_gives_what_jq_gives() {
    check(Decode::Json, "{b: .a}", br#"{"a":1}"#, &[r#"{"b":1}"#]);
    check(Decode::Json, ".[]", b"[1,\"x\",null]", &["1", "\"x\"", "null"]);
    check(Decode::Json, "empty", b"1", &[]);
    check(
        Decode::Json,
        ".",
        br#"{"z":1,"a":[2.50,1e3,123456789012345678901234567890],"s":"\u00e9\n"}"#,
        &["{\"z\":1,\"a\":[2.50,1e3,123456789012345678901234567890],\"s\":\"é\\n\"}"],
    );
    check(Decode::Text, "ascii_upcase", b"abc", &["ABC"]);
    check(Decode::Text, "length", b"abc", &["3"]);
    check(Decode::Text, "[.]", b"a\"b", &[r#"["a\"b"]"#]);
    check(Decode::Json, "[nan, infinite]", b"1", &["[null,null]"]);
}

#[test]
fn bytes_stay_bytes() {
    let outputs = run(&record(Some(b"\xff\x00")), Decode::Bytes, &[map(".")]).unwrap();
    assert_eq!((outputs[0].value(), outputs[0].format()), (Some(&b"\xff\x00"[..]), Format::Bytes));
    let refused = out(Decode::Bytes, &[map("[.]")], Some(b"\xff")).unwrap_err();
    assert_eq!(refused, "a result holds bytes, for which JSON has no value");
}

#[test]
fn what_is_no_json_does_not_come_out_as_json() {
    let refused = out(Decode::Json, &[map("{(1,2): 3}")], Some(b"1"));
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn the_record_is_there_as_variables() {
    check(
        Decode::Json,
        "[$key, $topic, $partition, $offset, $timestamp, $headers]",
        b"1",
        &[r#"["key","orders",2,0,99,{"a":"2","b":null}]"#],
    );
}

#[test]
fn a_filter_goes_by_its_first_result_and_leaves_the_value_as_it_was() {
    for (code, passes) in [
        ("true", true),
        ("false", false),
        ("null", false),
        ("0", true),
        ("empty", false),
        ("true, false", true),
    ] {
        let expected: &[&str] = if passes { &["[ 1 ]"] } else { &[] };
        assert_eq!(out(Decode::Json, &[filter(code)], Some(b"[ 1 ]")).unwrap(), expected, "{code}");
    }
}

#[test]
fn steps_go_on_with_each_result_in_turn() {
    let steps = [map(".[]"), filter(". > 1"), map(". * 10, .")];
    assert_eq!(out(Decode::Json, &steps, Some(b"[1,2,3]")).unwrap(), ["20", "2", "30", "3"]);
}

#[test]
fn a_tombstone_is_null_in_jq_and_stays_one_without_a_map() {
    assert_eq!(out(Decode::Json, &[], None).unwrap(), ["none"]);
    assert_eq!(out(Decode::Text, &[filter(". == null")], None).unwrap(), ["none"]);
    assert_eq!(out(Decode::Json, &[map("[.]")], None).unwrap(), ["[null]"]);
}

#[test]
fn what_cannot_be_decoded_is_refused() {
    for (decode, value) in [
        (Decode::Json, &b"{"[..]),
        (Decode::Json, b""),
        (Decode::Json, b"1 2"),
        (Decode::Json, b"nan"),
        (Decode::Json, b"\"\xff\""),
        (Decode::Text, b"\xff"),
    ] {
        for steps in [&[][..], &[map(".")]] {
            assert!(out(decode, steps, Some(value)).is_err(), "{decode:?} {value:?}");
        }
    }
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for (decode, code) in [(Decode::Json, "."), (Decode::Text, "fromjson")] {
        assert!(out(decode, &[map(code)], Some(deep.as_bytes())).is_err(), "{code}");
    }
    let brackets = format!("\"{}\"", "[\\\"".repeat(1_000));
    assert!(out(Decode::Json, &[map(".")], Some(brackets.as_bytes())).is_ok(), "in a string they are text");
}

#[test]
fn a_result_that_is_too_deep_is_refused() {
    let refused = out(Decode::Json, &[map("reduce range(1000) as $_ (.; [.])")], Some(b"1"));
    assert_eq!(refused.unwrap_err(), "a result is more than 128 levels deep");
}

#[test]
fn random_bytes_never_panic() {
    let rng = &mut vltava_core::Rng::new(11);
    let steps = [map("., tojson, length?, keys?, [.. | numbers]")];
    for _ in 0..2_000 {
        let letters = b"{}[]\":,0123eE.-+truefalsn \\u\xff";
        let value: Vec<u8> =
            (0..rng.below(40)).map(|_| letters[rng.below(letters.len() as u64) as usize]).collect();
        for decode in [Decode::Json, Decode::Text, Decode::Bytes] {
            // That it comes back is the claim.
            let _ = out(decode, &steps, Some(&value));
        }
    }
}
