//! Nodes of Apache Kafka, as `kafka/cluster` runs them. One cluster at a time: tests of a process wait for each other.

use std::{
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kafka/cluster");

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A running cluster, which is stopped and forgotten when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// Where its nodes listen, as clients want it.
    pub brokers: String,
    version: Option<&'static str>,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// So many nodes of the version that everything is tested with. Blocks until all of them answer.
    pub fn up(nodes: u32) -> Self {
        Self::start_all(None, nodes)
    }

    /// One node of another version.
    pub fn of(version: &'static str) -> Self {
        Self::start_all(Some(version), 1)
    }

    fn start_all(version: Option<&'static str>, nodes: u32) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        run(version, &["down"]);
        let brokers = run(version, &["up", &nodes.to_string()]);
        Self { brokers: brokers.trim().to_owned(), version, _turn: turn }
    }

    /// One of its nodes; the first is 1.
    pub fn node(&self, number: u32) -> Node {
        Node { version: self.version, number }
    }
}

/// A node of the cluster that runs.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    version: Option<&'static str>,
    number: u32,
}

impl Node {
    /// SIGKILLs it.
    pub fn kill(self) {
        self.run("kill");
    }

    /// Starts it after it was killed, and waits until it answers.
    pub fn start(self) {
        self.run("start");
    }

    /// SIGSTOPs it: its connections stay, nothing answers.
    pub fn pause(self) {
        self.run("pause");
    }

    /// SIGCONTs it; it knows nothing of the time it was away.
    pub fn resume(self) {
        self.run("resume");
    }

    fn run(self, verb: &str) {
        run(self.version, &[verb, &self.number.to_string()]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        run(self.version, &["down"]);
    }
}

/// Has Kafka's own client do all it can with a broker; it fails if anything is amiss.
pub fn stranger(broker: &str) {
    run(None, &["stranger", broker]);
}

/// Has Kafka's own client write transactions, of which some are aborted and one is left open.
pub fn write_transactions(brokers: &str, topic: &str, partitions: i32) {
    run(None, &["transactions", brokers, topic, &partitions.to_string()]);
}

/// Runs the script. Its errors go to the test's, where they are read; the nodes keep neither open.
fn run(version: Option<&str>, arguments: &[&str]) -> String {
    let mut script = Command::new(SCRIPT);
    script.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    if let Some(version) = version {
        script.env("VLTAVA_KAFKA_VERSION", version);
    }
    let output = script.output().expect("bash is there");
    assert!(output.status.success(), "{SCRIPT} {arguments:?} ended with {}", output.status);
    String::from_utf8(output.stdout).expect("the script prints text")
}
