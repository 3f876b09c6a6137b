//! How a rule is said: an aim takes which requests, a fault takes how often.

use std::{marker::PhantomData, time::Duration};

use vltava_wire::{Api, ErrorCode};

use super::{
    Faults, Rule,
    rules::{Effect, End, Often, Scope, Topics, What},
};

/// Requests that name partitions, and are told an error of each.
#[derive(Debug, Clone, Copy)]
pub enum Partitions {}

/// Requests that name topics, or other things with configs, and are told an error of each.
#[derive(Debug, Clone, Copy)]
pub enum Resources {}

/// Requests that are told one error.
#[derive(Debug, Clone, Copy)]
pub enum Whole {}

/// Which requests something is to happen to. `Of` is what a response of theirs tells errors of.
#[derive(Debug, Clone)]
#[must_use = "nothing goes wrong before it is said what"]
pub struct Aim<Of> {
    faults: Faults,
    scope: Scope,
    of: PhantomData<Of>,
}

/// Something that is to go wrong.
#[derive(Debug, Clone)]
#[must_use = "nothing goes wrong before it is said how often: once, times, always or ratio"]
pub struct Fault {
    faults: Faults,
    scope: Scope,
    what: What,
}

/// Declares which requests can be aimed at, from a table of `name Api: whose errors, what they are;` rows.
macro_rules! aims {
    ($($method:ident $api:ident: $of:ident, $what:literal;)*) => {
        impl Faults {
            $(aims!(@method $method $api $of $what);)*

            /// Requests of every kind. An error is told wherever the response of each has a place for it.
            pub fn any(&self) -> Aim<Whole> {
                Aim { faults: self.clone(), scope: Scope::default(), of: PhantomData }
            }
        }

        /// Every API that can be aimed at.
        #[cfg(test)]
        const AIMED: &[Api] = &[$(Api::$api),*];
    };
    (@method $method:ident $api:ident Whole $what:literal) => {
        #[doc = concat!("Requests ", $what, ".")]
        pub fn $method(&self) -> Aim<Whole> {
            self.aim(Api::$api, Topics::All)
        }
    };
    (@method $method:ident $api:ident $of:ident $what:literal) => {
        #[doc = concat!("Requests ", $what, ".")]
        pub fn $method(&self, topics: impl Into<Topics>) -> Aim<$of> {
            self.aim(Api::$api, topics.into())
        }
    };
}

aims! {
    produce Produce: Partitions, "to write batches";
    fetch Fetch: Partitions, "to read batches, also where a fetch session says of which partitions. Errors of such
a session are told of the whole response";
    list_offsets ListOffsets: Partitions, "for offsets by time, or of beginning or end";
    metadata Metadata: Partitions, "for topics and their leaders. An error is told of the topic unless it is said of
which partition; a partition with an error has no leader";
    offset_commit OffsetCommit: Partitions, "to commit offsets of a group";
    offset_fetch OffsetFetch: Partitions, "for the offsets that a group committed. An error that is one of groups is
told of the whole group, unless it is said of which topic";
    offset_for_leader_epoch OffsetForLeaderEpoch: Partitions, "for where an epoch ended";
    offset_delete OffsetDelete: Partitions, "to delete offsets that a group committed";
    delete_records DeleteRecords: Partitions, "to delete what is before an offset";
    create_topics CreateTopics: Resources, "to create topics";
    delete_topics DeleteTopics: Resources, "to delete topics";
    describe_configs DescribeConfigs: Resources, "for configs of topics and, with [`Topics::All`], of anything else";
    alter_configs AlterConfigs: Resources, "to replace configs of topics and, with [`Topics::All`], of anything else";
    incremental_alter_configs IncrementalAlterConfigs: Resources, "to change configs of topics and, with
[`Topics::All`], of anything else";
    find_coordinator FindCoordinator: Whole, "for who coordinates groups";
    join_group JoinGroup: Whole, "to join a group";
    sync_group SyncGroup: Whole, "for what a member of a group is assigned";
    heartbeat Heartbeat: Whole, "that say that a member of a group lives";
    consumer_group_heartbeat ConsumerGroupHeartbeat: Whole, "of members of groups whose coordinator assigns";
    consumer_group_describe ConsumerGroupDescribe: Whole, "for the state of such groups";
    leave_group LeaveGroup: Whole, "to leave a group";
    describe_groups DescribeGroups: Whole, "for the state of groups";
    delete_groups DeleteGroups: Whole, "to delete groups";
    list_groups ListGroups: Whole, "for which groups there are";
    init_producer_id InitProducerId: Whole, "for the id of an idempotent producer";
    api_versions ApiVersions: Whole, "for what the broker serves, the first on a connection. With
[`ErrorCode::UnsupportedVersion`] the response is in version 0 and tells what is served, as of an older broker";
}

impl Faults {
    fn aim<Of>(&self, api: Api, topics: Topics) -> Aim<Of> {
        let scope = Scope { api: Some(api), topics, ..Scope::default() };
        Aim { faults: self.clone(), scope, of: PhantomData }
    }
}

impl Aim<Partitions> {
    /// Only those that name this partition, and of errors only what is told of it.
    pub fn partition(mut self, partition: i32) -> Self {
        self.scope.partition = Some(partition);
        self
    }

    /// Before they have any effect, this node leads the partitions that they name. What only a leader does (produce,
    /// list offsets, ask for the end of an epoch, delete records, and fetch by who does not know the new epoch) the one
    /// that is asked then refuses, and the client has to find the new leader; metadata names it already, and offsets
    /// are committed and fetched all the same. Where the node leads already, or was stopped, nothing changes.
    ///
    /// # Panics
    /// If the broker has no such node.
    pub fn move_leader(self, to: i32) -> Fault {
        let nodes = self.faults.shared.nodes;
        let is_known = usize::try_from(to).is_ok_and(|to| (1..=nodes).contains(&to));
        assert!(is_known, "the broker has nodes 1 to {nodes}, and no node {to}");
        self.fault(What::MoveLeader(to))
    }
}

impl<Of> Aim<Of> {
    /// Only those of clients with this `client.id`.
    pub fn client(mut self, client_id: impl Into<String>) -> Self {
        self.scope.client_id = Some(client_id.into());
        self
    }

    /// Only those that this node is asked.
    pub fn node(mut self, node: i32) -> Self {
        self.scope.node = Some(node);
        self
    }

    /// They are refused with this error and have no effect. It is told where Kafka tells it: of each partition that is
    /// meant, of each topic, or of the whole; what else is in the same request is served. A producer that asks for no
    /// acknowledgement is told by closing its connection.
    ///
    /// # Panics
    /// If the code is that of no error.
    pub fn error(self, code: ErrorCode) -> Fault {
        self.fails(code, Effect::Refused)
    }

    /// They are carried out, and told this error all the same: as by a leader that is gone before its followers have
    /// what it wrote.
    ///
    /// # Panics
    /// If the code is that of no error.
    pub fn error_although_done(self, code: ErrorCode) -> Fault {
        self.fails(code, Effect::Done)
    }

    /// They arrive so much later: until then they have no effect, and what comes behind them on the same connection
    /// waits too.
    pub fn delay_request(self, time: Duration) -> Fault {
        self.fault(What::DelayRequest(time))
    }

    /// They are carried out at once, and their reply leaves so much later than it would; what comes behind it on the
    /// same connection waits too.
    pub fn delay_reply(self, time: Duration) -> Fault {
        self.fault(What::DelayReply(time))
    }

    /// They get lost on their way, and all that is sent after them on the same connection, which stays open. What
    /// came before is answered.
    pub fn drop_request(self) -> Fault {
        self.fault(What::EndRequest(End::Silence))
    }

    /// They are carried out, and so is all that comes after them on the same connection, which stays open; but no
    /// reply arrives any more.
    pub fn drop_reply(self) -> Fault {
        self.fault(What::EndReply(End::Silence))
    }

    /// The connection is closed instead of carrying them out, once what came before is answered.
    pub fn cut_request(self) -> Fault {
        self.fault(What::EndRequest(End::Cut(0)))
    }

    /// They are carried out, and the connection is closed after so many bytes of the reply, of which the first four
    /// are its length: 0 for none at all. A reply that is shorter arrives.
    pub fn cut_reply(self, bytes: usize) -> Fault {
        self.fault(What::EndReply(End::Cut(bytes)))
    }

    /// They are carried out and answered at once; the reply asks the client to rest for so long, and nothing more is
    /// read from the connection meanwhile, as if a quota were exceeded (KIP-219). Where the version of a reply has no
    /// place to ask, the connection is not read all the same.
    pub fn throttle(self, time: Duration) -> Fault {
        self.fault(What::Throttle(time))
    }

    fn fails(self, code: ErrorCode, effect: Effect) -> Fault {
        assert!(code != ErrorCode::None, "{code:?} is no error");
        self.fault(What::Error(code, effect))
    }

    fn fault(self, what: What) -> Fault {
        Fault { faults: self.faults, scope: self.scope, what }
    }
}

impl Fault {
    /// The next time.
    pub fn once(self) -> Rule {
        self.times(1)
    }

    /// The next so many times.
    pub fn times(self, times: u64) -> Rule {
        self.add(Often::Times(times))
    }

    /// Every time, until the rule is removed.
    pub fn always(self) -> Rule {
        self.add(Often::Always)
    }

    /// As chance will have it, by the broker's seed: at 0.25 a fourth of the time, until the rule is removed.
    ///
    /// # Panics
    /// If the ratio is not from 0 to 1.
    pub fn ratio(self, ratio: f64) -> Rule {
        assert!((0.0..=1.0).contains(&ratio), "a ratio is from 0 to 1, not {ratio}");
        self.add(Often::Ratio(ratio))
    }

    fn add(self, often: Often) -> Rule {
        self.faults.add(self.scope, self.what, often)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::SERVED;

    #[test]
    fn whatever_is_served_can_be_aimed_at() {
        let sorted = |apis: &[Api]| {
            let mut apis = apis.to_vec();
            apis.sort();
            apis
        };
        assert_eq!(sorted(AIMED), sorted(SERVED));
    }
}
