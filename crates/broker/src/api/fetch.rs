//! Fetch, versions 4 to 18: batches from partitions, waiting until there is enough of them.
//!
//! A partition is read from the batch that holds the offset, whole batches only; the first that is read brings at
//! least one, however large. Once a batch finds no room, nothing more is read, and a partition that is named again
//! is not read again. A response that would be too small waits in `park` until batches come or the time is up. From 7
//! on there are sessions, see `core/fetch/sessions`. A client that says in which epoch it read last (12) is told where
//! its log and this one part. From 13 on topics go by id. There are no transactions: both isolation levels see all that
//! is settled.
//!
//! As with Kafka's followers, from 11 on any node serves a client that knows the leader's epoch or none (KIP-392); but
//! no node has a rack, so nobody is sent to another than the leader. Before, only the leader does. Who is refused for
//! that is told who leads (16).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use vltava_core::cluster::{Leader, NodeId};
use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        FetchRequest, FetchResponse,
        fetch::{
            EpochEndOffset, FetchPartition, FetchTopic, FetchableTopicResponse, LeaderIdAndEpoch,
            NodeEndpoint, PartitionData,
        },
    },
    record::batches,
};

use crate::{
    call::{Advertised, Answer, Call, Directory},
    faults, leadership,
    log::{Bounds, Chunk, PartitionId, Refused},
    node::Node,
    park,
};

/// From this version on topics go by id.
const IDS_SINCE: i16 = 13;

/// From this version on not only leaders are fetched from.
const FOLLOWERS_SINCE: i16 = 11;

/// From this version on a response says who leads (KIP-951).
const LEADERS_SINCE: i16 = 16;

/// The isolation level that leaves out what transactions have not committed.
const READ_COMMITTED: i8 = 1;

/// No response holds more batches than this, but for one: Kafka's `fetch.max.bytes`.
const RESPONSE_BYTES_MAX: usize = 55 << 20;

/// A fetch waits no longer, whatever it asks for: while it does it holds memory that others may need, and clients
/// give up on a request after this time.
const WAIT_MAX: Duration = Duration::from_secs(30);

pub(crate) fn answer(call: Call<'_>, mut request: FetchRequest) -> Answer<FetchResponse> {
    let node = call.node.clone();
    if let Some(code) = faults::of_session(&call.refused, call.version) {
        return Answer::Now(FetchResponse { error_code: code.code(), ..Default::default() });
    }
    let now = node.clock.now();
    let session = match node.fetch_sessions.on_request(now, call.version >= IDS_SINCE, &mut request) {
        Ok(session) => session,
        Err(code) => return Answer::Now(FetchResponse { error_code: code.code(), ..Default::default() }),
    };
    let wait = u64::try_from(request.max_wait_ms).unwrap_or(0);
    let deadline = now + Duration::from_millis(wait).min(WAIT_MAX);
    let fetch = Fetch::new(&call, request);
    let advertised = call.peer.advertised.clone();
    Answer::Parked(Box::pin(async move {
        let read = || fetch.read(&node);
        let is_enough = |marks: &Vec<Mark>| fetch.is_enough(&node, marks);
        let responses = park::until(&node, deadline, fetch.partitions(), read, is_enough).await;
        let node_endpoints = leaders(&responses, &advertised);
        if !node_endpoints.is_empty() {
            // Who leads is told once it cannot change back.
            let _ = node.ledger_settled().await;
        }
        let response = FetchResponse { responses, node_endpoints, ..Default::default() };
        node.fetch_sessions.on_response(node.clock.now(), session, response)
    }))
}

/// A request, with its topics found.
struct Fetch {
    version: i16,
    /// The node that is asked.
    asked: NodeId,
    topics: Vec<Topic>,
    bytes_min: usize,
    bytes_max: usize,
    committed_only: bool,
}

struct Topic {
    name: String,
    asked_id: Uuid,
    found: Result<Uuid, ErrorCode>,
    /// Partitions that a fault has fail.
    failing: BTreeMap<i32, ErrorCode>,
    partitions: Vec<FetchPartition>,
}

impl Fetch {
    fn new(call: &Call<'_>, request: FetchRequest) -> Self {
        let version = call.version;
        let topic = |asked: FetchTopic| {
            let found = call.node.find_topic(&asked.topic, asked.topic_id, version >= IDS_SINCE);
            let known = found.as_ref().map_or(&*asked.topic, |topic| &*topic.name);
            let failing = faults::of_topic(&call.refused, known);
            let found = found.map(|topic| topic.id);
            Topic {
                name: asked.topic,
                asked_id: asked.topic_id,
                found,
                failing,
                partitions: asked.partitions,
            }
        };
        let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0).min(RESPONSE_BYTES_MAX);
        Self {
            version,
            asked: call.peer.node,
            topics: request.topics.into_iter().map(topic).collect(),
            // Nobody waits for more than there may be.
            bytes_min: usize::try_from(request.min_bytes).unwrap_or(0).min(bytes_max),
            bytes_max,
            committed_only: request.isolation_level == READ_COMMITTED,
        }
    }

    /// All partitions that exist as far as their topic does.
    fn partitions(&self) -> Vec<PartitionId> {
        let found = self.topics.iter().filter_map(|topic| Some((topic.found.ok()?, &topic.partitions)));
        let id = |(topic, partitions): (Uuid, &Vec<FetchPartition>)| {
            let id = move |asked: &FetchPartition| PartitionId { topic, partition: asked.partition };
            partitions.iter().map(id).collect::<Vec<_>>()
        };
        found.flat_map(id).collect()
    }

    /// What there is now, and whether that is worth a response.
    fn read(&self, node: &Node) -> park::Read<Vec<FetchableTopicResponse>, Vec<Mark>> {
        let mut taken = Taken::default();
        let mut read = |topic: &Topic| {
            let read = |asked: &FetchPartition| {
                let failing = topic.failing.get(&asked.partition);
                let found = failing.map_or(topic.found, |code| Err(*code));
                self.read_partition(node, found, asked, &mut taken)
            };
            FetchableTopicResponse {
                topic: topic.name.clone(),
                topic_id: topic.asked_id,
                partitions: topic.partitions.iter().map(read).collect(),
            }
        };
        let found = self.topics.iter().map(&mut read).collect();
        let bytes: usize = taken.marks.iter().map(|it| it.read).sum();
        let is_enough = taken.failed || taken.full || bytes >= self.bytes_min;
        park::Read { found, is_enough, mark: taken.marks }
    }

    /// Whether there would be enough by now, or something else to tell. Counts bytes, and reads none.
    fn is_enough(&self, node: &Node, marks: &[Mark]) -> bool {
        let mut bytes = 0;
        for mark in marks {
            let Ok(bounds) = node.log.bounds(mark.at) else { return true };
            if mark.offset < bounds.log_start || self.check_leader(mark.epoch, bounds.leader).is_err() {
                return true;
            }
            let more = usize::try_from(bounds.settled_bytes - mark.settled_bytes).unwrap_or(usize::MAX);
            bytes += mark.read.saturating_add(more).min(mark.bytes_max);
        }
        bytes >= self.bytes_min
    }

    fn read_partition(
        &self,
        node: &Node,
        topic: Result<Uuid, ErrorCode>,
        asked: &FetchPartition,
        taken: &mut Taken,
    ) -> PartitionData {
        let partition = asked.partition;
        let read = topic.and_then(|topic| {
            let at = PartitionId { topic, partition };
            let bounds = node.log.bounds(at).map_err(|refused| told(at, &refused))?;
            self.check_leader(asked.current_leader_epoch, bounds.leader)?;
            let diverging_epoch = diverging(node, at, &bounds, asked)?;
            if !taken.read.insert(at) || taken.full || diverging_epoch.epoch >= 0 {
                // Where logs part is told without waiting.
                taken.failed |= diverging_epoch.epoch >= 0;
                return Ok((Chunk { records: Bytes::new(), bounds }, diverging_epoch));
            }
            let left = self.bytes_max.saturating_sub(taken.bytes);
            let bytes_max = usize::try_from(asked.partition_max_bytes).unwrap_or(0);
            let limit = bytes_max.min(left);
            let chunk = node.log.read(at, asked.fetch_offset, limit);
            let chunk = taken.take(chunk.map_err(|refused| told(at, &refused))?, left);
            taken.marks.push(Mark {
                at,
                offset: asked.fetch_offset,
                epoch: asked.current_leader_epoch,
                read: counted(&chunk, limit, self.bytes_min),
                bytes_max,
                settled_bytes: chunk.bounds.settled_bytes,
            });
            Ok((chunk, diverging_epoch))
        });
        match read {
            Ok((chunk, diverging_epoch)) => {
                let data = self.partition_data(partition, &chunk.bounds, chunk.records);
                PartitionData { diverging_epoch, ..data }
            }
            Err(code) => {
                taken.failed = true;
                PartitionData {
                    partition_index: partition,
                    error_code: code.code(),
                    high_watermark: -1,
                    current_leader: self.current_leader(node, topic, partition, code),
                    ..Default::default()
                }
            }
        }
    }

    fn check_leader(&self, epoch: i32, leader: Leader) -> Result<(), ErrorCode> {
        match self.version {
            FOLLOWERS_SINCE.. => leadership::check_epoch(epoch, leader),
            _ => leadership::check(self.asked, epoch, leader),
        }
    }

    /// Who leads, if the client is to learn it from this error.
    fn current_leader(
        &self,
        node: &Node,
        topic: Result<Uuid, ErrorCode>,
        partition: i32,
        code: ErrorCode,
    ) -> LeaderIdAndEpoch {
        let other_leader = matches!(code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
        let topic = topic.ok().filter(|_| other_leader && self.version >= LEADERS_SINCE);
        let bounds = topic.and_then(|topic| node.log.bounds(PartitionId { topic, partition }).ok());
        bounds.map_or_else(LeaderIdAndEpoch::default, |it| LeaderIdAndEpoch {
            leader_id: it.leader.node.0,
            leader_epoch: it.leader.epoch,
        })
    }

    fn partition_data(&self, partition_index: i32, bounds: &Bounds, records: Bytes) -> PartitionData {
        PartitionData {
            partition_index,
            high_watermark: bounds.high_watermark,
            last_stable_offset: bounds.high_watermark,
            log_start_offset: bounds.log_start,
            aborted_transactions: self.committed_only.then(Vec::new),
            records: Some(records),
            ..Default::default()
        }
    }
}

/// Where the leaders are that the response names.
fn leaders(responses: &[FetchableTopicResponse], advertised: &Directory) -> Vec<NodeEndpoint> {
    let partitions = responses.iter().flat_map(|it| &it.partitions);
    let leaders = partitions.map(|it| it.current_leader.leader_id);
    let endpoint = |(node_id, at): (i32, &Advertised)| NodeEndpoint {
        node_id,
        host: at.host.clone(),
        port: at.port.into(),
        rack: None,
    };
    advertised.named(leaders).map(endpoint).collect()
}

/// Where a client's log and this one part, if the client says in which epoch it read last.
fn diverging(
    node: &Node,
    at: PartitionId,
    bounds: &Bounds,
    asked: &FetchPartition,
) -> Result<EpochEndOffset, ErrorCode> {
    let last = asked.last_fetched_epoch;
    if last < 0 {
        return Ok(EpochEndOffset::default());
    }
    let reached = node.log.epoch_end(at, last).map_err(|refused| told(at, &refused))?;
    let (epoch, end_offset) = reached.ok_or(ErrorCode::OffsetOutOfRange)?;
    if asked.fetch_offset < bounds.log_start {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    if epoch < last || end_offset < asked.fetch_offset {
        return Ok(EpochEndOffset { epoch, end_offset });
    }
    Ok(EpochEndOffset::default())
}

/// How far a partition was when it was read.
struct Mark {
    at: PartitionId,
    offset: i64,
    epoch: i32,
    /// Bytes that were read, or could have been were it not for whole batches.
    read: usize,
    /// Bytes that may be read.
    bytes_max: usize,
    settled_bytes: u64,
}

/// How many bytes a read counts for. Where another batch did not fit the limit that is all of the limit, as in Kafka,
/// which cuts batches: to wait would bring no more.
fn counted(chunk: &Chunk, limit: usize, enough: usize) -> usize {
    let read = chunk.records.len();
    if read >= enough.min(limit) {
        return read;
    }
    let last = batches(chunk.records.clone()).filter_map(Result::ok).last();
    let is_cut = last.is_some_and(|it| it.last_offset() + 1 < chunk.bounds.high_watermark);
    if is_cut { limit } else { read }
}

/// What a response has so far.
#[derive(Default)]
struct Taken {
    bytes: usize,
    read: BTreeSet<PartitionId>,
    marks: Vec<Mark>,
    /// There is no room for another batch.
    full: bool,
    /// An error is told without waiting.
    failed: bool,
}

impl Taken {
    /// Takes what was read, or nothing of it: only the first batch of a response may be larger than what is left.
    fn take(&mut self, mut chunk: Chunk, left: usize) -> Chunk {
        if self.bytes > 0 && chunk.records.len() > left {
            chunk.records.clear();
            self.full = true;
        }
        self.bytes += chunk.records.len();
        self.full |= self.bytes > 0 && chunk.records.len() >= left;
        chunk
    }
}

fn told(at: PartitionId, refused: &Refused) -> ErrorCode {
    if let Refused::Broken(error) = refused {
        tracing::warn!(%at, %error, "a partition cannot be read");
    }
    refused.code()
}
