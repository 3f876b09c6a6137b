//! `vltava run` and `vltava demo`: flows from files, how they end, what is reported.

mod process;

use std::{collections::BTreeMap, fs, path::Path};

use process::{Broker, Process, vltava, vltava_reading};
use serde_json::Value;
use tempfile::tempdir;

const RECORDS: usize = 2_000;
const KEYS: usize = 7;

/// A topic of so many records: the key is one of a few, the value a number that rises.
fn produce(folder: &Path, address: &str) {
    vltava(folder, &["topic", "create", "numbers", "--partitions", "3", "-b", address]).ok();
    let input: String =
        (0..RECORDS).map(|number| format!("key-{}\t{{\"number\":{number}}}\n", number % KEYS)).collect();
    vltava_reading(folder, &["produce", "numbers", "-f", "%k\\t%v\\n", "-b", address], input.as_bytes()).ok();
}

fn lag(folder: &Path, address: &str, group: &str) -> Value {
    let described = vltava(folder, &["group", "describe", group, "-o", "json", "-b", address]).ok();
    let described: Value = serde_json::from_str(&described).expect("it is json");
    described["lag"].clone()
}

#[test]
fn a_flow_into_a_file_ends_when_it_has_caught_up() {
    let folder = tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    produce(folder.path(), &broker.address);
    let flow = "
flows:
  even:
    from: numbers
    decode: json
    steps:
      - filter: '.number % 2 == 0'
      - map: '{double: (.number * 2)}'
    to:
      - file: { path: even.jsonl }
";
    fs::write(folder.path().join("flow.yaml"), flow).expect("the flow's file");
    let run = ["run", "flow.yaml", "--until-caught-up", "-b", &broker.address];
    vltava(folder.path(), &run).ok();

    let lines = fs::read_to_string(folder.path().join("even.jsonl")).expect("the sink's file");
    let mut by_key: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).expect("a line of json");
        let key = record["key"].as_str().expect("a key").to_owned();
        by_key.entry(key).or_default().push(record["value"]["double"].as_u64().expect("a number"));
    }
    let expected = (0..KEYS).map(|key| {
        let numbers = (0..RECORDS).filter(|number| number % KEYS == key && number % 2 == 0);
        (format!("key-{key}"), numbers.map(|number| number as u64 * 2).collect())
    });
    assert_eq!(by_key, expected.collect(), "each record once, per key in order");
    assert_eq!(lag(folder.path(), &broker.address, "even"), 0);

    vltava(folder.path(), &run).ok();
    let again = fs::read_to_string(folder.path().join("even.jsonl")).expect("the sink's file");
    assert_eq!(again, lines, "what is committed is not done again");
}

#[test]
fn a_signal_lets_a_flow_commit_and_leave() {
    let folder = tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    produce(folder.path(), &broker.address);
    // Nothing but the end of the flow would commit so soon.
    let flow = "
flows:
  all:
    from: numbers
    commit: { min_count: 1000000, interval: 1h }
    to:
      - kafka: { topic: copy }
";
    fs::write(folder.path().join("flow.yaml"), flow).expect("the flow's file");
    vltava(folder.path(), &["topic", "create", "copy", "-b", &broker.address]).ok();
    let run = Process::start(folder.path(), &["run", "flow.yaml", "-b", &broker.address]);
    let copied = ["consume", "copy", "-c", &RECORDS.to_string(), "-b", &broker.address];
    vltava(folder.path(), &copied).ok();
    run.signal("TERM");
    run.ended().ok();
    let described = vltava(folder.path(), &["group", "describe", "all", "-o", "json", "-b", &broker.address]);
    let described: Value = serde_json::from_str(&described.ok()).expect("it is json");
    assert_eq!(described["lag"], 0, "it has committed: {described}");
    assert_eq!(described["state"], "Empty", "it has left: {described}");
}

#[test]
fn what_is_wrong_in_a_file_is_shown_where_it_stands() {
    let folder = tempdir().expect("a folder");
    let flow = "flows:\n  all:\n    from: numbers\n    worker: 10\n";
    fs::write(folder.path().join("flow.yaml"), flow).expect("the flow's file");
    let report = vltava(folder.path(), &["run", "flow.yaml"]).failed(2);
    let expected = "\
error: unknown key `worker`
  ┌ flow.yaml:4:5
4 │     worker: 10
  │     ^^^^^^ did you mean `workers`?
";
    assert_eq!(report, expected);
    assert!(!folder.path().join(".vltava").exists(), "nothing was begun");

    let missing = vltava(folder.path(), &["run", "nowhere.yaml"]).failed(2);
    assert!(missing.contains("nowhere.yaml"), "{missing}");
}

#[test]
fn a_record_that_fails_stops_the_flow_and_is_named() {
    let folder = tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    vltava_reading(folder.path(), &["produce", "mixed", "-b", &broker.address], b"{\"a\":1}\nnot json\n")
        .ok();
    let flow = "flows:\n  all:\n    from: mixed\n    decode: json\n";
    fs::write(folder.path().join("flow.yaml"), flow).expect("the flow's file");
    let run = ["run", "flow.yaml", "--until-caught-up", "-b", &broker.address];
    let report = vltava(folder.path(), &run).failed(1);
    assert!(report.contains("mixed-0") && report.contains('1'), "{report}");
    assert_eq!(lag(folder.path(), &broker.address, "all"), 1, "the record before it is committed");
}

#[test]
fn a_flow_without_brokers_runs_on_the_embedded_one() {
    let folder = tempdir().expect("a folder");
    vltava_reading(folder.path(), &["produce", "numbers"], b"one\ntwo\n").ok();
    fs::write(folder.path().join("flow.yaml"), "kafka: { topic: numbers }\n").expect("the flow's file");
    let ended = vltava(folder.path(), &["run", "flow.yaml", "--until-caught-up"]);
    assert!(ended.stderr.contains("embedded broker on 127.0.0.1:"), "{}", ended.stderr);
    let mut values: Vec<String> = ended.ok().lines().map(str::to_owned).collect();
    values.sort();
    assert_eq!(values, ["one", "two"]);
}

#[test]
fn the_flow_of_the_demo_runs_as_its_file_says() {
    let folder = tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let flow = root.join("../../examples/demo/flow.yaml");
    let flights = unpacked(&root.join("data/flights-2013-01.tsv.gz"));
    vltava(folder.path(), &["topic", "create", "flights", "--partitions", "6"]).ok();
    vltava_reading(folder.path(), &["produce", "flights", "-f", "%k\\t%v\\n"], flights.as_bytes()).ok();
    let flow = flow.to_str().expect("a path that is text");
    vltava(folder.path(), &["run", flow, "--until-caught-up"]).ok();
    let late =
        fs::read_to_string(folder.path().join("delays.jsonl")).expect("the sink's file").lines().count();
    let expected = flights
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.split_once('\t')?.1).ok())
        .filter(|flight| flight["arr_delay"].as_i64().is_some_and(|delay| delay > 15))
        .count();
    assert_eq!(late, expected);
}

#[test]
fn the_demo_ends_by_itself_with_what_the_file_says() {
    let folder = tempdir().expect("a folder");
    let shown = vltava(folder.path(), &["demo"]).ok();
    assert!(shown.contains("UA       United Air Lines Inc."), "{shown}");
    assert!(
        shown.contains(
            "27,004 records in, 27,004 handled; order by key kept; committed = end of every partition"
        ),
        "{shown}"
    );
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0, "it leaves nothing behind");
}

fn unpacked(path: &Path) -> String {
    let file = fs::File::open(path).expect("the data");
    std::io::read_to_string(flate2::read::GzDecoder::new(file)).expect("it unpacks")
}
