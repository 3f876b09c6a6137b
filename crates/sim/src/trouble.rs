//! What may go wrong with a world while clients are at work, and the end of it all.

use std::time::Duration;

use tokio::time::sleep;
use vltava_broker::{ErrorCode, faults::Topics};

use crate::{
    history::{Fault, What},
    network::{Dialing, Pace, Pipes, Route},
    world::World,
};

/// Something that may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Some pipes are cut.
    Cut,
    /// Some pipes swallow what is sent, one way or both, and nobody is told.
    Swallow,
    /// Nothing gets through to a node, or from a client, or at all.
    Part,
    /// Everything takes long.
    Delay,
    /// Everything comes in small pieces.
    Trickle,
    /// Nobody gets a new connection.
    Refuse,
    /// Connections take long to open.
    SlowDial,
    /// The broker is stopped cleanly and started again.
    Restart,
    /// The broker's process is killed.
    Kill,
    /// The broker's machine loses its power.
    PowerLoss,
    /// The disk fails to sync, and the broker is started again.
    FailSync,
    /// The disk is full.
    DiskFull,
    /// A partition gets another leader.
    MoveLeader,
    /// A node stops; others lead what it led.
    StopNode,
    /// Requests are refused, lost, cut, delayed or throttled by the broker.
    Errors,
    /// The wall clock of the broker jumps, by an hour at most.
    Clock,
}

/// What a broker may say of a batch that it has not written.
const PRODUCE_ERRORS: &[ErrorCode] = &[
    ErrorCode::NotLeaderOrFollower,
    ErrorCode::NotEnoughReplicas,
    ErrorCode::RequestTimedOut,
    ErrorCode::UnknownProducerId,
    ErrorCode::OutOfOrderSequenceNumber,
    ErrorCode::KafkaStorageError,
    ErrorCode::UnknownTopicOrPartition,
];

/// What a broker may say instead of records.
const FETCH_ERRORS: &[ErrorCode] = &[
    ErrorCode::NotLeaderOrFollower,
    ErrorCode::FencedLeaderEpoch,
    ErrorCode::FetchSessionIdNotFound,
    ErrorCode::InvalidFetchSessionEpoch,
    ErrorCode::OffsetNotAvailable,
    ErrorCode::KafkaStorageError,
    ErrorCode::UnknownTopicId,
];

/// How often trouble comes.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// So many times.
    pub times: u32,
    /// So long after the last, at most.
    pub pause_most: Duration,
}

/// Makes trouble, again and again. What lasts ends by chance, or with [`calm`].
pub(crate) async fn trouble(world: &mut World, kinds: &[Trouble], weather: Weather) {
    for _ in 0..weather.times {
        let pause = world.rng.below(weather.pause_most.as_millis() as u64);
        sleep(Duration::from_millis(20 + pause)).await;
        if world.rng.chance(30) {
            world.network.heal();
        }
        if world.rng.chance(30) {
            world.heal_disk();
        }
        if world.rng.chance(30) {
            world.rules().clear();
        }
        if world.rng.chance(30) {
            world.start_nodes().await;
        }
        let kind = kinds[world.rng.below(kinds.len() as u64) as usize];
        strike(world, kind).await;
        world.measure();
    }
}

/// Leaves everybody in peace from now on. By then, after `within`, all has to be well.
pub(crate) async fn calm(world: &mut World, within: Duration) {
    world.network.heal();
    world.heal_disk();
    world.rules().clear();
    world.start_nodes().await;
    world.set_clock_right();
    world.recorder.note(What::Calm { within: within.as_micros() as u64 });
}

async fn strike(world: &mut World, kind: Trouble) {
    let away = Duration::from_millis(world.rng.below(1_000));
    match kind {
        Trouble::Cut => {
            world.fault("cut", Fault::Cut);
            world.network.cut_some(40);
        }
        Trouble::Swallow => {
            world.fault("half open", Fault::Cut);
            world.network.swallow_some(30);
        }
        Trouble::Part => part(world),
        Trouble::Delay | Trouble::Trickle | Trouble::Refuse | Trouble::SlowDial => slow(world, kind),
        Trouble::Restart => world.restart(away).await,
        Trouble::Kill => world.kill(away).await,
        Trouble::PowerLoss => world.lose_power(away).await,
        Trouble::FailSync => {
            world.fail_syncs();
            sleep(away / 4).await;
            world.heal_disk();
            world.kill(away).await;
        }
        Trouble::DiskFull => world.fill_disk(),
        Trouble::MoveLeader => world.move_leader().await,
        Trouble::StopNode => world.stop_node().await,
        Trouble::Errors => refuse(world),
        Trouble::Clock => {
            let hours = [-3_600_000, -1_000, 1_000, 3_600_000];
            let off = hours[world.rng.below(hours.len() as u64) as usize];
            world.set_clock(off);
        }
    }
}

fn part(world: &mut World) {
    let node = 1 + world.rng.below(*world.nodes().end() as u64) as i32;
    let clients = world.clients();
    let client = clients.get(world.rng.below(clients.len().max(1) as u64) as usize).cloned();
    let pipes = match (world.rng.below(3), &client) {
        (0, Some(client)) => Pipes::Of(client),
        (1, Some(client)) => Pipes::Between(client, node),
        _ => Pipes::To(node),
    };
    world.fault("parted", Fault::Unreachable { node });
    world.network.part(pipes);
}

/// Has the broker do to some requests what brokers do.
fn refuse(world: &mut World) {
    let rules = world.rules();
    let ratio = [0.05, 0.3][world.rng.below(2) as usize];
    let time = Duration::from_millis(1 + world.rng.below(3_000));
    let bytes = world.rng.below(30) as usize;
    let refused = PRODUCE_ERRORS[world.rng.below(PRODUCE_ERRORS.len() as u64) as usize];
    let unread = FETCH_ERRORS[world.rng.below(FETCH_ERRORS.len() as u64) as usize];
    let (name, fault) = match world.rng.below(10) {
        0..3 => ("produce refused", rules.produce(Topics::All).error(refused)),
        3 => {
            let code = ErrorCode::NotEnoughReplicasAfterAppend;
            ("produced and refused", rules.produce(Topics::All).error_although_done(code))
        }
        4 => ("fetch refused", rules.fetch(Topics::All).error(unread)),
        5 => ("metadata refused", rules.metadata(Topics::All).error(ErrorCode::LeaderNotAvailable)),
        6 => ("reply lost", rules.any().drop_reply()),
        7 => ("reply cut", rules.any().cut_reply(bytes)),
        8 => ("reply late", rules.any().delay_reply(time)),
        _ => ("throttled", rules.any().throttle(time)),
    };
    drop(fault.ratio(ratio));
    world.fault(name, Fault::Other { what: format!("of {ratio} of all: {name}") });
}

/// What makes everything slower than it is.
fn slow(world: &mut World, kind: Trouble) {
    let usual = Route::default();
    let (name, route) = match kind {
        Trouble::Delay => ("delay", Route { delay_most: Duration::from_millis(400), ..usual }),
        Trouble::Trickle => {
            let pace = match world.rng.chance(50) {
                true => Pace { bytes: 1, every: Duration::ZERO },
                false => Pace { bytes: 700, every: Duration::from_millis(3) },
            };
            ("trickle", Route { pace, ..usual })
        }
        Trouble::Refuse => ("refused", Route { dialing: Dialing::Refused, ..usual }),
        _ => ("slow dial", Route { dialing: Dialing::Takes(Duration::from_millis(1_500)), ..usual }),
    };
    world.fault(name, Fault::Other { what: format!("the network: {name}") });
    world.network.set(Pipes::All, route);
}
