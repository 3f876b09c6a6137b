//! Whole files: what they mean, and what is said of those that are wrong.

use std::time::Duration;

use vltava_client::{Isolation, StartOffset};

use super::{Error, File, Key, Level, Section};
use crate::{Decode, Kind, Open, Order, Registry, Step};

const STDOUT: Kind = Kind { name: "stdout", doc: "", keys: &[], read: |_| Ok(nowhere()) };
const REDIS: Kind = Kind { name: "redis", doc: "", keys: REDIS_KEYS, read: redis };
const REDIS_KEYS: &[Key] =
    &[Key::new("url", "a URL", "", ""), Key::new("newest_only", "true or false", "true", "")];

fn nowhere() -> Open {
    Box::new(|_| unreachable!("nothing is opened here"))
}

fn redis(section: &Section<'_>) -> Result<Open, Error> {
    section.required("url")?.word()?;
    section.field("newest_only").map(|it| it.flag()).transpose()?;
    Ok(nowhere())
}

fn parse(text: &str) -> Result<File, Error> {
    let variables = |name: &str| (name == "WORKERS").then(|| "7".to_owned());
    File::parse("flow.yaml", text, &Registry::new().with(STDOUT).with(REDIS), &variables)
}

fn refused(text: &str, shown: &str) {
    let error = parse(text).expect_err(text);
    assert_eq!(error.to_string(), shown.trim_matches('\n'), "{text}");
}

#[test]
fn a_whole_file_is_read() {
    let file = parse(
        r#"
kafka:
  brokers: ["localhost:29092", "b:1,c:2"]
  topic: latestMsgToRedis
  properties: { client.id: notifications, auto.offset.reset: latest, session.timeout.ms: 30000,
    group.instance.id: notifications-1, partition.assignment.strategy: cooperative-sticky }
log: { level: debug }
flows:
  latest:
    group: newest
    decode: json
    workers: ${WORKERS}
    order: partition
    prefetch: { records: 50, bytes: 1MiB }
    delivery: at_least_once
    commit: { min_count: 10, interval: 250ms }
    steps:
      - filter: '.text != ""'
      - map: '{user: .to, text: .text}'
    to:
      - redis: { url: "redis://localhost:6379", newest_only: false }
      - stdout: {}
  copies:
    from: [a, b]
"#,
    )
    .unwrap();
    assert_eq!(file.kafka.brokers, ["localhost:29092", "b:1", "c:2"]);
    assert_eq!(file.kafka.client_id.as_deref(), Some("notifications"));
    let consumer = &file.kafka.consumer;
    assert_eq!(consumer.start, StartOffset::Latest);
    assert_eq!(consumer.session_timeout, Duration::from_secs(30));
    assert_eq!(consumer.instance_id.as_deref(), Some("notifications-1"));
    assert_eq!(consumer.assignors.iter().map(|it| it.name()).collect::<Vec<_>>(), ["cooperative-sticky"]);
    assert_eq!(file.log.level, Some(Level::Debug));
    let [latest, copies] = &file.flows[..] else { panic!("{file:?}") };
    assert_eq!(
        (latest.from.as_slice(), latest.group.as_str()),
        (&["latestMsgToRedis".to_owned()][..], "newest")
    );
    assert_eq!((latest.decode, latest.workers, latest.order), (Decode::Json, 7, Order::Partition));
    assert_eq!((latest.prefetch.records, latest.prefetch.bytes), (50, 1 << 20));
    assert_eq!((latest.commit.min_count, latest.commit.interval), (10, Duration::from_millis(250)));
    assert!(matches!(latest.steps[..], [Step::Filter(_), Step::Map(_)]));
    assert_eq!(latest.to.iter().map(|it| it.sink).collect::<Vec<_>>(), ["redis", "stdout"]);
    assert_eq!(
        (copies.from.as_slice(), copies.group.as_str()),
        (&["a".to_owned(), "b".to_owned()][..], "copies")
    );
    assert_eq!((copies.decode, copies.workers, copies.order), (Decode::Bytes, 10, Order::Key));
    assert_eq!(copies.to[0].sink, "stdout");
}

#[test]
fn a_file_without_flows_is_one_from_the_topic_to_stdout() {
    let file = parse("kafka: { topic: orders }").unwrap();
    let [flow] = &file.flows[..] else { panic!("{file:?}") };
    assert_eq!(
        (flow.name.as_str(), flow.group.as_str(), &flow.from[..]),
        ("orders", "orders", &["orders".to_owned()][..])
    );
    assert_eq!(flow.to[0].sink, "stdout");
}

#[test]
fn properties_have_the_names_of_java_and_of_librdkafka() {
    let read = |properties: &str| {
        parse(&format!("kafka: {{ topic: a, properties: {{ {properties} }} }}")).expect(properties).kafka
    };
    let java = read("request.timeout.ms: 5000, fetch.max.wait.ms: 100, connections.max.idle.ms: -1");
    assert_eq!(java, read("socket.timeout.ms: 5000, fetch.wait.max.ms: 100, connections.max.idle.ms: 0"));
    assert_eq!(java.connection.request_timeout, Duration::from_secs(5));
    assert_eq!(java.connection.idle_max, Duration::MAX);
    let all = read(
        "isolation.level: read_committed, client.rack: east, default.api.timeout.ms: 7000, \
         socket.connection.setup.timeout.ms: 3000, retry.backoff.ms: 50, retry.backoff.max.ms: 2000",
    );
    assert_eq!((all.consumer.isolation, all.consumer.rack.as_str()), (Isolation::ReadCommitted, "east"));
    assert_eq!(all.connection.call_timeout, Duration::from_secs(7));
    assert_eq!(all.connection.connect_timeout, Duration::from_secs(3));
    assert_eq!(all.connection.backoff.first, Duration::from_millis(50));
    assert_eq!(all.connection.backoff.most, Duration::from_secs(2));
    assert_eq!(all.connection.idle_max, Duration::from_secs(540), "what is not said is as it was");
}

#[test]
fn what_would_leave_no_time_at_all_is_refused() {
    for name in ["request.timeout.ms", "socket.timeout.ms", "retry.backoff.ms"] {
        let file = |millis: i32| format!("kafka: {{ topic: a, properties: {{ {name}: {millis} }} }}");
        let error = parse(&file(0)).expect_err(name);
        assert_eq!(error.message(), format!("`{name}` is `0`"));
        parse(&file(1)).expect(name);
    }
}

#[test]
fn an_unknown_key_is_shown_with_the_nearest() {
    refused(
        "flows:\n  latest:\n    from: a\n    worker: 10\n",
        "
unknown key `worker`
  ┌ flow.yaml:4:5
4 │     worker: 10
  │     ^^^^^^ did you mean `workers`?
",
    );
    refused(
        "flows:\n  a:\n    from: a\n    to:\n      - redi: {}\n",
        "
there is no sink `redi`
  ┌ flow.yaml:5:9
5 │       - redi: {}
  │         ^^^^ did you mean `redis`?
",
    );
    refused(
        "kafka: { topic: a, properties: { sesion.timeout.ms: 1 } }",
        "
the property `sesion.timeout.ms` is not known here
  ┌ flow.yaml:1:34
1 │ kafka: { topic: a, properties: { sesion.timeout.ms: 1 } }
  │                                  ^^^^^^^^^^^^^^^^^ did you mean `session.timeout.ms`?
",
    );
}

#[test]
fn an_ill_typed_value_is_shown_with_what_would_be_right() {
    refused(
        "flows:\n  a:\n    from: a\n    workers: ten\n",
        "
`workers` is `ten`
  ┌ flow.yaml:4:14
4 │     workers: ten
  │              ^^^ must be a whole number from 1 to 100000
",
    );
    refused(
        "flows:\n  a:\n    from: a\n    commit: { interval: 5 }\n",
        "
`interval` is `5`
  ┌ flow.yaml:4:25
4 │     commit: { interval: 5 }
  │                         ^ must be a time such as `250ms`, `5s` or `1m`
",
    );
    refused(
        "flows:\n  a:\n    from: a\n    group: 5\n",
        "
`group` must be a text
  ┌ flow.yaml:4:12
4 │     group: 5
  │            ^ put it in quotes
",
    );
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (text, message) in [
        ("kafka: { password: x }", "`password` is not built yet"),
        ("kafka: { producerreturnsuccesses: true }", "`producerreturnsuccesses` is not built yet"),
        ("kafka: { retries: 10 }", "`retries` is not built yet"),
        ("log: { rotationsize: 50 }", "`rotationsize` is not built yet"),
        ("log: { rotationcount: 7 }", "`rotationcount` is not built yet"),
        ("log: { file: a.log }", "`file` is not built yet"),
        ("log: { format: ecs }", "`format` is not built yet"),
        ("console: 127.0.0.1:8080", "`console` is not built yet"),
        ("flows: { a: { from: a, timeout: 5s } }", "`timeout` is not built yet"),
        ("flows: { a: { from: a, retry: {} } }", "`retry` is not built yet"),
        ("flows: { a: { from: a, dead_letter: d } }", "`dead_letter` is not built yet"),
        ("flows: { a: { from: a, decode: avro } }", "`decode: avro` is not built yet"),
        ("flows: { a: { from: a, delivery: exactly_once } }", "`delivery: exactly_once` is not built yet"),
        ("flows: { a: { from: '/a.*/' } }", "topics by pattern are not built yet"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.message(), message, "{text}");
        assert!(error.span().is_some(), "{text}");
    }
    let error = parse("flows: { a: { from: a, to: [postgres: {}] } }").unwrap_err();
    assert_eq!(error.hint(), "`postgres` is not built yet");
}

#[test]
fn what_is_missing_is_named() {
    for (text, message) in [
        ("", "the file has neither `flows` nor `kafka.topic`"),
        ("flows: {}", "`flows` is empty"),
        ("flows: { a: {} }", "`from` is missing"),
        ("flows: { a: { from: [] } }", "`from` is empty"),
        ("flows: { a: { from: '' } }", "`from` is empty"),
        ("flows: { a: { from: a, to: [] } }", "`to` is empty"),
        ("flows: { a: { from: a, to: [redis: {}] } }", "`url` is missing"),
        ("flows: { a: { from: a, to: [{redis: {}, stdout: {}}] } }", "each of `to` has one key"),
        ("flows: { a: { from: '${GONE}' } }", "the variable `GONE` is not set"),
        ("kafka: { brokers: localhost }", "`localhost` is no address of a broker"),
        ("- a", "this is no flow file"),
        ("flows: [a]", "`flows` is a list"),
    ] {
        assert_eq!(parse(text).expect_err(text).message(), message, "{text}");
    }
}

#[test]
fn a_codec_or_level_that_there_is_not_is_refused_where_it_stands() {
    let sink = |keys: &str| format!("flows: {{ a: {{ from: a, to: [kafka: {{ topic: b, {keys} }}] }} }}");
    for (keys, message) in [
        ("compression.zstd.level: 23", "zstd has no level 23: compression.zstd.level is -131072 to 22"),
        ("compression.lz4.level: 3", "lz4 has no level 3: compression.lz4.level is 9"),
        (
            "compression.type: zstd, compression.gzip.level: 10",
            "gzip has no level 10: compression.gzip.level is 1 to 9",
        ),
        ("compression.type: brotli", "`compression.type` is `brotli`"),
        ("acks: 2", "`acks` is `2`"),
        ("linger.ms: soon", "`linger.ms` is `soon`"),
        ("delivery.timeout.ms: 0", "`delivery.timeout.ms` is `0`"),
        ("partitioner: murmur3", "`partitioner` is `murmur3`"),
    ] {
        let error = parse(&sink(keys)).expect_err(keys);
        assert_eq!(error.message(), message, "{keys}");
    }
    parse(&sink("compression.type: zstd, compression.zstd.level: -7, compression.gzip.level: -1")).unwrap();
}

#[test]
fn a_program_that_is_no_jq_is_refused_where_it_stands() {
    for (code, message) in [
        (".a |", "`map` is not right in jq: expected term at the end"),
        ("nosuch(1)", "`map` is not right in jq: there is no filter `nosuch`"),
        ("env.HOME", "`map` is not right in jq: there is no filter `env`"),
        ("input", "`map` is not right in jq: there is no filter `input`"),
        ("$nosuch", "`map` is not right in jq: there is no variable `$nosuch`"),
        ("{a:", "`map` is not right in jq: expected closing brace at the end"),
        ("include \"a\"; .", "`map` is not right in jq: modules cannot be loaded here"),
    ] {
        let error = parse(&format!("flows: {{ a: {{ from: a, steps: [map: '{code}'] }} }}")).expect_err(code);
        assert_eq!(error.message(), message, "{code}");
        assert_eq!(error.span().map(|it| it.column), Some(37), "{code}");
    }
}

#[test]
fn a_secret_from_a_variable_is_not_shown() {
    let error = parse("flows: { a: { from: a, commit: { interval: '${WORKERS}' } } }").unwrap_err();
    assert_eq!(error.message(), "`interval` is what its variable holds");
}

#[test]
fn no_text_makes_it_panic() {
    let whole = "kafka: {topic: t, brokers: [a:1]}\nflows: {a: {steps: [filter: '.a', map: '[.]'], to: [redis: {url: x}]}}";
    let rng = &mut vltava_core::Rng::new(3);
    for _ in 0..3_000 {
        let mut bytes = whole.as_bytes().to_vec();
        for _ in 0..=rng.below(3) {
            let at = rng.below(bytes.len() as u64) as usize;
            match rng.below(3) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = b"{}[]:,'\" \n&*!|>-#${"[rng.below(19) as usize],
                _ => bytes.insert(at, rng.below(256) as u8),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(error) = parse(&text) {
            assert!(!error.to_string().is_empty(), "{text:?}");
        }
    }
}
