//! The `kafka` section: which cluster, and Kafka's own properties.

use std::time::Duration;

use vltava_client::{Isolation, StartOffset, config};

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
    /// How records are fetched and a member behaves: as the properties say, else as the client does by itself.
    pub consumer: config::Consumer,
    /// How brokers are reached, in the same way. What the client calls itself is not part of it.
    pub connection: config::Connection,
}

/// Kafka's names, in both spellings.
const PROPERTIES: &[&str] = &[
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    "client.rack",
    "connections.max.idle.ms",
    "default.api.timeout.ms",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "request.timeout.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "session.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.timeout.ms",
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
        let Self { consumer, connection, .. } = self;
        match name {
            "bootstrap.servers" | "metadata.broker.list" => self.brokers = addresses(&value)?,
            "client.id" => self.client_id = Some(value.scalar()?),
            "client.rack" => consumer.rack = value.scalar()?,
            "auto.offset.reset" => consumer.start = start(&value)?,
            "isolation.level" => consumer.isolation = isolation(&value)?,
            "session.timeout.ms" => consumer.session_timeout = millis(&value)?,
            "heartbeat.interval.ms" => consumer.heartbeat_interval = millis(&value)?,
            "max.poll.interval.ms" => consumer.rebalance_timeout = millis(&value)?,
            "fetch.max.wait.ms" | "fetch.wait.max.ms" => consumer.max_wait = millis(&value)?,
            "fetch.min.bytes" => consumer.min_bytes = size(&value)?,
            "fetch.max.bytes" => consumer.max_bytes = size(&value)?,
            "max.partition.fetch.bytes" => consumer.partition_max_bytes = size(&value)?,
            "group.instance.id"
            | "group.protocol"
            | "group.remote.assignor"
            | "partition.assignment.strategy" => {
                let set = consumer.set(name, &value.scalar()?);
                set.map_err(|error| value.error(error.to_string(), "not what Kafka knows"))?;
            }
            "request.timeout.ms" | "socket.timeout.ms" => connection.request_timeout = some_millis(&value)?,
            "socket.connection.setup.timeout.ms" => connection.connect_timeout = millis(&value)?,
            "connections.max.idle.ms" => connection.idle_max = idle(&value)?,
            "default.api.timeout.ms" => connection.call_timeout = millis(&value)?,
            "retry.backoff.ms" => connection.backoff.first = some_millis(&value)?,
            "retry.backoff.max.ms" => connection.backoff.most = millis(&value)?,
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

fn isolation(field: &Field<'_>) -> Result<Isolation, Error> {
    field.one_of(&[
        ("read_uncommitted", Some(Isolation::ReadUncommitted)),
        ("read_committed", Some(Isolation::ReadCommitted)),
    ])
}

/// Zero in librdkafka and less than that in Java stand for never.
fn idle(field: &Field<'_>) -> Result<Duration, Error> {
    let millis = field.count(-1, MILLIS_MAX)?;
    Ok(if millis <= 0 { Duration::MAX } else { Duration::from_millis(millis.unsigned_abs()) })
}

/// No timeout of Kafka is longer.
const MILLIS_MAX: i64 = i32::MAX as i64;

fn millis(field: &Field<'_>) -> Result<Duration, Error> {
    Ok(Duration::from_millis(field.count(0, MILLIS_MAX)?.unsigned_abs()))
}

/// Without any nothing would be waited for, and what failed tried again without end.
fn some_millis(field: &Field<'_>) -> Result<Duration, Error> {
    Ok(Duration::from_millis(field.count(1, MILLIS_MAX)?.unsigned_abs()))
}

fn size(field: &Field<'_>) -> Result<usize, Error> {
    Ok(usize::try_from(field.count(0, i64::from(i32::MAX))?).expect("the range was checked"))
}
