//! The end of a run: everybody reads up to where the partitions end, and what is there is written down.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::sleep;
use vltava_client::{Client, Offset, Result, TopicPartition};
use vltava_sim::history::{Reader, Record, Recorder, What};

/// After an error a reader waits so long.
const RETRY: Duration = Duration::from_millis(20);

/// A line of a log has so many records: few enough to be read by whoever looks for one of them.
const PIECE: usize = 20;

/// Where each partition ends, once nothing more is written.
pub type Ends = BTreeMap<TopicPartition, i64>;

/// The partitions of a topic.
pub fn partitions(topic: &str, count: i32) -> impl Iterator<Item = TopicPartition> + Clone {
    (0..count).map(move |partition| TopicPartition::new(topic, partition))
}

/// Where these partitions end for good. What was sent to who does not answer is still on its way for a moment, and so
/// is what followers have not yet copied.
pub async fn ends(client: &Client, of: impl Iterator<Item = TopicPartition> + Clone) -> Result<Ends> {
    let mut before = None;
    loop {
        let latest = client.admin().offsets(of.clone().map(|it| (it, Offset::Latest))).await?;
        if before.as_ref() == Some(&latest) {
            return Ok(latest);
        }
        before = Some(latest);
        sleep(Duration::from_secs(1)).await;
    }
}

/// Reads on until everything was handed out. What goes wrong is in the history, and must not be the end.
pub async fn drain(reader: &mut Reader, ends: &Ends) {
    ends.keys().for_each(|it| reader.resume(it));
    while reader.partitions().any(|it| it.position() < ends.get(it.topic_partition()).copied()) {
        if reader.next().await.is_err() {
            sleep(RETRY).await;
        }
    }
}

/// Writes down what every partition has.
pub async fn note_log(recorder: &Recorder, client: &Client, ends: &Ends) -> Result<()> {
    let from = ends.keys().map(|it| (it.clone(), Offset::Earliest));
    let mut consumer = client.consumer().assign(from).await?;
    consumer.stop_at(ends.clone());
    let mut logs: BTreeMap<_, Vec<Record>> = ends.keys().map(|it| (it.clone(), Vec::new())).collect();
    while let Some(batch) = consumer.next().await? {
        let log = logs.entry(batch.topic_partition().clone()).or_default();
        log.extend(batch.iter().map(|it| Record::of(&it)));
    }
    for ((partition, end), records) in ends.iter().zip(logs.into_values()) {
        let piece = |records| What::Log { partition: partition.into(), start: 0, end: *end, records };
        // One at least, so that a log without records is known as well.
        recorder.note(piece(Vec::new()));
        records.chunks(PIECE).for_each(|it| recorder.note(piece(it.to_vec())));
    }
    Ok(())
}
