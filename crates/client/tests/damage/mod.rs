//! A disk that gives back other bytes than it was given: who reads them is told, and never shown what was not sent.

use std::{ops::Range, time::Duration};

use vltava_broker::disk::{Disk, Memory};
use vltava_client::{Client, ErrorKind, Offset, Producer, ProducerRecord, TopicPartition};

use crate::world::World;

/// Nobody waits longer, on a clock that jumps.
const PATIENCE: Duration = Duration::from_secs(60);
/// What of a batch is not under its checksum, as the broker writes it: where it lies, and in which reign it was written.
const BASE_OFFSET: Range<usize> = 0..8;
const LEADER_EPOCH: Range<usize> = 12..16;

#[tokio::test(start_paused = true)]
async fn whatever_byte_of_a_segment_is_damaged_a_reader_gets_an_error_and_no_bad_record() {
    let disk = Memory::new();
    let sent = [(0, "one"), (1, "two"), (2, "three")].map(|(offset, value)| (offset, value.to_owned()));
    let world = World::on(disk.clone(), &[("orders", 1)]).await;
    let producer = Producer::builder(&world.client().await).build().expect("a producer");
    for (_, value) in &sent {
        let record = ProducerRecord::to("orders").key("k").value(value.clone());
        producer.send(record).await.expect("there is room").await.expect("it is delivered");
    }
    world.broker.shutdown().await.expect("it stops");

    let mut files = disk.list().expect("a disk has files").into_iter();
    let (segment, length) = files.find(|(name, _)| name.ends_with(".log")).expect("a segment");
    let mut bytes = vec![0; length as usize];
    disk.open(&segment).expect("it is there").read_at(0, &mut bytes).expect("it is read");
    let starts = starts(&bytes);
    assert_eq!(starts.len(), sent.len(), "a batch for each record");
    for at in 0..bytes.len() {
        disk.damage(&segment, at as u64..at as u64 + 1).expect("it is there");
        let world = World::on(disk.clone(), &[]).await;
        let (values, error) = read(&world.client().await).await;
        world.broker.shutdown().await.expect("it stops");
        disk.damage(&segment, at as u64..at as u64 + 1).expect("it is there");

        let batch = starts.partition_point(|it| *it <= at) - 1;
        let field = at - starts[batch];
        let because = format!("byte {field} of batch {batch}: {values:?}, {error:?}");
        if LEADER_EPOCH.contains(&field) {
            assert_eq!((values, error), (sent.to_vec(), None), "{because}");
            continue;
        }
        assert_eq!(values, sent[..batch], "{because}");
        // A batch that claims to lie beyond the end of the log is waited for.
        let is_later = BASE_OFFSET.contains(&field) && field > 0;
        assert_eq!(error, (!is_later).then_some(ErrorKind::Corrupt), "{because}");
    }
}

/// Where batches begin.
fn starts(segment: &[u8]) -> Vec<usize> {
    let mut starts = vec![0];
    loop {
        let start = starts[starts.len() - 1];
        let Some(length) = segment.get(start + 8..start + 12) else { break };
        starts.push(start + 12 + i32::from_be_bytes(length.try_into().expect("four bytes")) as usize);
    }
    starts.pop();
    starts
}

/// Reads from the beginning, until the end, an error, or for long.
async fn read(client: &Client) -> (Vec<(i64, String)>, Option<ErrorKind>) {
    let everything = [(TopicPartition::new("orders", 0), Offset::Earliest)];
    let mut consumer = client.consumer().assign(everything).await.expect("an assignment");
    consumer.stop_at([(TopicPartition::new("orders", 0), 3)]);
    let mut values = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, consumer.next()).await {
            Ok(Ok(Some(batch))) => values.extend(batch.iter().map(|it| {
                let value = String::from_utf8_lossy(it.value().expect("all have one"));
                (it.offset(), value.into_owned())
            })),
            Ok(Err(error)) => return (values, Some(error.kind())),
            Ok(Ok(None)) | Err(_) => return (values, None),
        }
    }
}
