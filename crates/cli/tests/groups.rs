//! The commands about consumer groups, on a broker of their own.

mod process;

use std::time::Duration;

use process::{Broker, Ended, vltava, vltava_reading};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use vltava::{Client, client::StartOffset};

/// A broker with ten records in the only partition of `orders`, of which the group `billing` has done three.
struct Ground {
    folder: TempDir,
    broker: Broker,
}

impl Ground {
    fn new() -> Ground {
        let folder = tempdir().expect("a folder");
        let broker = Broker::start(folder.path());
        let ground = Ground { folder, broker };
        ground.run(&["topic", "create", "orders"]).ok();
        let input: String = (0..10).map(|number| format!("{number}\n")).collect();
        let produce = ["produce", "orders", "-b", &ground.broker.address];
        vltava_reading(ground.folder.path(), &produce, input.as_bytes()).ok();
        ground.run(&["group", "reset", "billing", "--topic", "orders", "--to", "3", "--yes"]).ok();
        ground
    }

    fn run(&self, args: &[&str]) -> Ended {
        vltava(self.folder.path(), &[args, &["-b", &self.broker.address]].concat())
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[args, &["-o", "json"]].concat()).ok()).expect("it is json")
    }

    fn committed(&self) -> Value {
        self.json(&["group", "lag", "billing", "--window", "0s"])["partitions"][0]["committed"].clone()
    }
}

#[test]
fn a_group_is_listed_and_described_with_its_lag_and_who_is_missing() {
    let ground = Ground::new();
    assert_eq!(
        ground.run(&["group", "list"]).ok(),
        "GROUP    STATE  PROTOCOL  COORDINATOR\nbilling  Empty  classic             1\n"
    );
    assert_eq!(ground.json(&["group", "list", "--state", "stable"]), json!([]));
    assert_eq!(ground.json(&["group", "list", "--type", "consumer"]), json!([]));
    assert_eq!(
        ground.json(&["group", "list", "--state", "empty,stable", "--type", "classic"])[0]["group"],
        "billing"
    );

    let described = ground.json(&["group", "describe", "billing", "--window", "0s"]);
    let told = ["lag", "status", "reason", "members"].map(|it| described[it].clone());
    assert_eq!(told, [json!(7), json!("ERR stop"), json!("nobody works on orders-0, 7 behind"), json!([])]);
    assert!(described["partitions"][0]["behind_seconds"].as_f64() > Some(0.0), "{described}");
    let text = ground.run(&["group", "lag", "billing"]).ok();
    assert!(text.contains(&format!("1 ({})", ground.broker.address)), "{text}");
    assert!(text.contains("orders-0                 3   10    7"), "{text}");

    let unknown = ground.run(&["group", "describe", "audit"]).failed(3);
    assert!(unknown.starts_with("error: group audit is not there"), "{unknown}");
}

#[test]
fn a_reset_shows_what_it_would_do_until_it_is_told_to() {
    let ground = Ground::new();
    let preview = ground.run(&["group", "reset", "billing", "--to", "earliest"]).ok();
    let table = "TOPIC-PARTITION  COMMITTED  NEW  CHANGE\norders-0                 3    0      -3\n";
    assert!(preview.starts_with(table) && preview.contains("say --yes"), "{preview}");
    assert_eq!(ground.committed(), 3);
    for (to, offset) in [
        ("latest", 10),
        ("-4", 6),
        ("+1", 7),
        ("99", 10),
        ("1h", 0),
        ("2099-01-01T00:00:00Z", 10),
        ("1970-01-02", 0),
    ] {
        let rows = ground.json(&["group", "reset", "billing", "--to", to, "--yes"]);
        assert_eq!((&rows[0]["new"], ground.committed()), (&json!(offset), json!(offset)), "--to {to}");
    }
    let elsewhere = ground.run(&["group", "reset", "audit", "--to", "earliest"]).failed(3);
    assert!(elsewhere.contains("group audit is not there"), "{elsewhere}");
    let shift = ground.run(&["group", "reset", "audit", "--topic", "orders", "--to", "+1"]).failed(1);
    assert!(shift.contains("nothing for orders-0"), "{shift}");
}

#[test]
fn groups_and_offsets_go_when_it_is_said_twice() {
    let ground = Ground::new();
    let preview = ground.run(&["group", "delete", "billing"]).ok();
    assert!(preview.starts_with("would delete group billing: offsets of 1 partition\n"), "{preview}");
    assert_eq!(ground.committed(), 3);
    let nothing = ground.run(&["group", "delete", "billing", "--topic", "refunds", "--yes"]).failed(3);
    assert!(nothing.contains("nothing for refunds"), "{nothing}");
    let gone = ground.run(&["group", "delete", "billing", "--topic", "orders", "--yes"]).ok();
    assert_eq!(gone, "deleted of group billing: offsets of 1 partition of orders\n");
    ground.run(&["group", "reset", "billing", "--topic", "orders", "--to", "3", "--yes"]).ok();
    let gone = ground.run(&["group", "delete", "billing", "--yes"]).ok();
    assert_eq!(gone, "deleted group billing: offsets of 1 partition\n");
    ground.run(&["group", "delete", "billing", "--yes"]).failed(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_under_the_hands_of_members() {
    let ground = Ground::new();
    let client = Client::connect(&ground.broker.address).await.expect("the broker runs");
    let consumer =
        client.consumer().group("billing").start(StartOffset::Earliest).subscribe(["orders"]).await;
    let mut consumer = consumer.expect("a topic can be subscribed to");
    consumer.next().await.expect("it is stored").expect("there are records");
    for args in [
        &["group", "reset", "billing", "--to", "earliest"][..],
        &["group", "reset", "billing", "--to", "earliest", "--yes"],
        &["group", "delete", "billing", "--yes"],
    ] {
        let refused = ground.run(args).failed(1);
        assert!(refused.starts_with("error: group billing has a member: "), "{args:?}: {refused}");
        assert!(refused.contains("stop them"), "{args:?}: {refused}");
    }
    let told = ground.run(&["group", "delete", "billing", "--topic", "orders", "--yes"]).failed(1);
    assert!(told.contains("group billing has members"), "{told}");
    let described = ground.json(&["group", "describe", "billing", "--window", "0s"]);
    assert_eq!(described["members"][0]["partitions"], json!(["orders-0"]));
    assert_eq!(described["partitions"][0]["committed"], 3);
    consumer.shutdown(Duration::from_secs(10)).await.expect("the coordinator lets it go");
    ground.run(&["group", "reset", "billing", "--to", "earliest", "--yes"]).ok();
}

#[test]
fn a_watched_lag_is_shown_again_and_again() {
    let ground = Ground::new();
    let args = ["group", "lag", "billing", "--watch", "--interval", "10ms", "-o", "json"];
    let args = [&args[..], &["-b", &ground.broker.address]].concat();
    let mut watching = process::Process::start(ground.folder.path(), &args);
    let lag =
        |line: String| serde_json::from_str::<Value>(&line).expect("a line is an object")["lag"].clone();
    assert_eq!([lag(watching.line()), lag(watching.line())], [json!(7), json!(7)]);
    ground.run(&["group", "reset", "billing", "--to", "latest", "--yes"]).ok();
    while lag(watching.line()) != json!(0) {}
    watching.signal("INT");
    watching.ended().ok();
}
