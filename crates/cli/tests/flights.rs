//! The whole table of flights through `vltava produce` and a flow of ten workers, into a file and into Redis.
//!
//! Lanes: they need `VLTAVA_FLIGHTS`, Debian's redis-server and, for Kafka, `VLTAVA_KAFKA`; `.ci/run` sees to that.

mod process;
mod table;

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use process::{Broker, vltava, vltava_reading};
use table::{Delivered, Flight};

#[test]
#[ignore = "a lane: .ci/run flights"]
fn on_the_embedded_broker() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = Broker::start(folder.path());
    every_flight_arrives(&broker.address, "1", folder.path());
}

#[test]
#[ignore = "a lane: .ci/run kafka"]
fn on_apache_kafka() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let brokers = std::env::var("VLTAVA_KAFKA").expect("VLTAVA_KAFKA names a cluster");
    every_flight_arrives(&brokers, "3", folder.path());
}

fn every_flight_arrives(brokers: &str, replicas: &str, folder: &Path) {
    let flights = table::flights();
    let (_redis, redis) = redis_server(folder);
    let create =
        ["topic", "create", "flights", "--partitions", "6", "--replication-factor", replicas, "-b", brokers];
    vltava(folder, &create).ok();
    let produce = ["produce", "flights", "-f", "%k\\t%v\\n", "-b", brokers];
    vltava_reading(folder, &produce, &table::lines(&flights)).ok();

    fs::write(folder.join("flow.yaml"), flow_of(&redis)).expect("the folder takes a file");
    vltava(folder, &["run", "flow.yaml", "--until-caught-up", "-b", brokers]).ok();

    let text = fs::read_to_string(folder.join("flights.jsonl")).expect("the file sink wrote its file");
    judge(&flights, &table::delivered(&text));
    judge_redis(&flights, &redis);
    let group = vltava(folder, &["group", "describe", "flights", "-o", "json", "-b", brokers]).ok();
    let group: serde_json::Value = serde_json::from_str(&group).expect("it is json");
    assert_eq!(group["lag"], 0, "all of it is committed: {group}");
}

fn flow_of(redis: &str) -> String {
    format!(
        r#"
flows:
  flights:
    decode: json
    from: flights
    workers: 10
    order: key
    commit: {{ min_count: 500, interval: 1s }}
    steps:
      - filter: '.distance > 0'
      - map: '{{row, distance}}'
    to:
      - file: {{ path: flights.jsonl }}
      - redis: {{ url: "redis://{redis}", set: "flights:{{key}}", newest_only: true }}
"#
    )
}

/// Each row arrived once, rows of a key in order, and the distances add up to the table's.
fn judge(flights: &[Flight], delivered: &[Delivered]) {
    assert_eq!(delivered.len(), flights.len(), "as many lines as rows");
    let mut latest = BTreeMap::new();
    for it in delivered {
        assert_eq!(flights[it.row as usize].aircraft, it.key, "row {} kept its key", it.row);
        let earlier = latest.insert(it.key.as_str(), it.row);
        assert!(
            earlier.is_none_or(|earlier| earlier < it.row),
            "key {}: {} after {earlier:?}",
            it.key,
            it.row
        );
    }
    let mut rows: Vec<_> = delivered.iter().map(|it| it.row).collect();
    rows.sort_unstable();
    assert!(rows.iter().enumerate().all(|(at, row)| at as u64 == *row), "every row once");
    let sum = |distances: &mut dyn Iterator<Item = u64>| distances.sum::<u64>();
    let flown = sum(&mut flights.iter().map(|it| it.distance));
    assert_eq!(sum(&mut delivered.iter().map(|it| it.distance)), flown, "the miles flown");
    println!("{} rows of {} aircraft, {flown} miles: all arrived, in order", rows.len(), latest.len());
}

fn judge_redis(flights: &[Flight], redis: &str) {
    let mut connection = redis::Client::open(format!("redis://{redis}"))
        .and_then(|it| it.get_connection())
        .expect("Redis answers");
    let last = table::last_rows(flights);
    for (aircraft, row) in &last {
        let value: String = redis::cmd("GET")
            .arg(format!("flights:{aircraft}"))
            .query(&mut connection)
            .expect("the key is there");
        let value: serde_json::Value = serde_json::from_str(&value).expect("the value is JSON");
        assert_eq!(value["row"].as_u64(), Some(*row), "aircraft {aircraft}");
    }
    println!("Redis holds the last flight of each of {} aircraft", last.len());
}

/// A Redis of our own, and its address.
fn redis_server(folder: &Path) -> (Killed, String) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port").port();
    let arguments = [
        "--port",
        &port.to_string(),
        "--save",
        "",
        "--dir",
        folder.to_str().expect("a temporary path is text"),
    ];
    let mut child = Command::new("redis-server")
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-server is installed");
    let lines =
        std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("stdout is piped")));
    let ready = lines.map_while(Result::ok).any(|it| it.contains("Ready to accept connections"));
    assert!(ready, "Redis is ready");
    (Killed(child), format!("127.0.0.1:{port}"))
}

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
