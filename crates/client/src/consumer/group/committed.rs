//! Where a group has come to: asked when partitions are assigned, until there is an answer. What goes wrong on the
//! way never makes a partition start anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

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
    cluster::{Attempt, Cluster},
    error::{Error, Result},
    net::Pool,
};

/// From this version on one request asks for many groups.
const GROUPS_SINCE: i16 = 8;
/// From this version on offsets of open transactions can be waited for.
const STABLE_SINCE: i16 = 7;

/// The offset and the note that the group committed last for each partition that it committed.
pub(super) async fn committed(
    cluster: Cluster,
    pool: Arc<Pool>,
    group: Arc<str>,
    partitions: BTreeSet<TopicPartition>,
) -> Result<BTreeMap<TopicPartition, (i64, String)>> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let context = cluster.context().clone();
    let mut rng = context.rng();
    for failures in 1.. {
        let failure = match ask(&cluster, &pool, &group, &partitions).await {
            Ok(found) => return Ok(found),
            Err(failure) => failure,
        };
        let is_final = match failure.code() {
            Some(code) => matches!(code.class(), Class::Fatal | Class::Denied | Class::Fenced),
            None => !failure.is_retriable(),
        };
        if is_final {
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
    cluster: &Cluster,
    pool: &Pool,
    group: &Arc<str>,
    partitions: &BTreeSet<TopicPartition>,
) -> Result<BTreeMap<TopicPartition, (i64, String)>> {
    let target = Target::Coordinator(group.clone());
    let deadline = cluster.context().now() + cluster.context().connection.request_timeout;
    let attempt = Attempt { pool, target: target.clone(), deadline };
    let topics = by_topic(cluster, partitions);
    let response = cluster.attempt(&attempt, |version| request(group, &topics, version)).await?;
    read(response, &topics).map_err(|code| {
        cluster.on_refusal(&target, code);
        Error::refused(code)
    })
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

fn request(group: &str, topics: &Topics, version: i16) -> OffsetFetchRequest {
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
    let asked = OffsetFetchRequestGroup { group_id: group.to_owned(), topics, ..Default::default() };
    OffsetFetchRequest { groups: vec![asked], require_stable, ..Default::default() }
}

/// What the answer says of each partition. One that it leaves out is asked for again: it must not start anew.
fn read(
    response: OffsetFetchResponse,
    topics: &Topics,
) -> Result<BTreeMap<TopicPartition, (i64, String)>, ErrorCode> {
    let ids: BTreeMap<Uuid, &Arc<str>> = topics.iter().map(|(name, (id, _))| (*id, name)).collect();
    let mut reader = Reader::default();
    check(response.error_code)?;
    for topic in response.topics {
        for it in topic.partitions {
            let at = TopicPartition::new(&*topic.name, it.partition_index);
            reader.take(at, it.error_code, it.committed_offset, it.metadata)?;
        }
    }
    for group in response.groups {
        check(group.error_code)?;
        for topic in group.topics {
            let by_id = ids.get(&topic.topic_id).filter(|_| topic.name.is_empty());
            let name = by_id.map_or_else(|| Arc::from(&*topic.name), |name| Arc::clone(name));
            for it in topic.partitions {
                let at = TopicPartition::new(name.clone(), it.partition_index);
                reader.take(at, it.error_code, it.committed_offset, it.metadata)?;
            }
        }
    }
    reader.finish(topics)
}

#[derive(Default)]
struct Reader {
    seen: BTreeSet<TopicPartition>,
    found: BTreeMap<TopicPartition, (i64, String)>,
}

impl Reader {
    fn take(
        &mut self,
        at: TopicPartition,
        code: i16,
        offset: i64,
        note: Option<String>,
    ) -> Result<(), ErrorCode> {
        check(code)?;
        if offset >= 0 {
            self.found.insert(at.clone(), (offset, note.unwrap_or_default()));
        }
        self.seen.insert(at);
        Ok(())
    }

    fn finish(self, topics: &Topics) -> Result<BTreeMap<TopicPartition, (i64, String)>, ErrorCode> {
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
