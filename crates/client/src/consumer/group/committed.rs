//! Where a group has come to: asked when partitions are assigned, until there is an answer. What goes wrong on the
//! way never makes a partition start anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::watch;
use tracing::debug;
use vltava_core::{TopicPartition, cluster::Target};
use vltava_wire::{
    Class, ErrorCode, Uuid,
    messages::{
        OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        OffsetFetchResponse,
    },
};

use crate::{
    cluster::{Attempt, Cluster, GROUPS_SINCE, Told, told},
    error::{Error, Result},
    net::Pool,
};

/// From this version on offsets of open transactions can be waited for.
const STABLE_SINCE: i16 = 7;
/// From this version on members of the consumer protocol say who they are.
const FENCED_SINCE: i16 = 9;

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::consumer) struct Committed {
    pub(in crate::consumer) offset: i64,
    /// Who wrote the record before it; below zero if nobody said.
    pub(in crate::consumer) leader_epoch: i32,
    /// What was noted beside it.
    pub(in crate::consumer) metadata: String,
}

/// The member and its epoch, where the group is one of the consumer protocol and knows it.
pub(super) type Identity = Option<(String, i32)>;

/// Who asks for a group's offsets, and whom.
pub(in crate::consumer) struct Asking {
    pub(super) cluster: Cluster,
    pub(super) pool: Arc<Pool>,
    pub(super) group: Arc<str>,
    /// Who the member is by now: an epoch that is over is refused, and the question asked again in the next.
    pub(super) identity: watch::Receiver<Identity>,
}

impl Asking {
    /// Who is no member of the group, or need not be.
    pub(in crate::consumer) fn anybody(cluster: Cluster, pool: Arc<Pool>, group: Arc<str>) -> Self {
        Self { cluster, pool, group, identity: watch::channel(None).1 }
    }

    /// The offset and the note that the group committed last for each partition that it committed.
    pub(in crate::consumer) async fn committed(
        self,
        partitions: BTreeSet<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Committed>> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (group, context) = (&self.group, self.cluster.context());
        let mut rng = context.rng();
        for failures in 1.. {
            let failure = match self.ask(&partitions).await {
                Ok(found) => return Ok(found),
                Err(failure) => failure,
            };
            if is_final(&failure) {
                return Err(failure.doing(format!("fetching the offsets that group {group} has committed")));
            }
            debug!(%group, error = %failure, "asking again for committed offsets");
            let pause = context.connection.backoff.after(failures, &mut rng);
            context.clock.sleep_until(context.now() + pause).await;
        }
        unreachable!("the loop ends with an answer")
    }

    /// Asks once.
    async fn ask(
        &self,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Committed>> {
        let Self { cluster, pool, group, .. } = self;
        let target = Target::Coordinator(group.clone());
        let deadline = cluster.context().now() + cluster.context().connection.request_timeout;
        let attempt = Attempt { pool, target: target.clone(), deadline };
        let topics = by_topic(cluster, partitions);
        let identity = self.identity.borrow().clone();
        let build = |version| request(group, &topics, identity, version);
        let response = cluster.attempt(&attempt, build).await?;
        read(response, &topics).map_err(|code| {
            cluster.on_refusal(&target, code);
            Error::refused(code)
        })
    }
}

/// Whether asking again is of no use. A broker that fails by something it has no name for may be well again soon.
fn is_final(failure: &Error) -> bool {
    match failure.code() {
        Some(ErrorCode::UnknownServerError) => false,
        Some(code) => matches!(code.class(), Class::Fatal | Class::Denied | Class::Fenced),
        None => !failure.is_retriable(),
    }
}

/// Partitions of a topic, and its id if it has one.
type Topics = BTreeMap<Arc<str>, (Uuid, Vec<i32>)>;

fn by_topic(cluster: &Cluster, partitions: &BTreeSet<TopicPartition>) -> Topics {
    let mut topics = Topics::new();
    for partition in partitions {
        let id = || cluster.view(|view| view.topic(&partition.topic).map_or(Uuid::ZERO, |topic| topic.id));
        let (_, numbers) = topics.entry(partition.topic.clone()).or_insert_with(|| (id(), Vec::new()));
        numbers.push(partition.partition);
    }
    topics
}

fn request(group: &str, topics: &Topics, identity: Identity, version: i16) -> OffsetFetchRequest {
    let require_stable = version >= STABLE_SINCE;
    if version < GROUPS_SINCE {
        let topic = |(name, (_, numbers)): (&Arc<str>, &(Uuid, Vec<i32>))| OffsetFetchRequestTopic {
            name: name.to_string(),
            partition_indexes: numbers.clone(),
        };
        let topics = Some(topics.iter().map(topic).collect());
        return OffsetFetchRequest {
            group_id: group.to_owned(),
            topics,
            require_stable,
            ..Default::default()
        };
    }
    let topic = |(name, (id, numbers)): (&Arc<str>, &(Uuid, Vec<i32>))| OffsetFetchRequestTopics {
        name: name.to_string(),
        topic_id: *id,
        partition_indexes: numbers.clone(),
    };
    let topics = Some(topics.iter().map(topic).collect());
    let (member_id, member_epoch) = match identity {
        Some((id, epoch)) if version >= FENCED_SINCE => (Some(id), epoch),
        _ => (None, -1),
    };
    let asked = OffsetFetchRequestGroup { group_id: group.to_owned(), member_id, member_epoch, topics };
    OffsetFetchRequest { groups: vec![asked], require_stable, ..Default::default() }
}

/// What the answer says of each partition. One that it leaves out is asked for again: it must not start anew.
fn read(
    response: OffsetFetchResponse,
    topics: &Topics,
) -> Result<BTreeMap<TopicPartition, Committed>, ErrorCode> {
    let ids: BTreeMap<Uuid, &Arc<str>> = topics.iter().map(|(name, (id, _))| (*id, name)).collect();
    let mut reader = Reader::default();
    check(response.error_code)?;
    response.groups.iter().try_for_each(|group| check(group.error_code))?;
    for Told { topic, topic_id, partition, error, offset, leader_epoch, metadata } in told(response) {
        let by_id = ids.get(&topic_id).filter(|_| topic.is_empty());
        let name = by_id.map_or_else(|| Arc::from(topic), |name| Arc::clone(name));
        let committed = Committed { offset, leader_epoch, metadata };
        reader.take(TopicPartition::new(name, partition), error, committed)?;
    }
    reader.finish(topics)
}

#[derive(Default)]
struct Reader {
    seen: BTreeSet<TopicPartition>,
    found: BTreeMap<TopicPartition, Committed>,
}

impl Reader {
    fn take(&mut self, at: TopicPartition, error: ErrorCode, committed: Committed) -> Result<(), ErrorCode> {
        if error != ErrorCode::None {
            return Err(error);
        }
        if committed.offset >= 0 {
            self.found.insert(at.clone(), committed);
        }
        self.seen.insert(at);
        Ok(())
    }

    fn finish(self, topics: &Topics) -> Result<BTreeMap<TopicPartition, Committed>, ErrorCode> {
        for (name, (_, numbers)) in topics {
            let is_missing = |number: &i32| !self.seen.contains(&TopicPartition::new(name.clone(), *number));
            if numbers.iter().any(is_missing) {
                return Err(ErrorCode::UnknownTopicOrPartition);
            }
        }
        Ok(self.found)
    }
}

fn check(code: i16) -> Result<(), ErrorCode> {
    match ErrorCode::from(code) {
        ErrorCode::None => Ok(()),
        code => Err(code),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use vltava_wire::{
        Api, frame,
        messages::{
            Coordinator, FindCoordinatorResponse, MetadataResponse, MetadataResponseBroker,
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
    };

    use super::*;
    use crate::{config, tests::peer::Peer};

    const ID: Uuid = Uuid(7);

    fn topics() -> Topics {
        Topics::from([(Arc::from("orders"), (ID, vec![0, 1]))])
    }

    /// The answer of version 10: partitions with code and offset.
    fn by_id(partitions: &[(i32, ErrorCode, i64)]) -> OffsetFetchResponse {
        let partition = |(number, code, offset): &(i32, ErrorCode, i64)| OffsetFetchResponsePartitions {
            partition_index: *number,
            error_code: code.code(),
            committed_offset: *offset,
            committed_leader_epoch: 3,
            metadata: Some(format!("up to {offset}")),
        };
        let partitions = partitions.iter().map(partition).collect();
        let topics = vec![OffsetFetchResponseTopics { topic_id: ID, partitions, ..Default::default() }];
        let groups = vec![OffsetFetchResponseGroup { topics, ..Default::default() }];
        OffsetFetchResponse { groups, ..Default::default() }
    }

    #[test]
    fn offsets_are_found_by_name_and_by_id() {
        let committed = Committed { offset: 5, leader_epoch: 3, metadata: "up to 5".to_owned() };
        let found = BTreeMap::from([(TopicPartition::new("orders", 1), committed)]);
        let new = by_id(&[(0, ErrorCode::None, -1), (1, ErrorCode::None, 5)]);
        assert_eq!(read(new, &topics()), Ok(found.clone()));

        let partition = |partition_index, committed_offset| OffsetFetchResponsePartition {
            partition_index,
            committed_offset,
            committed_leader_epoch: 3,
            metadata: Some(format!("up to {committed_offset}")),
            ..Default::default()
        };
        let partitions = vec![partition(0, -1), partition(1, 5)];
        let topics_of_old = vec![OffsetFetchResponseTopic { name: "orders".to_owned(), partitions }];
        let old = OffsetFetchResponse { topics: topics_of_old, ..Default::default() };
        assert_eq!(read(old, &topics()), Ok(found));
    }

    #[test]
    fn what_is_not_told_is_asked_for_again_and_never_taken_for_nothing() {
        for (answer, code) in [
            (by_id(&[(1, ErrorCode::None, 5)]), ErrorCode::UnknownTopicOrPartition),
            (OffsetFetchResponse::default(), ErrorCode::UnknownTopicOrPartition),
            (
                by_id(&[(0, ErrorCode::UnstableOffsetCommit, -1), (1, ErrorCode::None, 5)]),
                ErrorCode::UnstableOffsetCommit,
            ),
            (
                OffsetFetchResponse { error_code: ErrorCode::NotCoordinator.code(), ..Default::default() },
                ErrorCode::NotCoordinator,
            ),
        ] {
            assert_eq!(read(answer, &topics()), Err(code));
            assert!(!is_final(&Error::refused(code)), "{code:?}");
        }
    }

    #[test]
    fn a_broker_that_failed_is_asked_again_and_one_that_refuses_is_not() {
        for (code, expected) in [
            (ErrorCode::UnknownServerError, false),
            (ErrorCode::CoordinatorLoadInProgress, false),
            (ErrorCode::StaleMemberEpoch, false),
            (ErrorCode::GroupAuthorizationFailed, true),
            (ErrorCode::InvalidGroupId, true),
        ] {
            assert_eq!(is_final(&Error::refused(code)), expected, "{code:?}");
        }
    }

    #[test]
    fn every_version_asks_in_its_own_words() {
        for version in 1..=10 {
            let identity = Some(("me".to_owned(), 3));
            let request = request("audit", &topics(), identity, version);
            let epoch = request.groups.first().map_or(-1, |it| it.member_epoch);
            assert_eq!(epoch, if version >= FENCED_SINCE { 3 } else { -1 });
            frame::request(version, 1, None, &request)
                .unwrap_or_else(|error| panic!("version {version}: {error}"));
            assert_eq!(request.groups.is_empty(), version < GROUPS_SINCE);
        }
    }

    /// C7.
    #[tokio::test(start_paused = true)]
    async fn offsets_asked_for_in_an_epoch_that_is_over_are_asked_for_again_in_the_next() {
        let epochs = Arc::new(Mutex::new(Vec::new()));
        let heard = epochs.clone();
        let peer = Peer::new(move |mut asked| match asked.api() {
            Api::Metadata => {
                let (host, port) = ("peer".into(), 9092);
                let broker = MetadataResponseBroker { node_id: 1, host, port, ..Default::default() };
                asked.answer(&MetadataResponse { brokers: vec![broker], ..Default::default() })
            }
            Api::FindCoordinator => {
                let (host, port) = ("peer".to_owned(), 9092);
                let found = Coordinator { node_id: 1, host, port, ..Default::default() };
                asked.answer(&FindCoordinatorResponse { coordinators: vec![found], ..Default::default() })
            }
            _ => {
                let request: OffsetFetchRequest = asked.read();
                let epoch = request.groups[0].member_epoch;
                heard.lock().expect("nobody panicked").push(epoch);
                let code = if epoch < 4 { ErrorCode::StaleMemberEpoch } else { ErrorCode::None };
                let partition = |partition_index| OffsetFetchResponsePartitions {
                    partition_index,
                    committed_offset: 5,
                    ..Default::default()
                };
                let partitions = if epoch < 4 { Vec::new() } else { vec![partition(0)] };
                let topic =
                    OffsetFetchResponseTopics { name: "orders".into(), partitions, ..Default::default() };
                let group = OffsetFetchResponseGroup {
                    error_code: code.code(),
                    topics: vec![topic],
                    ..Default::default()
                };
                asked.answer(&OffsetFetchResponse { groups: vec![group], ..Default::default() })
            }
        });
        let context = peer.context(config::Connection::default());
        let addresses = vec!["peer:9092".parse().expect("an address")];
        let cluster = Cluster::connect(context.clone(), addresses).await.expect("the peer answers");
        let (tells, identity) = watch::channel(Some(("me".to_owned(), 3)));
        let pool = Arc::new(Pool::new(context));
        let asking = Asking { cluster, pool, group: "audit".into(), identity };
        let partition = TopicPartition::new("orders", 0);
        let asked = asking.committed(BTreeSet::from([partition.clone()]));
        let epoch_ends = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            tells.send_replace(Some(("me".to_owned(), 4)));
        };
        let (found, ()) = tokio::join!(asked, epoch_ends);
        assert_eq!(found.expect("it is told")[&partition].offset, 5);
        let epochs = epochs.lock().expect("nobody panicked").clone();
        assert!(epochs.len() > 1 && epochs.iter().rev().skip(1).all(|it| *it == 3), "{epochs:?}");
    }
}
