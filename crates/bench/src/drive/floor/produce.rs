//! Writing: a request carries one batch, of which a node may have five unanswered.

use std::{
    io::{self, IoSlice, Write},
    net::TcpStream,
};

use rustix::time::{ClockId, clock_gettime};
use vltava_wire::Compression;

use super::{Fields, VERSION, answer, begin, connect, end, nodes, text};
use crate::{
    codec::floor::Writer,
    drive::{Meter, Outcome, Seen, Task},
    values::Values,
};

const PRODUCE: i16 = 0;
const PRODUCE_VERSION: i16 = 3;
const BATCH_BYTES: usize = 1_000_000;
const IN_FLIGHT_MAX: usize = 5;

/// Bytes that the index and the length of a batch take in a request.
const ALL_IN_SYNC: i16 = -1;
const TIMEOUT_MS: i32 = 30_000;

pub(super) fn run(task: &Task) -> Outcome {
    let nodes = nodes(task).into_iter().map(Node::new);
    let mut nodes: Vec<_> = nodes.collect::<Result<_, _>>()?;
    let mut writers: Vec<_> = (0..task.partitions).map(|_| Writer::default()).collect();
    writers.iter_mut().for_each(Writer::open);
    let values = Values::new(task.value_bytes);
    let (keys, values) = (values.keys(), values.values());
    let mut meter = Meter::new(task.records);
    let mut unkeyed = 0;
    for at in 0..task.records as usize {
        meter.on(at as u64);
        let key = task.keyed.then(|| keys[at % keys.len()].as_bytes());
        let partition = match key {
            Some(key) => (murmur2(key) & 0x7fff_ffff) as usize % writers.len(),
            None => unkeyed,
        };
        let writer = &mut writers[partition];
        writer.append(coarse_millis(), key, values[at % values.len()].as_bytes());
        if writer.bytes() >= BATCH_BYTES {
            let node = partition % nodes.len();
            nodes[node].write(task, partition, writer)?;
            unkeyed = (partition + 1) % task.partitions;
        }
    }
    for (partition, writer) in writers.iter_mut().enumerate().filter(|it| !it.1.is_empty()) {
        let node = partition % nodes.len();
        nodes[node].write(task, partition, writer)?;
    }
    for node in &mut nodes {
        node.answered(0)?;
    }
    Ok(meter.report(VERSION, Seen { records: task.records, ..Default::default() }))
}

struct Node {
    stream: TcpStream,
    request: Vec<u8>,
    memory: Vec<u8>,
    in_flight: usize,
}

impl Node {
    fn new(address: &str) -> io::Result<Self> {
        Ok(Self { stream: connect(address)?, request: Vec::new(), memory: Vec::new(), in_flight: 0 })
    }

    /// Closes the batch, writes it, and leaves an open one.
    fn write(&mut self, task: &Task, partition: usize, writer: &mut Writer) -> io::Result<()> {
        match task.codec.compression() {
            Compression::None => {}
            codec => writer.pack(codec.id(), |plain| packed(codec, plain)),
        }
        let batch = writer.close();
        let out = &mut self.request;
        begin(out, PRODUCE, PRODUCE_VERSION);
        out.extend_from_slice(&(-1i16).to_be_bytes());
        out.extend_from_slice(&ALL_IN_SYNC.to_be_bytes());
        out.extend_from_slice(&TIMEOUT_MS.to_be_bytes());
        out.extend_from_slice(&1i32.to_be_bytes());
        text(out, &task.topic);
        out.extend_from_slice(&1i32.to_be_bytes());
        out.extend_from_slice(&(partition as i32).to_be_bytes());
        out.extend_from_slice(&(batch.len() as i32).to_be_bytes());
        end(out, batch.len());
        let mut slices = [IoSlice::new(out), IoSlice::new(batch)];
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let written = self.stream.write_vectored(rest)?;
            IoSlice::advance_slices(&mut rest, written);
        }
        writer.open();
        self.in_flight += 1;
        self.answered(IN_FLIGHT_MAX - 1)
    }

    /// Waits until no more than so many requests are unanswered.
    fn answered(&mut self, at_most: usize) -> io::Result<()> {
        while self.in_flight > at_most {
            let mut fields = Fields { bytes: answer(&mut self.stream, &mut self.memory)?, at: 0 };
            // The correlation id, and that there is one topic; its name; one partition, and its number.
            fields.skip(8);
            let name = fields.short();
            fields.skip(name as usize + 8);
            let error = fields.short();
            if error != 0 {
                return Err(io::Error::other(format!("a batch was refused with error {error}")));
            }
            self.in_flight -= 1;
        }
        Ok(())
    }
}

fn packed(codec: Compression, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() / 2);
    let written = match codec {
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(&mut out);
            encoder.write_all(plain).map(|()| drop(encoder.finish()))
        }
        _ => zstd::stream::copy_encode(plain, &mut out, 1),
    };
    written.expect("memory takes what is written to it");
    out
}

/// The time, as of the kernel's last tick.
fn coarse_millis() -> i64 {
    let time = clock_gettime(ClockId::RealtimeCoarse);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

/// The hash by which Java's client finds the partition of a key.
fn murmur2(key: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MIX);
        word = (word ^ word >> 24).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ word;
    }
    for (at, byte) in rest.iter().enumerate().rev() {
        hash ^= u32::from(*byte) << (8 * at);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(MIX);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(MIX);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_where_java_sends_them() {
        // From org.apache.kafka.common.utils.UtilsTest.
        for (key, hash) in
            [("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536)]
        {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }
}
