//! One entry of `flows`: where it begins, what happens to a record, where it goes.

use std::fmt;

use super::{
    Error, Kafka, Section,
    section::{Field, Key},
};
use crate::{
    config::{Commit, Prefetch, WORKERS_MAX},
    registry::{Open, Registry},
    steps::{Decode, Program, Step},
};
use vltava_core::work::Order;

/// The keys of a flow.
pub(super) const KEYS: &[Key] = &[
    Key::new("from", "a topic or a list of topics", "`kafka.topic`", "where the records come from"),
    Key::new("group", "a name", "the flow's name", "the consumer group that remembers what is done"),
    Key::new("decode", "json, text or bytes", "bytes", "what a record's value is"),
    Key::new("workers", "a number", "10", "how many records are worked on at once, at most"),
    Key::new("order", "key, partition or none", "key", "what is worked on one after another"),
    Key::new("prefetch", "a section", "see there", "how far ahead records are read"),
    Key::new("delivery", "at_least_once", "at_least_once", "what may happen to a record if all goes wrong"),
    Key::new("commit", "a section", "see there", "how often what is done is remembered"),
    Key::unbuilt("timeout", "a time", "a record may take as long as it takes, so far"),
    Key::unbuilt("retry", "a section", "a record that fails stops the flow, so far"),
    Key::unbuilt("dead_letter", "a topic", "a record that fails stops the flow, so far"),
    Key::new("steps", "a list of `filter: JQ` and `map: JQ`", "none", "what is done to a record, in turn"),
    Key::new("to", "a list of sinks", "stdout", "where it goes: done when all of them have it"),
];

/// The keys of `prefetch`.
pub(super) const PREFETCH_KEYS: &[Key] = &[
    Key::new("records", "a number", "500", "records of a partition that wait or are worked on, at most"),
    Key::new("bytes", "a size", "8MiB", "and their bytes, at most; one batch is always let in"),
];

/// The keys of `commit`.
pub(super) const COMMIT_KEYS: &[Key] = &[
    Key::new("min_count", "a number", "500", "commit after that many records"),
    Key::new("interval", "a time", "1s", "or after that long, whichever is sooner"),
];

const STEP_KEYS: &[Key] = &[
    Key::new("filter", "jq", "", "goes on only if its first result is neither false nor null"),
    Key::new("map", "jq", "", "goes on with its results, none, one or several"),
];

/// One flow of a file.
#[derive(Debug)]
pub struct FlowSpec {
    /// Its name in the file.
    pub name: String,
    /// The topics it reads.
    pub from: Vec<String>,
    /// Its consumer group.
    pub group: String,
    /// What a record's value is.
    pub decode: Decode,
    /// How many records are worked on at once, at most.
    pub workers: u32,
    /// What is worked on one after another.
    pub order: Order,
    /// How far ahead records are read.
    pub prefetch: Prefetch,
    /// How often what is done is remembered.
    pub commit: Commit,
    /// What is done to a record, in turn.
    pub steps: Vec<Step>,
    /// Where it goes.
    pub to: Vec<Branch>,
}

/// One of the places where a flow's records go.
pub struct Branch {
    /// The sink's name, as `redis`.
    pub sink: &'static str,
    /// Opens it as the file says.
    pub open: Open,
}

impl fmt::Debug for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Branch").field("sink", &self.sink).finish_non_exhaustive()
    }
}

/// Every entry of `flows`.
pub(super) fn read_all(flows: Field<'_>, kafka: &Kafka, registry: &Registry) -> Result<Vec<FlowSpec>, Error> {
    let named = flows.named()?;
    if named.is_empty() {
        return Err(flows.error("`flows` is empty", "leave it out for one flow from `kafka.topic` to stdout"));
    }
    named.into_iter().map(|(name, field)| read(name, field.section(KEYS)?, kafka, registry)).collect()
}

/// The flow of a file that names none: from `kafka.topic` to stdout.
pub(super) fn plain(top: &Section<'_>, kafka: &Kafka, registry: &Registry) -> Result<FlowSpec, Error> {
    let Some(topic) = &kafka.topic else {
        let hint = "name a topic under `kafka`, or write `flows`";
        return Err(top.error("the file has neither `flows` nor `kafka.topic`", hint));
    };
    Ok(FlowSpec {
        name: topic.clone(),
        from: vec![topic.clone()],
        group: topic.clone(),
        decode: Decode::default(),
        workers: crate::config::WORKERS,
        order: Order::Key,
        prefetch: Prefetch::default(),
        commit: Commit::default(),
        steps: Vec::new(),
        to: vec![to_stdout(top, registry)?],
    })
}

fn read(name: &str, flow: Section<'_>, kafka: &Kafka, registry: &Registry) -> Result<FlowSpec, Error> {
    if let Some(delivery) = flow.field("delivery") {
        delivery.one_of(&[("at_least_once", Some(())), ("at_most_once", None), ("exactly_once", None)])?;
    }
    Ok(FlowSpec {
        name: name.to_owned(),
        from: from(&flow, kafka)?,
        group: flow.field("group").map_or(Ok(name), |it| it.word())?.to_owned(),
        decode: flow.field("decode").map_or(Ok(Decode::default()), decode)?,
        workers: workers(&flow)?,
        order: flow.field("order").map_or(Ok(Order::Key), order)?,
        prefetch: flow.field("prefetch").map_or(Ok(Prefetch::default()), prefetch)?,
        commit: flow.field("commit").map_or(Ok(Commit::default()), commit)?,
        steps: steps(&flow)?,
        to: branches(&flow, registry)?,
    })
}

fn from(flow: &Section<'_>, kafka: &Kafka) -> Result<Vec<String>, Error> {
    let Some(field) = flow.field("from") else {
        let Some(topic) = &kafka.topic else {
            return Err(
                flow.error("`from` is missing", "name a topic here, or once for all as `kafka.topic`")
            );
        };
        return Ok(vec![topic.clone()]);
    };
    let mut topics = Vec::new();
    for item in field.items() {
        let topic = item.word()?;
        if topic.starts_with('/') {
            return Err(item.error("topics by pattern are not built yet", "name the topics"));
        }
        topics.push(topic.to_owned());
    }
    if topics.is_empty() {
        return Err(field.error("`from` is empty", "must be a topic or a list of topics"));
    }
    Ok(topics)
}

fn decode(field: Field<'_>) -> Result<Decode, Error> {
    field.one_of(&[
        ("json", Some(Decode::Json)),
        ("text", Some(Decode::Text)),
        ("bytes", Some(Decode::Bytes)),
        ("avro", None),
        ("protobuf", None),
    ])
}

fn order(field: Field<'_>) -> Result<Order, Error> {
    let words = [("key", Order::Key), ("partition", Order::Partition), ("none", Order::None)];
    field.one_of(&words.map(|(word, order)| (word, Some(order))))
}

fn workers(flow: &Section<'_>) -> Result<u32, Error> {
    let Some(field) = flow.field("workers") else { return Ok(crate::config::WORKERS) };
    let count = field.count(1, i64::from(WORKERS_MAX))?;
    Ok(u32::try_from(count).expect("the range was checked"))
}

/// More records than this a partition need not hold for any number of workers.
const RECORDS_MAX: i64 = 1_000_000;

fn prefetch(field: Field<'_>) -> Result<Prefetch, Error> {
    let section = field.section(PREFETCH_KEYS)?;
    let mut prefetch = Prefetch::default();
    if let Some(records) = section.field("records") {
        prefetch.records = records.count(1, RECORDS_MAX)?.unsigned_abs() as usize;
    }
    if let Some(bytes) = section.field("bytes") {
        prefetch.bytes = usize::try_from(bytes.bytes()?).unwrap_or(usize::MAX);
    }
    Ok(prefetch)
}

fn commit(field: Field<'_>) -> Result<Commit, Error> {
    let section = field.section(COMMIT_KEYS)?;
    let mut commit = Commit::default();
    if let Some(count) = section.field("min_count") {
        commit.min_count = count.count(1, i64::MAX)?.unsigned_abs();
    }
    if let Some(interval) = section.field("interval") {
        commit.interval = interval.duration()?;
        if commit.interval.is_zero() {
            return Err(
                interval.error("`interval` is nothing", "for a commit after each record: `min_count: 1`")
            );
        }
    }
    Ok(commit)
}

fn steps(flow: &Section<'_>) -> Result<Vec<Step>, Error> {
    let Some(field) = flow.field("steps") else { return Ok(Vec::new()) };
    field.items().iter().map(step).collect()
}

fn step(item: &Field<'_>) -> Result<Step, Error> {
    let (name, code) = item.only("either `filter` or `map`")?;
    item.section(STEP_KEYS)?;
    let program = Program::compile(code.word()?)
        .map_err(|fault| code.error(format!("`{name}` is not right in jq: {}", fault.message), fault.hint))?;
    Ok(if name == "filter" { Step::Filter(program) } else { Step::Map(program) })
}

fn branches(flow: &Section<'_>, registry: &Registry) -> Result<Vec<Branch>, Error> {
    let Some(field) = flow.field("to") else { return Ok(vec![to_stdout(flow, registry)?]) };
    let items = field.items();
    if items.is_empty() {
        return Err(field.error("`to` is empty", "leave it out for stdout"));
    }
    items.iter().map(|item| branch(item, registry)).collect()
}

fn branch(item: &Field<'_>, registry: &Registry) -> Result<Branch, Error> {
    let (name, options) = item.only("`- SINK: {…}`")?;
    let missing = |hint| options.error_of_name(format!("there is no sink `{name}`"), hint);
    let kind = registry.find(name).map_err(missing)?;
    Ok(Branch { sink: kind.name, open: (kind.read)(&options.section(kind.keys)?)? })
}

fn to_stdout(place: &Section<'_>, registry: &Registry) -> Result<Branch, Error> {
    let missing = |hint| place.error("it says no `to`, and stdout is not there", hint);
    let kind = registry.find("stdout").map_err(missing)?;
    Ok(Branch { sink: kind.name, open: (kind.read)(&place.nothing(kind.keys))? })
}
