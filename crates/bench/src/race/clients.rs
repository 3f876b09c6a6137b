//! Who takes part, by which door, and how they are set up.

use std::{env, error::Error, process::Command};

use super::{Endpoint, Row};
use crate::drive::Work::{self, Ack, Consume, Produce, Through};

/// What everyone is judged by.
pub(super) const REFERENCE: &str = "librdkafka";
pub(super) const FLOOR: &str = "floor";

/// The same, twice.
pub(super) const TWINS: [&str; 2] = ["vltava", "vltava, again"];

/// The peers that are part of this program.
#[cfg(feature = "librdkafka")]
pub(super) const BUILT_IN: [&str; 1] = [REFERENCE];
#[cfg(not(feature = "librdkafka"))]
pub(super) const BUILT_IN: [&str; 0] = [];

/// A client by one of its doors.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) work: Work,
    family: &'static str,
    variant: &'static str,
    /// What differs from its defaults, for the page.
    config: &'static str,
}

const fn client(
    work: Work,
    name: &'static str,
    family: &'static str,
    variant: &'static str,
    config: &'static str,
) -> Client {
    Client { name, work, family, variant, config }
}

const OURS: &str = "vltava";
const RDKAFKA: &str = "check.crcs, fetch.queue.backoff.ms=10";

#[rustfmt::skip]
const ALL: &[Client] = &[
    client(Consume, FLOOR, "floor", "borrowed", "no client: the least one could do"),
    client(Consume, "floor, owned", "floor", "owned", "the same, with a handle for every record"),
    client(Consume, TWINS[0], OURS, "borrowed", "defaults; `next`, records borrowed"),
    client(Consume, TWINS[1], OURS, "borrowed", "the same"),
    client(Consume, "vltava, one thread", OURS, "borrowed-one", "the same on a runtime of one thread"),
    client(Consume, "vltava, owned", OURS, "owned", "defaults; `next`, a handle for every record"),
    client(Consume, "vltava, recv", OURS, "recv", "defaults; `recv`, a record at a time"),
    client(Consume, REFERENCE, "librdkafka", "batch", RDKAFKA),
    client(Consume, "librdkafka, poll", "librdkafka", "poll", RDKAFKA),
    client(Produce, FLOOR, "floor", "send", "no client: the least one could do"),
    client(Produce, TWINS[0], OURS, "send", "defaults; `send`, outcomes by events"),
    client(Produce, TWINS[1], OURS, "send", "the same"),
    client(Produce, "vltava, one thread", OURS, "send-one", "the same on a runtime of one thread"),
    client(Produce, "vltava, many", OURS, "many", "defaults; `send_many` of 1,000, each lot awaited"),
    client(Produce, REFERENCE, "librdkafka", "send", "enable.idempotence, queue.buffering.max.messages=500000"),
    client(Ack, TWINS[0], OURS, "send", "defaults; `try_send`, each delivery awaited"),
    client(Ack, TWINS[1], OURS, "send", "the same"),
    client(Ack, REFERENCE, "librdkafka", "send", "enable.idempotence, linger.ms=0, a thread that polls"),
    client(Through, TWINS[0], OURS, "borrowed", "defaults; `try_send` and `next`"),
    client(Through, TWINS[1], OURS, "borrowed", "the same"),
    client(Through, REFERENCE, "librdkafka", "poll", "linger.ms=0, fetch.queue.backoff.ms=10"),
];

/// Those who take part in a row, with these peers.
pub(super) fn of(row: &Row, peers: &[&str]) -> Vec<&'static Client> {
    let takes_part = |it: &&Client| {
        it.work == row.work
            && (it.is_ours() || it.family == FLOOR && !row.group || peers.contains(&it.family))
    };
    ALL.iter().filter(takes_part).collect()
}

/// How every client is set up.
pub(super) fn configs(work: Work) -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().filter(move |it| it.work == work).map(|it| (it.name, it.config))
}

impl Client {
    pub(super) fn is_ours(&self) -> bool {
        self.family == OURS
    }

    pub(super) fn is_twin(&self) -> bool {
        TWINS.contains(&self.name)
    }

    /// What has it do the work of a row.
    pub(super) fn command(&self, row: &Row, endpoint: &mut Endpoint) -> Result<Command, Box<dyn Error>> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["drive", self.family]);
        let goal = endpoint.goal(row)?;
        command
            .args(["--variant", self.variant])
            .args(["--work", row.work.name()])
            .args(["--bootstrap", &goal.bootstrap])
            .args(["--topic", &goal.topic])
            .args(["--partitions", &row.partitions.to_string()])
            .args(["--records", &goal.records.to_string()])
            .args(["--value-bytes", &row.value_bytes.to_string()])
            .args(["--codec", &row.codec.to_string()]);
        if row.rate > 0 {
            command.args(["--rate", &row.rate.to_string()]);
        }
        if row.skewed {
            command.arg("--skewed");
        }
        if row.keyed {
            command.arg("--keyed");
        }
        if row.group {
            command.args(["--group", &goal.group]);
        }
        Ok(command)
    }
}
