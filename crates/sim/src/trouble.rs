//! What may go wrong with a world while clients are at work, and the end of it all.

use std::time::Duration;

use tokio::time::sleep;

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
    /// The wall clock of the broker jumps, by an hour at most.
    Clock,
}

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
        let kind = kinds[world.rng.below(kinds.len() as u64) as usize];
        strike(world, kind).await;
    }
}

/// Leaves everybody in peace from now on. By then, after `within`, all has to be well.
pub(crate) fn calm(world: &mut World, within: Duration) {
    world.network.heal();
    world.heal_disk();
    world.set_clock(0);
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
