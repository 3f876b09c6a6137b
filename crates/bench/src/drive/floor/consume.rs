//! Reading: the next fetch is under way before the records of the last one are looked at.

use std::{
    error::Error,
    io::{self, Read, Write},
    net::TcpStream,
    ops::Range,
    sync::mpsc,
    thread,
};

use bytes::{Bytes, BytesMut};

use super::{Fields, VERSION, answer, begin, connect, end, nodes, text};
use crate::{
    codec::floor::{Batch, Handle, batch, each_owned},
    drive::{Meter, Outcome, Seen, Task},
};

const FETCH: i16 = 1;
const FETCH_VERSION: i16 = 4;
const MAX_BYTES: i32 = 50 << 20;
const PARTITION_MAX_BYTES: i32 = 1 << 20;

/// Bytes of a batch that its length does not count.
const UNCOUNTED_BYTES: usize = 12;

const LZ4: u8 = 3;
const ZSTD: u8 = 4;

pub(super) fn run(task: &Task, owned: bool) -> Outcome {
    let nodes = nodes(task);
    let readers =
        nodes.iter().enumerate().map(|(node, address)| Reader::new(address, node, nodes.len(), task));
    let mut readers: Vec<_> = readers.collect::<Result<_, _>>()?;
    let (mut meter, mut seen) = (Meter::new(task.records), Seen::default());
    if readers.len() == 1 {
        let mut reader = readers.remove(0);
        while seen.records < task.records {
            reader.read(&mut seen, owned).map_err(|error| error.to_string())?;
            meter.on(seen.records);
        }
        return Ok(meter.report(VERSION, seen));
    }
    let (tell, told) = mpsc::channel();
    for mut reader in readers {
        let tell = tell.clone();
        thread::spawn(move || {
            let mut seen = Seen::default();
            // Nobody listens any more once all there is has been read.
            while tell.send(reader.read(&mut seen, owned).map(|()| std::mem::take(&mut seen))).is_ok() {}
        });
    }
    while seen.records < task.records {
        let more = told.recv()?.map_err(|error| error.to_string())?;
        seen.records += more.records;
        seen.offsets = seen.offsets.wrapping_add(more.offsets);
        seen.bytes += more.bytes;
        meter.on(seen.records);
    }
    Ok(meter.report(VERSION, seen))
}

/// Reads the partitions of a node.
struct Reader {
    stream: TcpStream,
    topic: String,
    /// Number and position of each.
    partitions: Vec<(i32, i64)>,
    request: Vec<u8>,
    memory: Vec<u8>,
    shared: BytesMut,
    places: Vec<Range<usize>>,
    unpacked: Vec<u8>,
    handles: Vec<Handle>,
}

type Failure = Box<dyn Error + Send + Sync>;

impl Reader {
    fn new(address: &str, node: usize, nodes: usize, task: &Task) -> io::Result<Self> {
        let own = (0..task.partitions).skip(node).step_by(nodes);
        let mut reader = Self {
            stream: connect(address)?,
            topic: task.topic.clone(),
            partitions: own.map(|it| (it as i32, 0)).collect(),
            request: Vec::new(),
            memory: Vec::new(),
            shared: BytesMut::new(),
            places: Vec::new(),
            unpacked: Vec::new(),
            handles: Vec::new(),
        };
        reader.ask()?;
        Ok(reader)
    }

    /// Reads what one fetch brought.
    fn read(&mut self, seen: &mut Seen, owned: bool) -> Result<(), Failure> {
        if owned {
            return self.read_owned(seen);
        }
        let mut memory = std::mem::take(&mut self.memory);
        let found = answer(&mut self.stream, &mut memory)?;
        self.find(found);
        self.ask()?;
        for place in &self.places {
            let mut rest = &found[place.clone()];
            while let Some((batch, after)) = batch(rest) {
                for record in batch.reader(unpacked(&batch, &mut self.unpacked)?) {
                    seen.add(record.offset, record.key, record.value);
                }
                rest = after;
            }
        }
        self.memory = memory;
        Ok(())
    }

    fn read_owned(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let found = self.whole()?;
        self.find(&found);
        self.ask()?;
        for place in &self.places {
            each_owned(&found.slice(place.clone()), &mut self.handles, |it| {
                seen.add(it.offset, it.key(), it.value());
            });
        }
        Ok(())
    }

    /// An answer, in memory that lives as long as a record of it.
    fn whole(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        self.shared.resize(u32::from_be_bytes(length) as usize, 0);
        self.stream.read_exact(&mut self.shared)?;
        Ok(self.shared.split().freeze())
    }

    fn ask(&mut self) -> io::Result<()> {
        let out = &mut self.request;
        begin(out, FETCH, FETCH_VERSION);
        for field in [-1, 500, 1, MAX_BYTES] {
            out.extend_from_slice(&i32::to_be_bytes(field));
        }
        out.push(0);
        out.extend_from_slice(&1i32.to_be_bytes());
        text(out, &self.topic);
        out.extend_from_slice(&(self.partitions.len() as i32).to_be_bytes());
        for (number, position) in &self.partitions {
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(&position.to_be_bytes());
            out.extend_from_slice(&PARTITION_MAX_BYTES.to_be_bytes());
        }
        end(out, 0);
        self.stream.write_all(out)
    }

    /// Finds the records of each partition in an answer, and moves on behind the last of them.
    fn find(&mut self, answer: &[u8]) {
        self.places.clear();
        let mut fields = Fields { bytes: answer, at: 0 };
        // The correlation id, the throttle time, and that there is one topic.
        fields.skip(12);
        let name = fields.short();
        fields.skip(name as usize);
        for _ in 0..fields.int() {
            let partition = fields.int();
            // The error, the high watermark, the last stable offset, and that nothing was aborted.
            fields.skip(2 + 8 + 8 + 4);
            let length = fields.int();
            let place = fields.range(length);
            if let Some(next) = next_offset(&answer[place.clone()]) {
                let own = self.partitions.iter_mut().find(|it| it.0 == partition);
                own.expect("it was asked for").1 = next;
            }
            self.places.push(place);
        }
    }
}

/// The offset behind these batches.
fn next_offset(batches: &[u8]) -> Option<i64> {
    let mut rest = batches;
    let mut next = None;
    while rest.len() >= UNCOUNTED_BYTES {
        let length = u32::from_be_bytes(*rest[8..].first_chunk()?) as usize + UNCOUNTED_BYTES;
        let (batch, after) = rest.split_at_checked(length)?;
        let last = i32::from_be_bytes(*batch[23..].first_chunk()?);
        next = Some(i64::from_be_bytes(*batch.first_chunk()?) + i64::from(last) + 1);
        rest = after;
    }
    next
}

/// The records of a batch, unpacked into memory that is used again.
fn unpacked<'a>(batch: &Batch<'a>, memory: &'a mut Vec<u8>) -> Result<&'a [u8], Failure> {
    memory.clear();
    match batch.codec() {
        0 => return Ok(batch.records),
        LZ4 => _ = lz4_flex::frame::FrameDecoder::new(batch.records).read_to_end(memory)?,
        ZSTD => _ = zstd::Decoder::new(batch.records)?.read_to_end(memory)?,
        codec => return Err(format!("codec {codec} is not known").into()),
    }
    Ok(memory)
}
