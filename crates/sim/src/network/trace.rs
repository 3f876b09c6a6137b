//! What the network did, in order: every piece that was carried, by its length and checksum, and what was done to
//! pipes. Two plays are the same if their traces are.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use tokio::time::Instant;

use super::{Node, micros_since};

/// What the network did. A clone is the same trace.
#[derive(Clone)]
pub struct Trace(Arc<Shared>);

struct Shared {
    start: Instant,
    lines: Mutex<Vec<Line>>,
}

struct Line {
    at: u64,
    /// The number of the pipe; zero for all of the network.
    pipe: u64,
    step: Step,
}

/// One thing that the network did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A pipe was opened.
    Opened {
        /// By whom.
        client: String,
        /// To which node.
        node: Node,
    },
    /// Bytes arrived.
    Carried(Way, Bytes),
    /// Bytes were sent and are gone.
    Swallowed(Way, Bytes),
    /// One end was closed, or the pipe was cut, and nothing is carried this way any more.
    Ended(Way),
    /// Nothing gets through in some places from now on.
    Parted,
    /// Everything gets through again.
    Healed,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the node.
    Up,
    /// From the node to the client.
    Down,
}

/// What bytes they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    count: usize,
    checksum: u64,
}

impl Bytes {
    pub(super) fn of(bytes: &[u8]) -> Self {
        // FNV-1a: quick enough, and nobody here wants to deceive.
        let checksum = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, it| {
            (sum ^ u64::from(*it)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { count: bytes.len(), checksum }
    }
}

impl Trace {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared { start: Instant::now(), lines: Mutex::default() }))
    }

    pub(super) fn note(&self, pipe: u64, step: Step) {
        let line = Line { at: micros_since(self.0.start), pipe, step };
        self.0.lines.lock().expect("nothing panics with this lock").push(line);
    }

    /// How many steps there were.
    pub fn len(&self) -> usize {
        self.0.lines.lock().expect("nothing panics with this lock").len()
    }

    /// Whether nothing was done yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Trace {
    /// A line for each step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { at, pipe, step } in self.0.lines.lock().expect("nothing panics with this lock").iter() {
            write!(f, "{at} {pipe} ")?;
            match step {
                Step::Opened { client, node } => writeln!(f, "{client} opens it to node {node}")?,
                Step::Carried(way, Bytes { count, checksum }) => {
                    writeln!(f, "{way} {count} {checksum:016x}")?;
                }
                Step::Swallowed(way, Bytes { count, checksum }) => {
                    writeln!(f, "{way} {count} {checksum:016x} swallowed")?;
                }
                Step::Ended(way) => writeln!(f, "{way} ended")?,
                Step::Parted => writeln!(f, "parted")?,
                Step::Healed => writeln!(f, "healed")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}
