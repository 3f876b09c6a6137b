//! A flow file, which its author may have got wrong in any way.

use vltava_flow::{
    Kind, Open, Registry, WORKERS_MAX,
    spec::{Error, File, Key, Section},
};

/// What reading a file of a few kilobytes may take: jq's own definitions are most of it.
const MEMORY_BYTES: u64 = 32 << 20;

const STDOUT: Kind = Kind { name: "stdout", doc: "", keys: &[], read: |_| Ok(nowhere()) };
const REDIS: Kind = Kind { name: "redis", doc: "", keys: REDIS_KEYS, read: redis };
const REDIS_KEYS: &[Key] =
    &[Key::new("url", "a URL", "", ""), Key::new("newest_only", "true or false", "true", "")];

fn redis(section: &Section<'_>) -> Result<Open, Error> {
    section.required("url")?.word()?;
    section.field("newest_only").map(|it| it.flag()).transpose()?;
    Ok(nowhere())
}

fn nowhere() -> Open {
    Box::new(|_| unreachable!("nothing is opened here"))
}

/// Whatever a file says, it is flows that could be run, or an error whose place is in the file.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let registry = Registry::new().with(STDOUT).with(REDIS);
    let variables = |name: &str| (name == "WORKERS").then(|| "7".to_owned());
    let mut read = None;
    let allocated =
        allocation_counter::measure(|| read = Some(File::parse("flow.yaml", text, &registry, &variables)));
    assert!(allocated.bytes_max <= MEMORY_BYTES, "{} bytes were allocated", allocated.bytes_max);
    match read.expect("it was read") {
        Ok(file) => {
            assert!(!file.flows.is_empty());
            for flow in &file.flows {
                assert!(!flow.from.is_empty() && !flow.to.is_empty(), "{flow:?}");
                assert!((1..=WORKERS_MAX).contains(&flow.workers), "{} workers", flow.workers);
            }
        }
        Err(error) => is_told(&error, text),
    }
}

fn is_told(error: &Error, text: &str) {
    assert!(!error.message().is_empty() && !error.to_string().is_empty());
    let Some(span) = error.span() else { return };
    assert!(span.line >= 1 && span.column >= 1 && span.width >= 1, "{span:?}");
    // To YAML a carriage return ends a line, too. What is missing at the end is missed behind the last one.
    let lines = text.replace("\r\n", "\n").replace('\r', "\n").lines().count();
    assert!(span.line <= lines + 1, "{span:?} of {text:?}");
}

/// Files that are right, and some that are not.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "",
        "kafka: { brokers: a:1, topic: orders }\n",
        "kafka:\n  brokers: [\"localhost:29092\", \"b:1,c:2\"]\n  topic: t\n  properties: { client.id: me, \
         auto.offset.reset: latest, session.timeout.ms: 30000 }\nlog: { level: debug }\nflows:\n  latest:\n    \
         group: newest\n    decode: json\n    workers: ${WORKERS}\n    order: partition\n    prefetch: { records: \
         50, bytes: 1MiB }\n    delivery: at_least_once\n    commit: { min_count: 10, interval: 250ms }\n    \
         steps:\n      - filter: '.text != \"\"'\n      - map: '{user: .to, text: .text}'\n    to:\n      - redis: \
         { url: \"redis://localhost:6379\", newest_only: false }\n      - stdout: {}\n  copies:\n    from: [a, b]\n",
        "flows:\n  a:\n    from: x\n    worker: 10\n",
        "flows: { a: { from: [x], steps: [ { map: '.a | (' } ] } }\n",
        "a: &a [x, x]\nb: [*a, *a]\n",
        "kafka: { topic: '${NOWHERE:-t}' }\nconsole: localhost:1\n",
        "flows:\n  a: { from: t, to: { kafka: { topic: u, key: .k } } }\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
