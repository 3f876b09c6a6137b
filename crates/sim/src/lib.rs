//! The whole system in one thread, on one seed: clients and a broker over pipes that delay and cut, on a disk that
//! loses its power, under a clock that only moves when everybody waits.
//!
//! A [`World`] is played by a workload, which writes a [`history`]; [`check`] judges that. Nothing here knows how
//! client or broker work: both come in by their public doors.

pub mod check;
mod clock;
pub mod history;
pub mod network;
mod play;
mod stage;
mod straight;
mod trouble;
mod workload;
mod world;

pub use clock::VirtualClock;
pub use network::Network;
pub use play::{Play, Tally, Workload, run, seeds};
pub use stage::{Keeps, Peace, RECOVERY, Reading, Stage};
pub use trouble::{Trouble, Weather};
pub use workload::{TOPIC, WORKLOADS};
pub use world::{Setup, World};
