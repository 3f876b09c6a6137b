//! A broker's folder that something else than the broker has changed.
//!
//! An input is a row of changes of six bytes: which file, what is done to it, where, and how much or to what.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime,
};
use vltava_broker::{
    Broker, Builder, ErrorKind,
    disk::{Disk, Memory},
};
use vltava_core::Rng;
use vltava_wire::{
    Compression, frame,
    messages::{ProduceRequest, produce},
    record::{BatchBuilder, RecordSlices, Stamp},
    sample::Dice,
};

use super::panics;

const CHANGE_BYTES: usize = 6;
/// Where changes are made: what is written of a file that is filled with zeros.
const WRITTEN_BYTES: u64 = 8 << 10;
const TOPIC: &str = "t";

/// Whatever became of the files, the broker says that they are damaged, or opens them and can open them again.
pub(crate) fn check(input: &[u8]) {
    panics::see();
    let paused = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    paused.expect("a runtime can be made").block_on(open_changed(input));
    panics::none();
}

async fn open_changed(input: &[u8]) {
    let disk = used().await;
    for change in input.chunks_exact(CHANGE_BYTES) {
        apply(&disk, change);
    }
    match on(&disk).start().await {
        Ok(broker) => {
            broker.shutdown().await.expect("a broker that opened stops");
            let again = on(&disk).start().await.expect("what was opened opens again");
            again.shutdown().await.expect("a broker that opened stops");
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

fn on(disk: &Memory) -> Builder {
    Broker::in_memory().disk(Arc::new(disk.clone())).seed(1).topic(TOPIC, 2)
}

/// A folder with an image, a journal behind it and segments: it was closed once, and cut off in its second life.
async fn used() -> Memory {
    let disk = Memory::unreliable();
    for life in 0..2 {
        let broker = on(&disk).start().await.expect("an untouched folder opens");
        let mut stream = broker.connect();
        for kind in [Compression::None, Compression::Lz4] {
            let request = frame::request(9, 1, None, &produced(kind)).expect("the request fits its version");
            stream.write_all(&request.into_bytes()).await.expect("the broker reads");
            let length = stream.read_u32().await.expect("the broker answers");
            stream.read_exact(&mut vec![0; length as usize]).await.expect("the broker answers");
        }
        if life == 0 {
            broker.shutdown().await.expect("an untouched broker stops");
        }
    }
    disk.after_power_loss(&mut Rng::new(1))
}

fn produced(kind: Compression) -> ProduceRequest {
    let mut batch = BatchBuilder::new();
    batch.append(RecordSlices::new(1_000, Some(b"key"), Some(b"value"))).expect("the batch has room");
    let records = batch.finish(Stamp::NONE, kind).expect("a batch with records can be finished");
    let partition = produce::PartitionProduceData { index: 0, records: Some(records) };
    let topic_data = vec![produce::TopicProduceData {
        name: TOPIC.into(),
        partition_data: vec![partition],
        ..Default::default()
    }];
    ProduceRequest { acks: -1, timeout_ms: 1_000, topic_data, ..Default::default() }
}

fn apply(disk: &Memory, change: &[u8]) {
    let &[file, how, high, low, bytes, to] = change else { unreachable!("a change has six bytes") };
    let names = disk.list().expect("a folder in memory can be listed");
    let Some((name, length)) = names.get(usize::from(file) % names.len().max(1)) else { return };
    let at = u64::from(u16::from_be_bytes([high, low])) % (*length).clamp(1, WRITTEN_BYTES);
    let file = disk.open(name).expect("a file that was listed can be opened");
    let done = match how % 8 {
        0 => disk.remove(name),
        1 => file.truncate(at),
        2 => disk.rename(name, &format!("{name}0")),
        3 => file.write_at(*length, &vec![to; usize::from(bytes)]),
        4 => file.write_at(at, &vec![to; usize::from(bytes)]),
        _ => file.write_at(at, &[to]),
    };
    done.expect("a disk in memory does what it is told");
}

/// Each file changed in each way, and changes that come together.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new()];
    for file in 0..6 {
        seeds.extend((0..8).map(|how| vec![file, how, 0, 40, 16, 0xff]));
    }
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let changes = dice.below(4) + 1;
        seeds.push((0..changes * CHANGE_BYTES as u64).map(|_| dice.roll() as u8).collect());
    }
    seeds
}
