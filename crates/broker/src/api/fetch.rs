//! Fetch, versions 4 to 18: batches from partitions, waiting until there is enough of them.
//!
//! A partition is read from the batch that holds the offset, whole batches only; the first that is read brings at
//! least one, however large. Once a batch finds no room, nothing more is read, and a partition that is named again
//! is not read again. A response that would be too small waits in `park` until batches come or the time is up. From 13 on topics go by id. Sessions (7) are not offered: every response has session 0, and a client goes on
//! with full requests. There are no transactions and no replicas: both isolation levels see all that is settled.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use vltava_core::fetch::sessions;
use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        FetchRequest, FetchResponse,
        fetch::{FetchPartition, FetchTopic, FetchableTopicResponse, PartitionData},
    },
};

use crate::{
    call::{Answer, Call},
    epoch,
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

pub(crate) fn answer(call: Call<'_>, request: FetchRequest) -> Answer<FetchResponse> {
    if let Err(code) = sessions::check(&request) {
        return Answer::Now(FetchResponse { error_code: code.code(), ..Default::default() });
    }
    let node = call.node.clone();
    let wait = u64::try_from(request.max_wait_ms).unwrap_or(0);
    let deadline = node.clock.now() + Duration::from_millis(wait);
    let fetch = Fetch::new(&node, call.version, request);
    Answer::Parked(Box::pin(async move {
        let (responses, _) = park::until(&node, deadline, fetch.partitions(), || fetch.read(&node)).await;
        FetchResponse { responses, ..Default::default() }
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
    partitions: Vec<FetchPartition>,
}

impl Fetch {
    fn new(node: &Node, version: i16, request: FetchRequest) -> Self {
        let topic = |asked: FetchTopic| {
            let found = node.find_topic(&asked.topic, asked.topic_id, version >= IDS_SINCE);
            let found = found.map(|topic| topic.id);
            Topic { name: asked.topic, asked_id: asked.topic_id, found, partitions: asked.partitions }
        };
        Self {
            topics: request.topics.into_iter().map(topic).collect(),
            bytes_min: usize::try_from(request.min_bytes).unwrap_or(0),
            bytes_max: usize::try_from(request.max_bytes).unwrap_or(0).min(RESPONSE_BYTES_MAX),
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
    fn read(&self, node: &Node) -> (Vec<FetchableTopicResponse>, park::Enough) {
        let mut taken = Taken::default();
        let mut read = |topic: &Topic| {
            let read = |asked| self.read_partition(node, topic.found, asked, &mut taken);
            FetchableTopicResponse {
                topic: topic.name.clone(),
                topic_id: topic.asked_id,
                partitions: topic.partitions.iter().map(read).collect(),
            }
        };
        let responses = self.topics.iter().map(&mut read).collect();
        (responses, park::Enough(taken.failed || taken.bytes >= self.bytes_min))
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
            if !taken.read.insert(at) || taken.full {
                return Ok(Chunk { records: Bytes::new(), bounds });
            }
            let left = self.bytes_max.saturating_sub(taken.bytes);
            let most = usize::try_from(asked.partition_max_bytes).unwrap_or(0).min(left);
            let chunk = node.log.read(at, asked.fetch_offset, most).map_err(|refused| told(at, &refused))?;
            Ok(taken.take(chunk, left))
        });
        match read {
            Ok(chunk) => self.partition_data(partition, &chunk.bounds, chunk.records),
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

/// What a response has so far.
#[derive(Default)]
struct Taken {
    bytes: usize,
    read: BTreeSet<PartitionId>,
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
