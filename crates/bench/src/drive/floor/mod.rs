//! The least a client can do: blocking sockets, a thread for each endpoint, messages written and read by hand in one
//! version. It knows where every partition is, believes all it is told that a checksum does not cover, and has no
//! groups, no retries, no limits: it shows how far down one could get, and is no client.

mod consume;
mod produce;

use std::{
    io::{self, Read},
    net::TcpStream,
    ops::Range,
};

use super::{Outcome, Task, Work};

const VERSION: &str = "by hand";

pub(super) fn run(task: &Task) -> Outcome {
    match (task.work, task.variant.as_str()) {
        (Work::Consume, "borrowed") => consume::run(task, false),
        (Work::Consume, "owned") => consume::run(task, true),
        (Work::Produce, "send") => produce::run(task),
        _ => Err(task.no_variant()),
    }
}

/// The addresses of a cluster's nodes, by their numbers.
fn nodes(task: &Task) -> Vec<&str> {
    task.bootstrap.split(',').collect()
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What comes before the body of a request; the length is filled in once it is known.
fn begin(out: &mut Vec<u8>, api: i16, version: i16) {
    out.clear();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&api.to_be_bytes());
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    text(out, "floor");
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as i16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Fills in how long a request is, with what follows `out`.
fn end(out: &mut [u8], following: usize) {
    let length = (out.len() - 4 + following) as u32;
    out[..4].copy_from_slice(&length.to_be_bytes());
}

/// Reads an answer into memory that is used again.
fn answer<'a>(stream: &mut TcpStream, memory: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if memory.len() < length {
        memory.resize(length, 0);
    }
    stream.read_exact(&mut memory[..length])?;
    Ok(&memory[..length])
}

/// Where a field of `bytes` lies, and what it says.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn short(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.bytes[self.at..][..N].try_into().expect("it is that long");
        self.at += N;
        taken
    }

    fn range(&mut self, length: i32) -> Range<usize> {
        let start = self.at;
        self.at += length.max(0) as usize;
        start..self.at
    }
}
