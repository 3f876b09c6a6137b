//! Fetch, versions 4 to 18: batches from partitions, waiting until there is enough of them.
//!
//! A partition is read from the batch that holds the offset, whole batches only; the first that is read brings at
//! least one, however large. Once a batch finds no room, nothing more is read, and a partition that is named again
//! is not read again. A response that would be too small waits in `park` until batches come or the time is up. From 7
//! on there are sessions, see `core/fetch/sessions`. A client that says in which epoch it read last (12) is told where
//! its log and this one part. From 13 on topics go by id. There are no transactions and no replicas: both isolation
//! levels see all that is settled.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        FetchRequest, FetchResponse,
        fetch::{EpochEndOffset, FetchPartition, FetchTopic, FetchableTopicResponse, PartitionData},
    },
    record::batches,
};

use crate::{
    call::{Answer, Call},
    epoch, faults,
    log::{Bounds, Chunk, PartitionId, Refused},
    node::Node,
    park,
};

/// From this version on topics go by id.
const IDS_SINCE: i16 = 13;

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
    Answer::Parked(Box::pin(async move {
        let read = || fetch.read(&node);
        let is_enough = |marks: &Vec<Mark>| fetch.is_enough(&node, marks);
        let responses = park::until(&node, deadline, fetch.partitions(), read, is_enough).await;
        let response = FetchResponse { responses, ..Default::default() };
        node.fetch_sessions.on_response(node.clock.now(), session, response)
    }))
}

/// A request, with its topics found.
struct Fetch {
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
        let topic = |asked: FetchTopic| {
            let found = call.node.find_topic(&asked.topic, asked.topic_id, call.version >= IDS_SINCE);
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
            if mark.offset < bounds.log_start || epoch::check(mark.epoch, bounds.leader_epoch).is_err() {
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
            epoch::check(asked.current_leader_epoch, bounds.leader_epoch)?;
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
                    ..Default::default()
                }
            }
        }
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
