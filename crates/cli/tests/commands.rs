//! The commands about topics, records and groups, on a broker of their own.

mod process;

use process::{Broker, Process, vltava, vltava_reading};
use tempfile::tempdir;

#[test]
fn what_is_produced_is_consumed() {
    let folder = tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    let run = |args: &[&str]| vltava(folder.path(), &[args, &["-b", &broker.address]].concat());
    let created = run(&["topic", "create", "flights", "--partitions", "3"]).ok();
    assert_eq!(created, "created flights: 3 partitions\n");

    let input = b"UA\tone\nAA\ttwo\nUA\tthree\tand more\n\tno key\n";
    let produce = ["produce", "flights", "-f", "%k\\t%v\\n", "-H", "from=test", "-b", &broker.address];
    let produced = vltava_reading(folder.path(), &produce, input);
    assert!(produced.stderr.starts_with("4 records in "), "{}", produced.stderr);
    assert_eq!(produced.ok(), "");

    let mut lines: Vec<String> =
        run(&["consume", "flights", "-e", "-f", "%k|%v|%h\\n"]).ok().lines().map(str::to_owned).collect();
    lines.sort();
    let expected =
        ["AA|two|from=test", "UA|one|from=test", "UA|three\tand more|from=test", "|no key|from=test"];
    assert_eq!(lines, expected);
}

#[test]
fn consume_begins_and_ends_where_it_is_told() {
    let folder = tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    let input: String = (0..1_000).map(|number| format!("{number}\n")).collect();
    vltava_reading(folder.path(), &["produce", "numbers", "-b", &broker.address], input.as_bytes()).ok();
    let consume = |args: &[&str]| {
        let all = [&["consume", "numbers", "-b", &broker.address], args].concat();
        vltava(folder.path(), &all).ok()
    };
    assert_eq!(consume(&["-e"]), input);
    assert_eq!(consume(&["-o", "998", "-c", "1", "-f", "%p %o %v\\n"]), "0 998 998\n");
    assert_eq!(consume(&["-o", "-2", "-e"]), "998\n999\n");
    assert_eq!(consume(&["-o", "end", "-e"]), "");
    assert_eq!(consume(&["-c", "3"]), "0\n1\n2\n");
}

#[test]
fn topics_are_listed_described_and_deleted() {
    let folder = tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    let run = |args: &[&str]| vltava(folder.path(), &[args, &["-b", &broker.address]].concat());
    run(&["topic", "create", "orders", "--partitions", "2"]).ok();
    assert_eq!(run(&["topic", "list"]).ok(), "TOPIC   PARTITIONS  REPLICAS\norders           2         1\n");
    let listed: serde_json::Value =
        serde_json::from_str(&run(&["topic", "list", "-o", "json"]).ok()).expect("it is json");
    assert_eq!(listed, serde_json::json!([{"topic": "orders", "partitions": 2, "replicas": 1}]));
    assert!(run(&["topic", "create", "orders"]).failed(1).contains("orders"));

    let preview = run(&["topic", "delete", "orders"]).ok();
    assert!(preview.contains("would delete orders: 2 partitions, 0 records"), "{preview}");
    assert!(preview.contains("--yes"), "{preview}");
    assert!(run(&["topic", "describe", "orders"]).ok().contains("orders-1"));
    assert_eq!(run(&["topic", "delete", "orders", "--yes"]).ok(), "deleted orders\n");
    let gone = run(&["topic", "describe", "orders"]).failed(3);
    assert!(gone.starts_with("error: topic orders is not there"), "{gone}");
}

#[test]
fn what_is_not_there_is_named_with_a_remedy() {
    let folder = tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    let missing = vltava(folder.path(), &["consume", "orders", "-e", "-b", &broker.address]).failed(3);
    let expected = format!(
        "error: topic orders is not there on {0}\n  create it: vltava topic create orders --partitions 6 -b {0}\n",
        broker.address
    );
    assert_eq!(missing, expected);
    let group = vltava(folder.path(), &["group", "describe", "billing", "-b", &broker.address]).failed(3);
    assert!(group.starts_with("error: group billing is not there"), "{group}");
}

#[test]
fn no_broker_at_the_address_is_an_error_that_says_so() {
    let folder = tempdir().expect("a folder");
    let unused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("its address").to_string()
    };
    let failed = vltava(folder.path(), &["topic", "list", "-b", &unused]).failed(1);
    assert!(failed.contains(&unused) && failed.contains("refused"), "{failed}");
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let folder = tempdir().expect("a folder");
    for (args, named) in [
        (&["nothing"][..], "nothing"),
        (&["consume", "t", "-f", "%x"], "unknown `%x`"),
        (&["produce", "t", "-f", "%o %v"], "%o cannot be read"),
        (&["topic", "create", "t", "--partitions", "none"], "--partitions"),
    ] {
        let report = vltava(folder.path(), args).failed(2);
        assert!(report.contains(named), "{args:?}: {report}");
    }
    assert!(!folder.path().join(".vltava").exists(), "nothing was begun");
}

#[test]
fn a_reader_that_goes_away_ends_consume_quietly() {
    let folder = tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    let input = "x".repeat(1_000) + "\n";
    let input = input.repeat(2_000);
    vltava_reading(folder.path(), &["produce", "lines", "-b", &broker.address], input.as_bytes()).ok();
    let binary = env!("CARGO_BIN_EXE_vltava");
    let script =
        format!("'{binary}' consume lines -e -b {} | head -1; exit ${{PIPESTATUS[0]}}", broker.address);
    let output = std::process::Command::new("bash").args(["-c", &script]).output().expect("bash is there");
    assert_eq!(output.stdout.len(), 1_001);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_broker_that_was_stopped_cleanly_has_everything_when_it_starts_again() {
    let folder = tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    vltava_reading(folder.path(), &["produce", "kept", "-b", &broker.address], b"one\ntwo\n").ok();
    broker.process.signal("TERM");
    broker.process.ended().ok();
    let again = Broker::start(folder.path());
    assert_eq!(vltava(folder.path(), &["consume", "kept", "-e", "-b", &again.address]).ok(), "one\ntwo\n");
}

#[test]
fn a_second_broker_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let folder = tempdir().expect("a folder");
    let first = Broker::start(folder.path());
    vltava_reading(folder.path(), &["produce", "kept", "-b", &first.address], b"one\n").ok();
    let report = vltava(folder.path(), &["broker", "--data", "data", "--listen", "127.0.0.1:0"]).failed(1);
    assert!(report.contains("data is in use by another broker"), "{report}");
    vltava_reading(folder.path(), &["produce", "kept", "-b", &first.address], b"two\n").ok();
    // A killed one holds nothing.
    first.process.signal("KILL");
    first.process.ended();
    let again = Broker::start(folder.path());
    assert_eq!(vltava(folder.path(), &["consume", "kept", "-e", "-b", &again.address]).ok(), "one\ntwo\n");
}

#[test]
fn two_commands_without_brokers_share_the_folder() {
    let folder = tempdir().expect("a folder");
    vltava(folder.path(), &["topic", "create", "shared"]).ok();
    let mut first = Process::start(folder.path(), &["consume", "shared"]);
    let said = first.error_line();
    assert!(said.starts_with("vltava: no brokers given: embedded broker on 127.0.0.1:"), "{said}");
    let second = vltava_reading(folder.path(), &["produce", "shared"], b"hello\n");
    assert!(second.stderr.starts_with("vltava: no brokers given: the broker of ./.vltava on 127.0.0.1:"));
    second.ok();
    assert_eq!(first.line(), "hello\n");
    first.signal("INT");
    first.ended().ok();
    // The folder is free again, and has what was sent.
    assert_eq!(vltava(folder.path(), &["consume", "shared", "-e"]).ok(), "hello\n");
}

#[test]
fn what_comes_before_a_mistake_in_the_input_is_stored() {
    let folder = tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    vltava(folder.path(), &["topic", "create", "pairs", "--partitions", "1", "-b", &broker.address]).ok();
    let produce = ["produce", "pairs", "-f", "%k\\t%v\\n", "-b", &broker.address];
    let report = vltava_reading(folder.path(), &produce, b"a\t1\nb\t2\nnothing like that\nc\t3\n").failed(1);
    assert!(report.contains("record 3 of the input"), "{report}");
    assert!(report.contains("the 2 records before it are stored"), "{report}");
    let consume = ["consume", "pairs", "-o", "beginning", "-e", "-f", "%k=%v\\n", "-b", &broker.address];
    assert_eq!(vltava(folder.path(), &consume).ok(), "a=1\nb=2\n");
}
