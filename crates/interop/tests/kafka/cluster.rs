//! Three nodes of Apache Kafka, as `kafka/cluster` runs them. One cluster at a time: tests wait for each other.

use std::{
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kafka/cluster");

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A running cluster, which is stopped and forgotten when this is dropped.
pub(crate) struct Cluster {
    pub(crate) brokers: String,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    pub(crate) fn up(nodes: u32) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        run(&["down"]);
        let brokers = run(&["up", &nodes.to_string()]);
        Self { brokers: brokers.trim().to_owned(), _turn: turn }
    }

    /// SIGKILLs a node.
    pub(crate) fn kill(&self, node: u32) {
        run(&["kill", &node.to_string()]);
    }

    /// Starts a node that was killed, and waits until it answers.
    pub(crate) fn start(&self, node: u32) {
        run(&["start", &node.to_string()]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        run(&["down"]);
    }
}

/// Has Kafka's own client do all it can with a broker; it fails if anything is amiss.
pub(crate) fn stranger(broker: &str) {
    run(&["stranger", broker]);
}

/// Runs the script. Its errors go to the test's, where they are read; the nodes keep neither open.
fn run(arguments: &[&str]) -> String {
    let output = Command::new(SCRIPT).args(arguments).stderr(std::process::Stdio::inherit()).output();
    let output = output.expect("bash is there");
    assert!(output.status.success(), "{SCRIPT} {arguments:?} ended with {}", output.status);
    String::from_utf8(output.stdout).expect("the script prints text")
}
