//! Our client on a real Kafka whose nodes are killed, stopped and come back every few seconds; then peace, and what
//! happened is judged as that of the simulation is.
//!
//! A run takes `VLTAVA_CHAOS_MINUTES` (2), or a part of it, and `VLTAVA_CHAOS_SEED` says what is done to the nodes and
//! when. Time is real, so the same seed makes the same trouble, and not the same history. That is written to
//! `VLTAVA_CHAOS_FOLDER` (`target/lanes/chaos`), whatever comes of it.

mod figures;
mod members;
mod monkey;
mod producers;
mod readers;
mod run;

use std::time::Duration;

use vltava_interop::Cluster;

use run::Run;

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_of_kafka_4_3() {
    let run = Run { name: "cluster", kafka: "Kafka 4.3, three nodes", nodes: 3, lasts: lasts(1) };
    run.play(|| Cluster::up(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_kafka_3_9() {
    let run = Run { name: "node", kafka: "Kafka 3.9, one node", nodes: 1, lasts: lasts(4) };
    run.play(|| Cluster::of("3.9.1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_kafka_2_8_beside_its_zookeeper() {
    let run = Run {
        name: "zookeeper",
        kafka: "Kafka 2.8, one node beside its ZooKeeper",
        nodes: 1,
        lasts: lasts(4),
    };
    run.play(|| Cluster::of("2.8.2")).await;
}

/// A part of the time that all has.
fn lasts(part: u32) -> Duration {
    let minutes = std::env::var("VLTAVA_CHAOS_MINUTES").unwrap_or_else(|_| "2".into());
    let minutes: f64 = minutes.parse().expect("VLTAVA_CHAOS_MINUTES is a number");
    Duration::from_secs_f64(minutes * 60.0) / part
}
