//! The table of APIs: key, versions, since when flexible, and which response answers which request.

use std::ops::RangeInclusive;

use crate::{messages::*, primitive::Wire, version::Version};

/// A request type and all that its API fixes.
pub trait Request: Wire + Send + 'static {
    /// What answers it.
    type Response: Wire + Send + 'static;
    /// Its API.
    const API: Api;
}

/// Declares [`Api`] from a table of `key Name, versions, flexible since;` rows.
macro_rules! apis {
    ($($key:literal $name:ident: $request:ident => $response:ident, $versions:expr, flexible $flexible:literal;)*) => {
        /// An API of the Kafka protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        #[repr(i16)]
        pub enum Api {
            $($name = $key,)*
        }

        impl Api {
            /// Every API this crate speaks, by key.
            pub const ALL: &[Api] = &[$(Api::$name,)*];

            /// The API of a key, if this crate speaks it.
            pub fn from_key(key: i16) -> Option<Self> {
                match key {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The versions this crate speaks.
            pub fn versions(self) -> RangeInclusive<i16> {
                match self {
                    $(Self::$name => $versions,)*
                }
            }

            /// The first flexible version.
            fn flexible_since(self) -> i16 {
                match self {
                    $(Self::$name => $flexible,)*
                }
            }
        }

        $(impl Request for $request {
            type Response = $response;
            const API: Api = Api::$name;
        })*
    };
}

apis! {
    0 Produce: ProduceRequest => ProduceResponse, 3..=13, flexible 9;
    1 Fetch: FetchRequest => FetchResponse, 4..=18, flexible 12;
    2 ListOffsets: ListOffsetsRequest => ListOffsetsResponse, 1..=11, flexible 6;
    3 Metadata: MetadataRequest => MetadataResponse, 0..=13, flexible 9;
    8 OffsetCommit: OffsetCommitRequest => OffsetCommitResponse, 2..=10, flexible 8;
    9 OffsetFetch: OffsetFetchRequest => OffsetFetchResponse, 1..=10, flexible 6;
    10 FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse, 0..=6, flexible 3;
    11 JoinGroup: JoinGroupRequest => JoinGroupResponse, 0..=9, flexible 6;
    12 Heartbeat: HeartbeatRequest => HeartbeatResponse, 0..=4, flexible 4;
    13 LeaveGroup: LeaveGroupRequest => LeaveGroupResponse, 0..=5, flexible 4;
    14 SyncGroup: SyncGroupRequest => SyncGroupResponse, 0..=5, flexible 4;
    15 DescribeGroups: DescribeGroupsRequest => DescribeGroupsResponse, 0..=6, flexible 5;
    16 ListGroups: ListGroupsRequest => ListGroupsResponse, 0..=5, flexible 3;
    18 ApiVersions: ApiVersionsRequest => ApiVersionsResponse, 0..=4, flexible 3;
    19 CreateTopics: CreateTopicsRequest => CreateTopicsResponse, 2..=7, flexible 5;
    20 DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse, 1..=6, flexible 4;
    22 InitProducerId: InitProducerIdRequest => InitProducerIdResponse, 0..=6, flexible 2;
}

impl Api {
    /// Its number on the wire.
    pub fn key(self) -> i16 {
        self as i16
    }

    /// A version of it.
    pub fn version(self, number: i16) -> Version {
        Version { number, flexible: number >= self.flexible_since() }
    }
}
