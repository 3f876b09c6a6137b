//! The `kafka` section: which cluster, and Kafka's own properties.

use std::time::Duration;

use vltava_client::{StartOffset, config};

use super::{
    Error,
    section::{Field, Key, nearest},
};

/// The keys of `kafka`.
pub(super) const KEYS: &[Key] = &[
    Key::new("brokers", "a list of HOST:PORT", "none", "where to reach the cluster first"),
    Key::unbuilt("username", "a text", "connections are not authenticated, so far"),
    Key::unbuilt("password", "a text", "connections are not authenticated, so far"),
    Key::unbuilt("mechanism", "a text", "connections are not authenticated, so far"),
    Key::new("topic", "a name", "none", "where flows begin that say no `from`"),
    Key::unbuilt("retries", "a number", "the producer retries until its delivery deadline"),
    Key::unbuilt("producerreturnsuccesses", "true or false", "deliveries are not reported one by one"),
    Key::new("properties", "a map", "none", "Kafka's own names, in Java's or librdkafka's spelling"),
];

/// The `kafka` section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kafka {
    /// Where to reach the cluster first; empty where the file does not say.
    pub brokers: Vec<String>,
    /// Where flows begin that do not say.
    pub topic: Option<String>,
    /// `client.id`.
    pub client_id: Option<String>,
    /// What the properties say about membership and fetching.
    pub properties: Properties,
}

/// Kafka's properties that a flow knows; none where the file does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// `auto.offset.reset`: where a group begins that has committed nothing.
    pub start: Option<StartOffset>,
    /// `session.timeout.ms`.
    pub session_timeout: Option<Duration>,
    /// `heartbeat.interval.ms`.
    pub heartbeat_interval: Option<Duration>,
    /// `max.poll.interval.ms`: how long a rebalance may take.
    pub rebalance_timeout: Option<Duration>,
    /// `fetch.max.wait.ms`, in librdkafka `fetch.wait.max.ms`.
    pub max_wait: Option<Duration>,
    /// `fetch.min.bytes`.
    pub min_bytes: Option<usize>,
    /// `fetch.max.bytes`.
    pub max_bytes: Option<usize>,
    /// `max.partition.fetch.bytes`.
    pub partition_max_bytes: Option<usize>,
}

impl Properties {
    /// How a flow consumes, with the client's own defaults where nothing is said.
    pub(crate) fn consumer(&self) -> config::Consumer {
        let own = config::Consumer::default();
        config::Consumer {
            start: self.start.unwrap_or(own.start),
            max_wait: self.max_wait.unwrap_or(own.max_wait),
            min_bytes: self.min_bytes.unwrap_or(own.min_bytes),
            max_bytes: self.max_bytes.unwrap_or(own.max_bytes),
            partition_max_bytes: self.partition_max_bytes.unwrap_or(own.partition_max_bytes),
            session_timeout: self.session_timeout.unwrap_or(own.session_timeout),
            heartbeat_interval: self.heartbeat_interval.unwrap_or(own.heartbeat_interval),
            rebalance_timeout: self.rebalance_timeout.unwrap_or(own.rebalance_timeout),
            ..own
        }
    }
}

/// Kafka's names, in both spellings.
const PROPERTIES: &[&str] = &[
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "heartbeat.interval.ms",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "metadata.broker.list",
    "session.timeout.ms",
];

impl Kafka {
    pub(super) fn read(field: Field<'_>) -> Result<Self, Error> {
        let section = field.section(KEYS)?;
        let mut kafka = Self::default();
        if let Some(brokers) = section.field("brokers") {
            kafka.brokers = addresses(&brokers)?;
        }
        if let Some(topic) = section.field("topic") {
            kafka.topic = Some(topic.word()?.to_owned());
        }
        if let Some(properties) = section.field("properties") {
            for (name, value) in properties.named()? {
                kafka.property(name, value)?;
            }
        }
        Ok(kafka)
    }

    fn property(&mut self, name: &str, value: Field<'_>) -> Result<(), Error> {
        let it = &mut self.properties;
        match name {
            "bootstrap.servers" | "metadata.broker.list" => self.brokers = addresses(&value)?,
            "client.id" => self.client_id = Some(value.scalar()?),
            "auto.offset.reset" => it.start = Some(start(&value)?),
            "session.timeout.ms" => it.session_timeout = Some(millis(&value)?),
            "heartbeat.interval.ms" => it.heartbeat_interval = Some(millis(&value)?),
            "max.poll.interval.ms" => it.rebalance_timeout = Some(millis(&value)?),
            "fetch.max.wait.ms" | "fetch.wait.max.ms" => it.max_wait = Some(millis(&value)?),
            "fetch.min.bytes" => it.min_bytes = Some(size(&value)?),
            "fetch.max.bytes" => it.max_bytes = Some(size(&value)?),
            "max.partition.fetch.bytes" => it.partition_max_bytes = Some(size(&value)?),
            _ => {
                let hint = nearest(name, PROPERTIES.iter().copied());
                return Err(value.error_of_name(format!("the property `{name}` is not known here"), hint));
            }
        }
        Ok(())
    }
}

/// A list, or one text with commas.
fn addresses(field: &Field<'_>) -> Result<Vec<String>, Error> {
    let mut addresses = Vec::new();
    for item in field.items() {
        for address in item.word()?.split(',').map(str::trim) {
            let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            if port.and_then(|(_, port)| port.parse::<u16>().ok()).is_none() {
                let message = format!("`{address}` is no address of a broker");
                return Err(item.error(message, "must be HOST:PORT"));
            }
            addresses.push(address.to_owned());
        }
    }
    Ok(addresses)
}

fn start(field: &Field<'_>) -> Result<StartOffset, Error> {
    field.one_of(&[
        ("earliest", Some(StartOffset::Earliest)),
        ("beginning", Some(StartOffset::Earliest)),
        ("latest", Some(StartOffset::Latest)),
        ("end", Some(StartOffset::Latest)),
        ("none", Some(StartOffset::None)),
        ("error", Some(StartOffset::None)),
    ])
}

/// No timeout of Kafka is longer.
const MILLIS_MAX: i64 = i32::MAX as i64;

fn millis(field: &Field<'_>) -> Result<Duration, Error> {
    Ok(Duration::from_millis(field.count(0, MILLIS_MAX)?.unsigned_abs()))
}

fn size(field: &Field<'_>) -> Result<usize, Error> {
    Ok(usize::try_from(field.count(0, i64::from(i32::MAX))?).expect("the range was checked"))
}
