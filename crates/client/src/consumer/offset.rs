//! Where to read a partition from.

use std::time::Duration;

use vltava_core::{
    Timestamp,
    fetch::{Place, Point, Start},
};

/// Where to read a partition from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// The first record there is.
    Earliest,
    /// Behind the last record there is, looked up once.
    Latest,
    /// This offset.
    Exact(i64),
    /// The first record that is as late or later; behind the last if there is none.
    Timestamp(Timestamp),
    /// The first record that is no older than this by then; behind the last if there is none.
    Within(Duration),
}

impl Offset {
    /// The place to look up, or the offset itself if it says it all.
    pub(crate) fn place(self) -> Result<Place, i64> {
        match self {
            Self::Earliest => Ok(Place::Earliest),
            Self::Latest => Ok(Place::Latest),
            Self::Timestamp(timestamp) => Ok(Place::Since(timestamp)),
            Self::Within(age) => Ok(Place::Within(age)),
            Self::Exact(offset) => Err(offset),
        }
    }

    /// Where to start, if the record before an exact offset was written by the leader of this epoch.
    pub(crate) fn start(self, leader_epoch: i32) -> Start {
        match self.place() {
            Ok(place) => Start::Place(place),
            Err(offset) => Start::At(Point { offset, leader_epoch }),
        }
    }
}

impl From<i64> for Offset {
    fn from(offset: i64) -> Self {
        Self::Exact(offset)
    }
}
