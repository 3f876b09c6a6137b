//! Administration: topics and their configs, groups, offsets. Calls are retried until the call timeout where that may help.

mod configs;
mod groups;
mod offsets;
mod topics;

pub use configs::{ConfigChange, TopicConfig};
pub use groups::{
    CommittedOffset, GroupDescription, GroupFilter, GroupListing, GroupMember, GroupState, GroupType,
};
pub use topics::{NewTopic, PartitionDescription, TopicDescription};

use crate::Client;

/// Administration of a cluster.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
}

impl Client {
    /// Administration of the cluster.
    pub fn admin(&self) -> Admin {
        Admin { client: self.clone() }
    }
}
