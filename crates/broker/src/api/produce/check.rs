//! Whether a batch may be stored, by the rules that hold for all batches and by those of its topic.
//!
//! Its bytes are as the producer's checksum says, its records take one offset each, and it claims nothing that only
//! a broker may write. What its header says of timestamps is checked against the records where they are not packed,
//! and has to be within the topic's bounds where they are.

use bytes::Bytes;
use vltava_core::Timestamp;
use vltava_wire::{
    Compression, ErrorCode,
    record::{Batch, Limits, RecordErrorKind, RecordRef, TimestampType, patch_timestamps},
};

use crate::{denied::Denied, ledger::topics::Topic, topic_rules::Rules};

/// From this version on a client may send zstd.
const ZSTD_SINCE: i16 = 7;

/// A producer is told of no more bad records of a batch than these, so that a small request gets no huge response.
const RECORDS_TOLD_MAX: usize = 100;

/// A batch as it is to be stored.
pub(super) struct Admitted {
    pub(super) batch: Bytes,
    /// When it is appended, if the topic's records get that for a timestamp.
    pub(super) append_time: Option<i64>,
}

/// Why a batch is not stored.
#[derive(Debug, Clone)]
pub(super) struct Rejected {
    pub(super) denied: Denied,
    /// The records at fault, by their place in the batch.
    pub(super) records: Vec<(i32, String)>,
}

impl From<Denied> for Rejected {
    fn from(denied: Denied) -> Self {
        Self { denied, records: Vec::new() }
    }
}

/// The one batch that a partition is sent.
pub(super) fn check(
    version: i16,
    topic: &Topic,
    now: Timestamp,
    records: Bytes,
) -> Result<Admitted, Rejected> {
    let batch = sound(version, topic.rules.message_bytes_max, records)?;
    if topic.rules.compacts {
        check_keys(topic, &batch)?;
    }
    stamped(&topic.rules, now, &batch)
}

fn sound(version: i16, bytes_max: usize, records: Bytes) -> Result<Batch, Denied> {
    let bytes = records.len();
    if bytes > bytes_max {
        let message = format!("a batch of {bytes} bytes is larger than max.message.bytes, {bytes_max}");
        return Err(Denied::new(ErrorCode::MessageTooLarge, message));
    }
    let invalid = |message: &str| Err(Denied::new(ErrorCode::InvalidRecord, message));
    if records.is_empty() {
        return invalid("a partition is sent exactly one batch");
    }
    let batch = Batch::parse(records).and_then(|batch| batch.check_produced().map(|()| batch));
    let batch = batch.map_err(|error| Denied::new(code_of(&error.kind), error.to_string()))?;
    if batch.length < bytes {
        return invalid("a partition is sent exactly one batch");
    }
    if batch.is_control() {
        return invalid("only a broker writes control records");
    }
    if batch.is_transactional() {
        return Err(super::no_transactions());
    }
    if batch.producer_id >= 0 && (batch.producer_epoch < 0 || batch.base_sequence < 0) {
        return invalid("a producer with an id numbers its epochs and batches");
    }
    if batch.delete_horizon().is_some() {
        return invalid("only a broker says when tombstones may go");
    }
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        let message = "only a broker says when a batch was appended";
        return Err(Denied::new(ErrorCode::InvalidTimestamp, message));
    }
    if batch.compression() == Compression::Zstd && version < ZSTD_SINCE {
        let message = "zstd is allowed from version 7 of Produce on";
        return Err(Denied::new(ErrorCode::UnsupportedCompressionType, message));
    }
    Ok(batch)
}

/// A topic that is compacted needs keys, and records that can be unpacked.
fn check_keys(topic: &Topic, batch: &Batch) -> Result<(), Rejected> {
    let keyless = offenders(batch, |it| it.key().is_none(), |_| "it has no key".to_owned())?;
    if keyless.is_empty() {
        return Ok(());
    }
    let message = format!("topic {} is compacted: its records need keys", topic.name);
    Err(Rejected { denied: Denied::new(ErrorCode::InvalidRecord, message), records: keyless })
}

/// The batch with the timestamps that the topic gives it.
fn stamped(rules: &Rules, now: Timestamp, batch: &Batch) -> Result<Admitted, Rejected> {
    let patched = |kind, latest| {
        let mut bytes = batch.bytes().to_vec();
        patch_timestamps(&mut bytes, kind, latest);
        Bytes::from(bytes)
    };
    if rules.timestamps == TimestampType::LogAppendTime {
        let batch = patched(TimestampType::LogAppendTime, now.0);
        return Ok(Admitted { batch, append_time: Some(now.0) });
    }
    let (earliest, latest) = (
        now.0.saturating_sub(rules.timestamp_before_max_ms),
        now.0.saturating_add(rules.timestamp_after_max_ms),
    );
    let told = batch.timestamps();
    if told.latest > latest || told.earliest < earliest {
        check_bounds(batch, earliest, latest)?;
    }
    let batch = match told.latest == batch.max_timestamp {
        true => batch.bytes().clone(),
        false => patched(TimestampType::CreateTime, told.latest),
    };
    Ok(Admitted { batch, append_time: None })
}

fn check_bounds(batch: &Batch, earliest: i64, latest: i64) -> Result<(), Rejected> {
    let is_out = |timestamp: i64| timestamp != Timestamp::NONE.0 && !(earliest..=latest).contains(&timestamp);
    let why = |timestamp: i64| match timestamp > latest {
        true => format!("its timestamp {timestamp} is after {latest}, the latest that is taken now"),
        false => format!("its timestamp {timestamp} is before {earliest}, the earliest that is taken now"),
    };
    let records = match batch.compression() {
        Compression::None => offenders(batch, |it| is_out(it.timestamp()), |it| why(it.timestamp()))?,
        _ => {
            // Nobody opens a packed batch for this: what its header says is held against all of it.
            let told = [batch.base_timestamp, batch.max_timestamp];
            told.into_iter().find(|it| is_out(*it)).map(|it| (0, why(it))).into_iter().collect()
        }
    };
    if records.is_empty() {
        return Ok(());
    }
    let message = "a record's timestamp is too far from the time; see message.timestamp.before.max.ms and \
                   message.timestamp.after.max.ms";
    Err(Rejected { denied: Denied::new(ErrorCode::InvalidTimestamp, message), records })
}

fn offenders(
    batch: &Batch,
    is_bad: impl Fn(&RecordRef<'_>) -> bool,
    why: impl Fn(&RecordRef<'_>) -> String,
) -> Result<Vec<(i32, String)>, Denied> {
    let records = batch.clone().decompress(Limits::default());
    let records = records.map_err(|error| Denied::new(code_of(&error.kind), error.to_string()))?;
    let bad = (0..).zip(&records).filter(|(_, record)| is_bad(record));
    Ok(bad.take(RECORDS_TOLD_MAX).map(|(index, record)| (index, why(&record))).collect())
}

fn code_of(kind: &RecordErrorKind) -> ErrorCode {
    match kind {
        RecordErrorKind::BadCrc { .. } | RecordErrorKind::Truncated | RecordErrorKind::BadLength(_) => {
            ErrorCode::CorruptMessage
        }
        RecordErrorKind::UnknownCompression(_) => ErrorCode::UnsupportedCompressionType,
        RecordErrorKind::UnsupportedMagic(_) => ErrorCode::UnsupportedForMessageFormat,
        _ => ErrorCode::InvalidRecord,
    }
}
