//! What may be set of a consumer, by Kafka's names for it, in Java's and librdkafka's spelling.

use std::time::Duration;

use super::{Assignors, Consumer, GroupProtocol, Isolation, StartOffset};
use crate::error::{Error, ErrorKind, Result};

impl Consumer {
    /// The names that [`set`](Self::set) knows.
    pub const PROPERTIES: &[&str] = &[
        "auto.commit.interval.ms",
        "auto.offset.reset",
        "client.rack",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
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
        "partition.assignment.strategy",
        "session.timeout.ms",
    ];

    /// Sets what Kafka's other clients know by this name. `max.poll.interval.ms` is two things there, and is both of
    /// them here: how long a record may be unfinished, and how long a rebalance waits for members.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let bad =
            |what: &str| Error::new(ErrorKind::Config).what(format!("{name} is `{value}`, which is {what}"));
        let millis = || {
            let millis: Option<u32> = value.parse().ok();
            millis.map(|it| Duration::from_millis(it.into())).ok_or_else(|| bad("no number of milliseconds"))
        };
        let bytes = || value.parse::<u32>().map(|it| it as usize).map_err(|_| bad("no number of bytes"));
        let flag = || match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(bad("neither true nor false")),
        };
        match name {
            "auto.commit.interval.ms" => self.auto_commit_interval = millis()?,
            "auto.offset.reset" => self.start = start(value).ok_or_else(|| bad("no place to start at"))?,
            "client.rack" => value.clone_into(&mut self.rack),
            "enable.auto.commit" => self.auto_commit = flag()?,
            "enable.auto.offset.store" => self.auto_store = flag()?,
            "enable.partition.eof" => self.end_notices = flag()?,
            "fetch.max.bytes" => self.max_bytes = bytes()?,
            "fetch.max.wait.ms" | "fetch.wait.max.ms" => self.max_wait = millis()?,
            "fetch.min.bytes" => self.min_bytes = bytes()?,
            "group.instance.id" => self.instance_id = Some(value.to_owned()).filter(|it| !it.is_empty()),
            "group.protocol" => {
                self.group_protocol = protocol(value).ok_or_else(|| bad("no protocol of groups"))?;
            }
            "group.remote.assignor" => {
                self.server_assignor = Some(value.to_owned()).filter(|it| !it.is_empty());
            }
            "heartbeat.interval.ms" => self.heartbeat_interval = millis()?,
            "isolation.level" => {
                self.isolation = isolation(value).ok_or_else(|| bad("no level of isolation"))?;
            }
            "max.partition.fetch.bytes" => self.partition_max_bytes = bytes()?,
            "max.poll.interval.ms" => {
                self.unfinished_max = millis()?;
                self.rebalance_timeout = self.unfinished_max;
            }
            "partition.assignment.strategy" => {
                let names = value.split(',').map(str::trim).filter(|it| !it.is_empty());
                self.assignors =
                    Assignors::named(names).ok_or_else(|| bad("no list of assignors of Kafka's own"))?;
            }
            "session.timeout.ms" => self.session_timeout = millis()?,
            _ => {
                let what = format!("the property {name} is not known here");
                return Err(Error::new(ErrorKind::Config).what(what));
            }
        }
        Ok(())
    }
}

fn start(value: &str) -> Option<StartOffset> {
    match value {
        "earliest" | "beginning" | "smallest" => Some(StartOffset::Earliest),
        "latest" | "end" | "largest" => Some(StartOffset::Latest),
        "none" | "error" => Some(StartOffset::None),
        _ => None,
    }
}

fn protocol(value: &str) -> Option<GroupProtocol> {
    match &*value.to_ascii_lowercase() {
        "auto" => Some(GroupProtocol::Auto),
        "classic" => Some(GroupProtocol::Classic),
        "consumer" => Some(GroupProtocol::Consumer),
        _ => None,
    }
}

fn isolation(value: &str) -> Option<Isolation> {
    match value {
        "read_uncommitted" => Some(Isolation::ReadUncommitted),
        "read_committed" => Some(Isolation::ReadCommitted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value for each property that is not what it is by itself.
    const VALUES: &[(&str, &str)] = &[
        ("auto.commit.interval.ms", "1000"),
        ("auto.offset.reset", "latest"),
        ("client.rack", "east"),
        ("enable.auto.commit", "true"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        ("fetch.max.bytes", "1000"),
        ("fetch.max.wait.ms", "10"),
        ("fetch.min.bytes", "10"),
        ("fetch.wait.max.ms", "10"),
        ("group.instance.id", "app-1"),
        ("group.protocol", "consumer"),
        ("group.remote.assignor", "range"),
        ("heartbeat.interval.ms", "1000"),
        ("isolation.level", "read_committed"),
        ("max.partition.fetch.bytes", "1000"),
        ("max.poll.interval.ms", "1000"),
        ("partition.assignment.strategy", "roundrobin,cooperative-sticky"),
        ("session.timeout.ms", "10000"),
    ];

    #[test]
    fn every_property_sets_something_and_is_refused_with_nonsense() {
        assert!(VALUES.iter().map(|it| it.0).eq(Consumer::PROPERTIES.iter().copied()));
        for (name, value) in VALUES {
            let mut config = Consumer::default();
            config.set(name, value).expect("it makes sense");
            assert_ne!(config, Consumer::default(), "{name}");
            if !matches!(*name, "client.rack" | "group.instance.id" | "group.remote.assignor") {
                let error = config.set(name, "some").expect_err("it makes none");
                assert!(error.to_string().contains(name), "{error}");
            }
        }
        let error = Consumer::default().set("auto.commit", "true").expect_err("there is no such property");
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}
