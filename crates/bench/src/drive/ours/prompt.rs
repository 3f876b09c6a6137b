//! How long records take with our client.

use std::{error::Error, sync::Arc, thread};

use tokio::{runtime::Handle, sync::mpsc};
use vltava_client::{Client, Delivery, ErrorKind, Offset, Producer, ProducerRecord, TopicPartition};

use super::VERSION;
use crate::drive::{
    Latencies, Meter, Outcome, Report, Seen, Task,
    latency::{self, Origin},
};

type Failure = Box<dyn Error + Send + Sync>;

/// Records of a burst, and when they were due.
type Burst = (u64, Vec<Delivery>);

pub(super) async fn ack(client: &Client, task: &Task) -> Outcome {
    let (producer, runtime) = (client.producer(), Handle::current());
    let origin = Origin::now();
    let (tell, mut told) = mpsc::unbounded_channel::<Burst>();
    let (mut meter, mut latencies) = (Meter::new(0), Latencies::new(origin, task.records));
    meter.on(0);
    let own = task.clone();
    let sending = thread::spawn(move || {
        let _here = runtime.enter();
        let topic = own.topic.as_str().into();
        let mut burst: Burst = (0, Vec::new());
        let sent = latency::pace(&own, origin, |at, due| {
            if burst.0 != due {
                // Whoever is told lives as long as this sends.
                let _ = tell.send(std::mem::replace(&mut burst, (due, Vec::new())));
            }
            burst.1.push(sent(&producer, &topic, &own, at, due)?);
            Ok::<(), Failure>(())
        });
        let _ = tell.send(burst);
        sent
    });
    let mut records = 0;
    while let Some((due, burst)) = told.recv().await {
        for delivery in burst {
            delivery.await?;
            latencies.through(due);
            records += 1;
        }
    }
    sending.join().map_err(|_| "the sender panicked")?.map_err(|error| error.to_string())?;
    let report = meter.report(VERSION, Seen { records, ..Default::default() });
    Ok(Report { latency: Some(latencies.quantiles()), ..report })
}

pub(super) async fn through(client: &Client, task: &Task) -> Outcome {
    let (producer, runtime) = (client.producer(), Handle::current());
    let all = (0..task.partitions as i32)
        .map(|it| (TopicPartition::new(task.topic.as_str(), it), Offset::Earliest));
    let mut consumer = client.consumer().assign(all).await?;
    let origin = Origin::now();
    let (mut meter, mut seen) = (Meter::new(0), Seen::default());
    let mut latencies = Latencies::new(origin, task.records);
    meter.on(0);
    let own = task.clone();
    let sending = thread::spawn(move || {
        let _here = runtime.enter();
        let topic = own.topic.as_str().into();
        latency::pace(&own, origin, |at, due| {
            // What does not arrive is not read either, and missed then.
            drop(sent(&producer, &topic, &own, at, due)?);
            Ok::<(), Failure>(())
        })
    });
    while seen.records < task.records {
        let batch = consumer.next().await?.ok_or("the consumer came to an end")?;
        for record in &batch {
            latencies.through(latency::due(record.value()).ok_or("a value says when it was due")?);
            seen.add(record.offset(), record.key(), record.value());
        }
    }
    sending.join().map_err(|_| "the sender panicked")?.map_err(|error| error.to_string())?;
    let report = meter.report(VERSION, seen);
    Ok(Report { latency: Some(latencies.quantiles()), ..report })
}

/// Sends at once, or as soon as there is room.
fn sent(producer: &Producer, topic: &Arc<str>, task: &Task, at: u64, due: u64) -> Result<Delivery, Failure> {
    let record = ProducerRecord::to(topic.clone())
        .partition(latency::partition(task, at))
        .value(latency::value(task, due));
    let mut unsent = match producer.try_send(record) {
        Ok(delivery) => return Ok(delivery),
        Err(unsent) => unsent,
    };
    loop {
        if unsent.error().kind() != ErrorKind::WouldBlock {
            return Err(unsent.error().to_string().into());
        }
        thread::yield_now();
        match producer.try_send(unsent.into_record()) {
            Ok(delivery) => return Ok(delivery),
            Err(again) => unsent = again,
        }
    }
}
