//! What a member is told of its group before it joins.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    Backoff,
    group::assign::{Assignor, CooperativeSticky, Range},
};

/// What a member is to its group.
#[derive(Debug, Clone)]
pub struct Config {
    /// The group.
    pub group_id: String,
    /// What to read. Topics that are not there yet are joined when they are.
    pub topics: BTreeSet<String>,
    /// What else to read: topics whose names the coordinator finds to match, as it understands regular expressions.
    /// Only the consumer protocol has it.
    pub regex: Option<String>,
    /// How the group agrees on who has what.
    pub protocol: Protocol,
    /// The ways of sharing out that are offered to a group of the classic protocol, the one liked best first. None:
    /// those of [`Config::assignors`]; whoever names some asks for the classic protocol.
    pub assignors: Vec<Arc<dyn Assignor>>,
    /// What the coordinator of the consumer protocol is to share out by; its own choice if none.
    pub server_assignor: Option<String>,
    /// The name of a static member (KIP-345), which finds its partitions again after a restart.
    pub instance_id: Option<String>,
    /// Where the member is, in the words of the brokers' `broker.rack`.
    pub rack: Option<String>,
    /// Unheard of for so long, the coordinator gives the member's partitions to others. In the consumer protocol the
    /// coordinator has a time of its own, and this is how long the member believes that it is still heard of.
    pub session_timeout: Duration,
    /// How long a rebalance waits for members to give back what they had.
    pub rebalance_timeout: Duration,
    /// The time between two signs of life. In the consumer protocol the coordinator says.
    pub heartbeat_interval: Duration,
    /// How long any call but a join may take.
    pub request_timeout: Duration,
    /// The pause after a failure.
    pub backoff: Backoff,
}

/// How a group agrees on who has what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The consumer protocol where the coordinator has it, unless assignors of the member's own are offered.
    #[default]
    Auto,
    /// Members join, and one of them shares out.
    Classic,
    /// The coordinator shares out (KIP-848).
    Consumer,
}

/// How a member parts from its group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Parting {
    /// A static member will be back, and its partitions wait for it; any other leaves.
    #[default]
    Usual,
    /// For good: others get its partitions at once.
    Leave,
    /// Without a word: others get its partitions when its session is over.
    Remain,
}

impl Config {
    /// What is offered to a group of the classic protocol: by default what Java offers, so that all clients get on in
    /// one group. Such a group is eager; one in which everybody drops `range` is cooperative, without ever stopping.
    pub(in crate::group) fn assignors(&self) -> Vec<Arc<dyn Assignor>> {
        match &*self.assignors {
            [] => vec![Arc::new(Range), Arc::new(CooperativeSticky)],
            own => own.to_vec(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            group_id: String::new(),
            topics: BTreeSet::new(),
            regex: None,
            protocol: Protocol::default(),
            assignors: Vec::new(),
            server_assignor: None,
            instance_id: None,
            rack: None,
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(3),
            request_timeout: Duration::from_secs(30),
            backoff: Backoff::default(),
        }
    }
}
