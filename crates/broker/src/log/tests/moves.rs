//! Leaders that move, and a loss of power at any place: what was told of a leader stays so, and no settled epoch has
//! two.

use vltava_wire::ErrorCode;

use super::{
    cuts::{Witness, cut_every_life, cut_everywhere, traced},
    *,
};
use crate::log::Refused;

/// Of a disk that takes its time.
const LATENCY: Duration = Duration::from_millis(2);

/// What a test knows of the leaders of a partition.
#[derive(Debug, Clone, Default)]
struct Told {
    topic: Option<PartitionId>,
    /// The leader when this life began, and those it was moved to, in order.
    reigns: Vec<Leader>,
    /// How many operations of the disk there were when each of them was settled, as far as they were.
    settled: Vec<usize>,
}

impl Witness for Told {
    async fn live(&mut self, disk: &Memory, seed: u64, steps: usize) {
        let mut chance = Rng::new(seed);
        let broker = Broker::open(disk.clone(), small()).await.expect("nothing is damaged");
        let at = match self.topic {
            Some(at) => at,
            None => broker.topic("orders", 1).await,
        };
        self.topic = Some(at);
        self.reigns = vec![broker.log.bounds(at).expect("it is there").leader];
        self.settled = vec![disk.operations()];
        for _ in 0..steps {
            let to = NodeId(1 + chance.below(3) as i32);
            let position = broker.log.lead(at.topic, &[(0, to)]).expect("the topic is there");
            self.reigns.push(broker.log.bounds(at).expect("it is there").leader);
            for _ in 0..chance.below(3) {
                let value = "x".repeat(chance.below(200) as usize);
                broker.log.append(at, to, &batch(&[value])).expect("it leads");
            }
            if chance.chance(60) {
                broker.log.settled(position).await.expect("the disk is well");
                self.settled.resize(self.reigns.len(), disk.operations());
            }
        }
        if chance.chance(50) {
            broker.stop().await;
        } else {
            broker.kill().await;
        }
    }

    async fn judge(&self, disk: &Memory, operations: usize, because: &str) -> Self {
        let broker = match Broker::open(disk.clone(), small()).await {
            Ok(broker) => broker,
            Err(error) => panic!("{because}: {error}"),
        };
        let settled = self.settled.iter().filter(|at| **at <= operations).count();
        let Some(topic) = broker.log.topic("orders") else {
            assert_eq!(settled, 0, "{because}: the topic is gone");
            broker.kill().await;
            return Self::default();
        };
        let at = PartitionId { topic: topic.id, partition: 0 };
        let leader = broker.log.bounds(at).expect("it is there").leader;
        assert_eq!(topic.leaders, [leader], "{because}: the ledger and the partition agree");
        // To open it again begins a reign of its own, by the leader it had.
        let again = |it: &Leader| Leader { epoch: it.epoch + 1, ..*it };
        let mut possible: Vec<_> = self.reigns.iter().skip(settled.saturating_sub(1)).map(again).collect();
        // Unless this life has not even begun.
        possible.extend(self.reigns.first().filter(|_| settled == 0));
        assert!(possible.contains(&leader), "{because}: {leader:?} of {possible:?}");
        broker.kill().await;
        Self { topic: Some(at), ..Self::default() }
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_told_stays_so_after_a_cut_after_any_operation_and_another_cut_after_that() {
    for seed in 0..4 {
        let disk = traced(seed, LATENCY);
        let mut told = Told::default();
        told.live(&disk, seed, 12).await;
        cut_everywhere(&disk, &told, seed, 4).await;
    }
}

#[tokio::test(start_paused = true)]
async fn leaders_move_through_many_lives_with_a_loss_of_power_in_each() {
    for seed in 100..160 {
        cut_every_life::<Told>(traced(seed, LATENCY), seed, 6).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_node_leads_is_not_appended_to() {
    let broker = Broker::open(Memory::new(), small()).await.unwrap();
    let at = broker.topic("orders", 2).await;
    let code = |refused: Refused| refused.code();
    let to = NodeId(2);
    assert_eq!(
        code(broker.log.append(at, to, &batch(&["early"])).unwrap_err()),
        ErrorCode::NotLeaderOrFollower
    );
    broker.log.lead(at.topic, &[(0, to)]).unwrap();
    broker.log.append(at, to, &batch(&["one"])).unwrap();
    assert_eq!(
        code(broker.log.append(at, FIRST, &batch(&["late"])).unwrap_err()),
        ErrorCode::NotLeaderOrFollower
    );
    let unknown = broker.log.lead(at.topic, &[(1, to), (2, to)]).unwrap_err();
    assert_eq!(code(unknown), ErrorCode::UnknownTopicOrPartition);
    let other = broker.log.bounds(PartitionId { partition: 1, ..at }).unwrap().leader;
    assert_eq!(other, Leader { node: FIRST, epoch: 0 }, "nothing of it happened");
}
