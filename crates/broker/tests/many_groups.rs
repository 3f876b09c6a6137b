//! What a thousand groups of ten members cost, in which every member says that it lives.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use vltava_broker::Broker;
use vltava_wire::{Request, frame, messages::ConsumerGroupHeartbeatRequest};

const GROUPS: usize = 1_000;
const MEMBERS: usize = 10;
/// Partitions of the topic that each group reads.
const PARTITIONS: i32 = 20;
/// So often each member beats in what is measured.
const ROUNDS: usize = 3;

/// A member with its share, twice: as the coordinator works with it, and as the log has it.
const BYTES_EACH_MAX: usize = 16 << 10;

/// What decoding a response may allocate.
const BUDGET: usize = 1 << 20;

struct Caller {
    pipe: DuplexStream,
    correlation_id: i32,
}

impl Caller {
    async fn beat(&mut self, group: usize, member: usize, epoch: &mut i32) {
        self.correlation_id += 1;
        let is_first = *epoch == 0;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: format!("group-{group}"),
            member_id: format!("member-{member}"),
            member_epoch: *epoch,
            rebalance_timeout_ms: if is_first { 60_000 } else { -1 },
            subscribed_topic_names: is_first.then(|| vec!["orders".to_owned()]),
            topic_partitions: is_first.then(Vec::new),
            ..Default::default()
        };
        let request = frame::request(1, self.correlation_id, Some("tester"), &request).expect("it encodes");
        self.pipe.write_all(&request.into_bytes()).await.expect("the broker reads");
        let length = self.pipe.read_u32().await.expect("it answers");
        let mut bytes = vec![0; length as usize];
        self.pipe.read_exact(&mut bytes).await.expect("it answers");
        let told = body(bytes.into());
        assert_eq!(told.error_code, 0, "group {group}, member {member}: {:?}", told.error_message);
        *epoch = told.member_epoch;
    }
}

fn body(frame: Bytes) -> <ConsumerGroupHeartbeatRequest as Request>::Response {
    frame::response_body::<ConsumerGroupHeartbeatRequest>(frame, 1, BUDGET).expect("it decodes")
}

#[tokio::test]
async fn a_thousand_groups_of_ten_members_cost_little() {
    let broker = Broker::in_memory().seed(1).topic("orders", PARTITIONS).start().await.unwrap();
    let mut caller = Caller { pipe: broker.connect(), correlation_id: 0 };
    let mut epochs = vec![[0; MEMBERS]; GROUPS];
    let before = resident_bytes();
    for (group, epochs) in epochs.iter_mut().enumerate() {
        for (member, epoch) in epochs.iter_mut().enumerate() {
            caller.beat(group, member, epoch).await;
        }
    }
    let bytes = resident_bytes().saturating_sub(before) / (GROUPS * MEMBERS);
    let from = cpu_ticks();
    for _ in 0..ROUNDS {
        for (group, epochs) in epochs.iter_mut().enumerate() {
            for (member, epoch) in epochs.iter_mut().enumerate() {
                caller.beat(group, member, epoch).await;
            }
        }
    }
    let beats = ROUNDS * GROUPS * MEMBERS;
    let micros = (cpu_ticks() - from) * TICK_MICROS / beats as u64;
    println!(
        r#"figures: groups {{"groups": {GROUPS}, "members": {MEMBERS}, "bytes_each": {bytes}, "beat_us": {micros}}}"#
    );
    assert!(bytes < BYTES_EACH_MAX, "{bytes} bytes for each member");
}

/// What Linux counts CPU time in.
const TICK_MICROS: u64 = 10_000;

/// The CPU time of this process, both ends of every request: user's and system's.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux says how long a process ran");
    let rest = stat.rsplit(") ").next().expect("the name is in brackets");
    let ticks: Vec<u64> = rest.split(' ').skip(11).take(2).filter_map(|it| it.parse().ok()).collect();
    ticks.iter().sum()
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux says how large a process is");
    let resident: usize = pages.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("the second number");
    resident * 4096
}
