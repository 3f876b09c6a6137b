//! Flows from files.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use vltava_client::{ProducerRecord, StartOffset, Timestamp};
use vltava_flow::{
    BoxFuture, ErrorKind, Failure, Flow, Format, Kind, Outcome, Output, Registry, Sink, pipeline, spec::File,
};

use crate::world::{World, soon};

/// Keeps what it is given; one of these at a time.
#[derive(Default)]
struct Kept {
    values: Mutex<Vec<(String, Format)>>,
    flushes: AtomicUsize,
    flush_fails: AtomicBool,
}

thread_local! {
    /// Tests run on a thread each, and so do their flows.
    static KEPT: OnceLock<Arc<Kept>> = const { OnceLock::new() };
}

fn kept() -> Arc<Kept> {
    KEPT.with(|it| it.get_or_init(Arc::default).clone())
}

struct Keeper(Arc<Kept>);

impl Sink for Keeper {
    fn deliver<'a>(&'a self, outputs: &'a [Output]) -> BoxFuture<'a, Vec<Result<(), Failure>>> {
        Box::pin(async move {
            let mut values = self.0.values.lock().expect("no test panics while it holds this");
            let text = |output: &Output| String::from_utf8_lossy(output.value().unwrap_or(b"-")).into_owned();
            values.extend(outputs.iter().map(|output| (text(output), output.format())));
            outputs.iter().map(|_| Ok(())).collect()
        })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Failure>> {
        self.0.flushes.fetch_add(1, Ordering::Relaxed);
        let fails = self.0.flush_fails.load(Ordering::Relaxed);
        let result = if fails { Err(Failure::new("the disk is full")) } else { Ok(()) };
        Box::pin(std::future::ready(result))
    }
}

const KEEP: Kind = Kind {
    name: "keep",
    doc: "for tests",
    keys: &[],
    read: |_| Ok(Box::new(|_| Box::pin(async { Ok(Arc::new(Keeper(kept())) as Arc<dyn Sink>) }))),
};

async fn give(world: &mut World, values: &[Option<&str>]) {
    let producer = world.client().await.producer();
    for value in values {
        let mut record = ProducerRecord::to("trades").key("k").timestamp(Timestamp(7)).header("h", "x");
        if let Some(value) = value {
            record = record.value(*value);
        }
        producer.send(record).await.expect("there is memory").await.expect("the broker takes it");
    }
}

async fn run(world: &mut World, flow: &str) -> vltava_flow::Result<vltava_flow::Summary> {
    let text = format!("flows: {{ stats: {{ from: trades, {flow} }} }}");
    let file = File::parse("flow.yaml", &text, &Registry::new().with(KEEP), &|_| None).expect("it is right");
    let client = world.client().await;
    let (name, flow) = pipeline::open(file, &client).await?.pop().expect("there is one");
    assert_eq!(name, "stats");
    soon(flow.until_caught_up().run()).await
}

#[tokio::test(start_paused = true)]
async fn records_are_decoded_filtered_mapped_and_sorted_into_every_branch() {
    let mut world = World::new(1).await;
    give(&mut world, &[Some(r#"{"n": 1, "t": ""}"#), Some(r#"{"n":2,"t":"a"}"#), Some(r#"{"n":3,"t":"b"}"#)])
        .await;
    let flow = r#"decode: json, to: [keep: {}, kafka: { topic: out, compression.type: gzip, compression.gzip.level: 1, acks: 1, linger.ms: 1, partitioner: fnv1a }],
        steps: [filter: '.t != ""', map: '{n, k: $key, o: $offset, p: ($partition >= 0), ts: $timestamp, h: $headers.h, t: $topic}, .n']"#;
    run(&mut world, flow).await.expect("nothing fails");
    let made = |n: u8| format!(r#"{{"n":{n},"k":"k","o":{},"p":true,"ts":7,"h":"x","t":"trades"}}"#, n - 1);
    let expected = vec![made(2), "2".to_owned(), made(3), "3".to_owned()];
    let values: Vec<_> = kept().values.lock().unwrap().iter().map(|it| it.0.clone()).collect();
    assert_eq!(values, expected);
    assert!(kept().flushes.load(Ordering::Relaxed) > 0);
    assert_eq!(world.committed().await, world.ends().await);

    let copied = Arc::new(Mutex::new(Vec::new()));
    let seen = copied.clone();
    let reader =
        Flow::from("out").client(world.client().await).group("reader").start_at(StartOffset::Earliest);
    let reader = reader.until_caught_up().each(move |_, record| {
        let headers: Vec<_> =
            record.headers().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect();
        assert_eq!(headers, [(b"h".to_vec(), Some(b"x".to_vec()))]);
        assert_eq!((record.key(), record.timestamp()), (Some(&b"k"[..]), 7));
        seen.lock().unwrap().push(record.value_str().unwrap().to_owned());
        async { Ok(Outcome::Done) }
    });
    soon(reader.run()).await.expect("nothing fails");
    assert_eq!(*copied.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn without_steps_values_go_on_as_they_came() {
    let mut world = World::new(1).await;
    give(&mut world, &[Some("{ \"a\" : 1.50 }"), None]).await;
    run(&mut world, "decode: json, to: [keep: {}]").await.expect("nothing fails");
    let values = kept().values.lock().unwrap().clone();
    assert_eq!(values, [("{ \"a\" : 1.50 }".to_owned(), Format::Json), ("-".to_owned(), Format::Json)]);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_not_what_it_should_be_stops_the_flow_by_name() {
    let mut world = World::new(1).await;
    give(&mut world, &[Some("{}"), Some("{")]).await;
    for (flow, end) in [
        (
            "decode: json, to: [keep: {}]",
            "the value is no JSON: EOF while parsing an object at line 1 column 1",
        ),
        ("decode: text, steps: [map: 'error(\"no\")'], to: [keep: {}]", "`error(\"no\")` failed: \"no\""),
    ] {
        let error = run(&mut world, flow).await.expect_err("it fails");
        assert_eq!(error.kind(), ErrorKind::Record, "{error:?}");
        let told = format!("{error:?}");
        assert!(
            told.starts_with("trades-") && told.contains("(key k) failed: ") && told.ends_with(end),
            "{told}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_committed_that_was_not_flushed() {
    let mut world = World::new(1).await;
    give(&mut world, &[Some("1"), Some("2")]).await;
    kept().flush_fails.store(true, Ordering::Relaxed);
    let error = run(&mut world, "to: [keep: {}], commit: { interval: 10ms }").await.expect_err("it fails");
    assert_eq!(error.kind(), ErrorKind::Sink);
    assert!(format!("{error:?}").ends_with("the sink keep: the disk is full"), "{error:?}");
    assert!(world.committed().await.is_empty());
    kept().flush_fails.store(false, Ordering::Relaxed);
    run(&mut world, "to: [keep: {}]").await.expect("nothing fails now");
    assert_eq!(world.committed().await, world.ends().await);
}

#[tokio::test(start_paused = true)]
async fn a_map_that_gives_without_end_fails() {
    let mut world = World::new(1).await;
    give(&mut world, &[Some("1")]).await;
    let endless = run(&mut world, "decode: json, steps: [map: 'repeat(.)'], to: [keep: {}]");
    let error =
        tokio::time::timeout(Duration::from_secs(60), endless).await.expect("it ends").expect_err("it fails");
    assert!(format!("{error:?}").ends_with("`repeat(.)` gives more than 10000 results"), "{error:?}");
}
