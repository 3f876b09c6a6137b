//! librdkafka: the batch queue that is its fastest door, which only C has; the poll of the crate `rdkafka`; and its
//! producer. `fetch.queue.backoff.ms` is set, as a fast reader would stand still for a second each time without.

use std::{
    error::Error,
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList, bindings as c,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext, ThreadedProducer},
};

use super::{
    Latencies, Meter, Outcome, Seen, Task, Work,
    latency::{self, Origin},
};
use crate::values::Values;

/// Records that are taken from the queue at once.
const TOGETHER: usize = 10_000;

const PATIENCE: Duration = Duration::from_millis(100);

pub(super) fn run(task: &Task) -> Outcome {
    match (task.work, task.variant.as_str()) {
        (Work::Consume, "batch") => batches(task),
        (Work::Consume, "poll") => polls(task),
        (Work::Produce, "send") => produce(task),
        (Work::Ack, "send") => ack(task),
        (Work::Through, "poll") => through(task),
        _ => Err(task.no_variant()),
    }
}

fn version() -> String {
    format!("librdkafka {}", rdkafka::util::get_rdkafka_version().1)
}

fn consumer(task: &Task) -> Result<BaseConsumer, Box<dyn Error>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &task.bootstrap)
        .set("group.id", task.group.as_deref().unwrap_or("bench"))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("check.crcs", "true")
        .set("fetch.queue.backoff.ms", "10")
        .create()?;
    if task.group.is_some() {
        consumer.subscribe(&[&task.topic])?;
        return Ok(consumer);
    }
    let mut all = TopicPartitionList::new();
    for partition in 0..task.partitions as i32 {
        all.add_partition_offset(&task.topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    Ok(consumer)
}

#[allow(unsafe_code)]
fn batches(task: &Task) -> Outcome {
    let consumer = consumer(task)?;
    let (mut meter, mut seen) = (Meter::new(task.records), Seen::default());
    let mut taken: Vec<*mut c::rd_kafka_message_t> = vec![ptr::null_mut(); TOGETHER];
    // SAFETY: the consumer lives until the end of this function; the queue is let go of before.
    let queue = unsafe { c::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
    while seen.records < task.records {
        // SAFETY: there is room for as many messages as are asked for, and the queue is not null: it is a consumer's.
        let count = unsafe {
            c::rd_kafka_consume_batch_queue(queue, PATIENCE.as_millis() as i32, taken.as_mut_ptr(), TOGETHER)
        };
        for &message in &taken[..usize::try_from(count)?] {
            // SAFETY: each was just taken, and is destroyed once, after its last use.
            unsafe {
                let record = &*message;
                if record.err != c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    return Err(format!("{:?}", record.err).into());
                }
                seen.add(record.offset, part(record.key, record.key_len), part(record.payload, record.len));
                c::rd_kafka_message_destroy(message);
            }
        }
        meter.on(seen.records);
    }
    let report = meter.report(version(), seen);
    // SAFETY: it was had above, and is not used again.
    unsafe { c::rd_kafka_queue_destroy(queue) };
    Ok(report)
}

/// # Safety
/// `start` is null or begins so many bytes that live as long as the caller uses them.
#[allow(unsafe_code)]
unsafe fn part<'a>(start: *const std::ffi::c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), length) })
}

fn polls(task: &Task) -> Outcome {
    let consumer = consumer(task)?;
    let (mut meter, mut seen) = (Meter::new(task.records), Seen::default());
    while seen.records < task.records {
        let Some(message) = consumer.poll(PATIENCE) else { continue };
        let message = message?;
        seen.add(message.offset(), message.key(), message.payload());
        meter.on(seen.records);
    }
    Ok(meter.report(version(), seen))
}

/// Counts what is acknowledged, and what is not.
#[derive(Default)]
struct Acknowledged {
    records: AtomicU64,
    failed: AtomicU64,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.records } else { &self.failed };
        counter.fetch_add(1, Relaxed);
    }
}

fn produce(task: &Task) -> Outcome {
    let producer: BaseProducer<Acknowledged> = ClientConfig::new()
        .set("bootstrap.servers", &task.bootstrap)
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("queue.buffering.max.messages", "500000")
        .set("compression.codec", task.codec.to_string())
        .create_with_context(Acknowledged::default())?;
    let values = Values::new(task.value_bytes);
    let (keys, values) = (values.keys(), values.values());
    let mut meter = Meter::new(task.records);
    for at in 0..task.records as usize {
        meter.on(at as u64);
        let mut record = BaseRecord::to(&task.topic).payload(values[at % values.len()].as_bytes());
        if task.keyed {
            record = record.key(keys[at % keys.len()].as_bytes());
        }
        while let Err((error, again)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(1));
            record = again;
        }
        if at % 1_000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(60))?;
    let failed = producer.context().failed.load(Relaxed);
    if failed > 0 {
        return Err(format!("{failed} records were not delivered").into());
    }
    let records = producer.context().records.load(Relaxed);
    Ok(meter.report(version(), Seen { records, ..Default::default() }))
}

/// Takes note of when each record is acknowledged.
struct Timed {
    latencies: Mutex<Latencies>,
    records: AtomicU64,
}

impl ClientContext for Timed {}

impl ProducerContext for Timed {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, due: Box<u64>) {
        self.records.fetch_add(u64::from(result.is_ok()), Relaxed);
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).through(*due);
    }
}

fn prompt(task: &Task) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &task.bootstrap).set("enable.idempotence", "true").set("linger.ms", "0");
    config
}

fn ack(task: &Task) -> Outcome {
    let origin = Origin::now();
    let timed =
        Timed { latencies: Mutex::new(Latencies::new(origin, task.records)), records: AtomicU64::new(0) };
    let producer: ThreadedProducer<Timed> = prompt(task).create_with_context(timed)?;
    producer.client().fetch_metadata(Some(&task.topic), Duration::from_secs(10))?;
    let mut meter = Meter::new(0);
    meter.on(0);
    latency::pace(task, origin, |at, due| {
        let value = latency::value(task, due);
        let record: BaseRecord<'_, [u8], [u8], Box<u64>> =
            BaseRecord::with_opaque_to(&task.topic, Box::new(due));
        let record = record.partition(latency::partition(task, at)).payload(&value[..]);
        producer.send(record).map_err(|(error, _)| error)
    })?;
    producer.flush(Duration::from_secs(30))?;
    let timed = producer.context();
    let records = timed.records.load(Relaxed);
    let latency = timed.latencies.lock().unwrap_or_else(PoisonError::into_inner).quantiles();
    let report = meter.report(version(), Seen { records, ..Default::default() });
    Ok(super::Report { latency: Some(latency), ..report })
}

fn through(task: &Task) -> Outcome {
    let origin = Origin::now();
    let producer: ThreadedProducer<Acknowledged> =
        prompt(task).create_with_context(Acknowledged::default())?;
    producer.client().fetch_metadata(Some(&task.topic), Duration::from_secs(10))?;
    let consumer = consumer(task)?;
    let (mut meter, mut seen) = (Meter::new(0), Seen::default());
    let mut latencies = Latencies::new(origin, task.records);
    meter.on(0);
    let own = task.clone();
    let sending = thread::spawn(move || {
        latency::pace(&own, origin, |at, due| {
            let value = latency::value(&own, due);
            let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&own.topic).payload(&value[..]);
            producer.send(record.partition(latency::partition(&own, at))).map_err(|(error, _)| error)
        })?;
        producer.flush(Duration::from_secs(30))
    });
    while seen.records < task.records {
        let Some(message) = consumer.poll(PATIENCE) else { continue };
        let message = message?;
        latencies.through(latency::due(message.payload()).ok_or("a value says when it was due")?);
        seen.add(message.offset(), message.key(), message.payload());
    }
    sending.join().map_err(|_| "the sender panicked")??;
    let report = meter.report(version(), seen);
    Ok(super::Report { latency: Some(latencies.quantiles()), ..report })
}
