//! What can happen: the one schema of a line, whoever writes it down.
//!
//! Calls of clients are an `invoke` and later an `ok`, a `fail` (it is certain that nothing was done) or an `info`
//! (nobody knows). All else is a line of its own. Times and durations are in microseconds.

use std::fmt;

use serde::{Deserialize, Serialize};
use vltava_client::{Acks, JumpCause, Offset, TopicPartition};

/// A line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the clock of who wrote it down.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum What {
    /// The play that this is the history of.
    Play {
        /// What is played.
        workload: String,
        /// From which seed.
        seed: u64,
        /// How late a deadline may be noticed: nearly nothing where time is virtual, seconds on a busy machine.
        slack: u64,
        /// Whether all nodes have one log, so that no leader lacks what another had.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        shares_log: bool,
    },
    /// A producer that will send. Its values are `client:number`, the numbers rising in the order of sending.
    Producer {
        /// What it is called.
        client: String,
        /// Who has to have a record before it counts as delivered.
        acks: Durability,
        /// Whether each record is written once and in order.
        idempotent: bool,
        /// From the invocation of a send until it has an outcome.
        timeout: u64,
    },
    /// A consumer that will poll.
    Consumer {
        /// What it is called.
        client: String,
        /// The group it is a member of, if it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// Where it goes on when its position is lost, if it does and that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resets: Option<Start>,
    },
    /// Somebody calls a client.
    Invoke {
        /// The call's number: its outcome has the same.
        op: u64,
        /// Who is called.
        client: String,
        /// What for.
        #[serde(flatten)]
        call: Call,
    },
    /// The call did what it was for.
    Ok {
        /// Which call.
        op: u64,
        /// Where a record came to lie.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partition: Option<Partition>,
        /// Where in it, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<i64>,
    },
    /// The call did nothing, for certain.
    Fail {
        /// Which call.
        op: u64,
        /// Why.
        error: String,
    },
    /// The call may have done what it was for, or may yet do it, or neither.
    Info {
        /// Which call.
        op: u64,
        /// Why nobody knows.
        error: String,
    },
    /// A consumer begins to read a partition.
    Assigned {
        /// Who.
        client: String,
        /// The number of the assignment. A partition that comes back has another one.
        assignment: u64,
        /// What.
        partition: Partition,
        /// Where it begins.
        start: Start,
    },
    /// A consumer does not read a partition any more.
    Revoked {
        /// Who.
        client: String,
        /// Under which number it was read.
        assignment: u64,
        /// What.
        partition: Partition,
    },
    /// A consumer was handed records.
    Poll {
        /// Who.
        client: String,
        /// Under which assignment.
        assignment: u64,
        /// Of which partition.
        partition: Partition,
        /// The offset it goes on from.
        next: i64,
        /// What it was handed, in this order.
        records: Vec<Record>,
    },
    /// A consumer was told of an error instead of being handed records.
    PollFailed {
        /// Who.
        client: String,
        /// What it was told.
        error: String,
    },
    /// The user has a consumer go on elsewhere.
    Seek {
        /// Who.
        client: String,
        /// In which partition.
        partition: Partition,
        /// Where.
        start: Start,
    },
    /// The user wants no records of a partition for the time being.
    Pause {
        /// Who is to hand out none.
        client: String,
        /// Of which partition.
        partition: Partition,
    },
    /// The user wants records again.
    Resume {
        /// Of whom.
        client: String,
        /// Of which partition.
        partition: Partition,
    },
    /// A consumer says that a position moved other than by reading on.
    Jump {
        /// Whose.
        client: String,
        /// In which partition.
        partition: Partition,
        /// Where it stood, if it stood anywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<i64>,
        /// Where it stands.
        to: i64,
        /// Why.
        cause: Cause,
    },
    /// A consumer says that all there is was handed out.
    EndReached {
        /// Who.
        client: String,
        /// Of which partition.
        partition: Partition,
        /// Where the next record will be.
        offset: i64,
    },
    /// A consumer says that a partition does not get on.
    Stalled {
        /// Who.
        client: String,
        /// Which.
        partition: Partition,
        /// For how long.
        since: u64,
        /// What it waits for.
        stall: String,
    },
    /// Somebody has looked at what a group has committed.
    Committed {
        /// Which group.
        group: String,
        /// For which partition.
        partition: Partition,
        /// The next record to read.
        offset: i64,
        /// When it was asked for; the answer is of a moment between that and the time of this line.
        asked: u64,
    },
    /// A client is gone without a word: nothing it was called for has an outcome any more.
    Crashed {
        /// Who.
        client: String,
    },
    /// The world does something to whoever lives in it.
    Fault(Fault),
    /// Records were taken out of a log by somebody who may. What was read of them is not there any more; after an
    /// election, a loss or a new topic others may come to lie at their offsets.
    Removed {
        /// From which log.
        partition: Partition,
        /// From this offset on.
        from: i64,
        /// Up to this one, which stays; all that follows if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<i64>,
        /// By whom.
        why: Removal,
    },
    /// The world leaves everybody in peace from now on.
    Calm {
        /// By then all that was begun has an outcome, and all that is there was handed out.
        within: u64,
    },
    /// Whoever reads as this consumer, or as a member of this group, has had the time to be handed everything.
    Drained {
        /// The consumer or the group.
        audience: String,
    },
    /// A piece of a log as it is in the end. Several pieces of one partition follow each other.
    Log {
        /// Whose.
        partition: Partition,
        /// The first offset that the log has.
        start: i64,
        /// Where the next record will be.
        end: i64,
        /// All records of the piece, in order.
        records: Vec<Record>,
    },
    /// Something was measured.
    Gauge {
        /// Whose it is.
        of: String,
        /// What it is.
        gauge: String,
        /// How much it was.
        value: u64,
        /// It may never be more than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most: Option<u64>,
    },
    /// Every client was closed: what is measured from now on may not be more than what was measured of it first.
    Closed,
}

/// What a client is called for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// To send a record.
    Send {
        /// Its value, which nobody else sends.
        value: String,
        /// Where to.
        topic: String,
        /// Where exactly, if the user says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partition: Option<i32>,
    },
    /// To bring all that was sent before to an end.
    Flush,
    /// To drop what is not delivered.
    Purge,
    /// To stop.
    Shutdown {
        /// How long that may take.
        within: u64,
    },
    /// To commit an offset.
    Commit {
        /// Of which partition.
        partition: Partition,
        /// The next record to read.
        offset: i64,
    },
}

/// What the world does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// A broker is stopped as its operator would.
    Stop {
        /// Which.
        node: i32,
    },
    /// A broker's process is killed; what it wrote is there.
    Kill {
        /// Which.
        node: i32,
    },
    /// A broker's machine loses its power; of what was not synced, some or all is gone.
    PowerLoss {
        /// Whose.
        node: i32,
    },
    /// A broker's process stands still.
    Freeze {
        /// Which.
        node: i32,
    },
    /// A broker is back, or goes on.
    Back {
        /// Which.
        node: i32,
    },
    /// Connections are cut.
    Cut,
    /// Nothing gets through to a broker, or from it.
    Unreachable {
        /// Which.
        node: i32,
    },
    /// A partition has another leader.
    LeaderMoved {
        /// Which.
        partition: Partition,
        /// The leader from now on.
        to: i32,
    },
    /// A disk takes no more.
    DiskFull {
        /// Whose.
        node: i32,
    },
    /// Something else, in words.
    Other {
        /// What.
        what: String,
    },
}

/// Who took records out of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// The topic's retention.
    Retention,
    /// Somebody who deleted them.
    DeleteRecords,
    /// Compaction, which leaves the latest of each key.
    Compaction,
    /// The election of a leader that does not have them.
    Election,
    /// A crash before they were synced, where the user had asked for no more.
    Unsynced,
    /// The topic was deleted, and perhaps made anew.
    Recreated,
}

impl Removal {
    /// Whether others may come to lie where the records were.
    pub fn frees_offsets(self) -> bool {
        matches!(self, Self::Election | Self::Unsynced | Self::Recreated)
    }
}

/// Who has to have a record before it counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Nobody.
    None,
    /// The leader.
    Leader,
    /// Every replica in sync.
    All,
}

impl From<Acks> for Durability {
    fn from(acks: Acks) -> Self {
        match acks {
            Acks::None => Self::None,
            Acks::Leader => Self::Leader,
            Acks::All => Self::All,
        }
    }
}

/// Where a consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At the first record there is.
    Earliest,
    /// Behind the last.
    Latest,
    /// At an offset: one that was named, or that the group had committed.
    At(i64),
    /// At some time.
    Time,
}

impl Start {
    /// The offset below which nothing is read, as far as it can be told.
    pub fn offset(self) -> Option<i64> {
        match self {
            Self::At(offset) => Some(offset),
            Self::Earliest => Some(0),
            Self::Latest | Self::Time => None,
        }
    }
}

impl From<Offset> for Start {
    fn from(offset: Offset) -> Self {
        match offset {
            Offset::Earliest => Self::Earliest,
            Offset::Latest => Self::Latest,
            Offset::Exact(offset) => Self::At(offset),
            Offset::Timestamp(_) | Offset::Within(_) => Self::Time,
        }
    }
}

/// Why a position moved other than by reading on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The log does not have the offset.
    OutOfRange,
    /// The log lost its end.
    Truncated,
    /// The topic was made anew.
    Recreated,
    /// One that this page does not know.
    Other,
}

impl From<JumpCause> for Cause {
    fn from(cause: JumpCause) -> Self {
        match cause {
            JumpCause::OutOfRange => Self::OutOfRange,
            JumpCause::Truncated => Self::Truncated,
            JumpCause::Recreated => Self::Recreated,
            _ => Self::Other,
        }
    }
}

/// A record that somebody saw: its offset and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record(pub i64, pub String);

/// A partition, written as `orders-3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Partition {
    /// The topic.
    pub topic: String,
    /// Its number in the topic.
    pub number: i32,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.number)
    }
}

impl From<Partition> for String {
    fn from(it: Partition) -> Self {
        it.to_string()
    }
}

impl TryFrom<String> for Partition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.rsplit_once('-').and_then(|(topic, number)| Some((topic, number.parse().ok()?)));
        let (topic, number) = parts.ok_or_else(|| format!("{text:?} names no partition"))?;
        Ok(Self { topic: topic.to_owned(), number })
    }
}

impl From<&TopicPartition> for Partition {
    fn from(it: &TopicPartition) -> Self {
        Self { topic: it.topic.to_string(), number: it.partition }
    }
}

impl From<&Partition> for TopicPartition {
    fn from(it: &Partition) -> Self {
        Self::new(&*it.topic, it.number)
    }
}
