//! The image: one file that says all that was so at a position of the journal, and so where replay begins.
//!
//! ```text
//! 0  8 bytes that say whose file it is
//! 8  u32 format
//! 12 u32 checksum of all that follows
//! 16 u64 position
//! 24 u32 checksum of the entry before the position
//! 28 u64 bytes of a file of the journal
//! 36 u64 key of the journal's checksums
//! 44 entries: u8 kind, u32 length, payload
//! ```
//! Numbers are big-endian. It is replaced as a whole: written beside, synced, renamed, and the folder synced.

use std::io;

use bytes::{Buf, Bytes};
use vltava_wire::Encoder;

use crate::{Error, ErrorKind, Result, disk::Disk, ledger::Entry};

use super::{
    entry::{ALIGNMENT, checksum},
    journal::End,
    recover::{read_all, unreadable},
};

pub(super) const NAME: &str = "image";
pub(super) const NEW_NAME: &str = "image.new";
const MAGIC: &[u8; 8] = b"vltava\r\n";
/// Rises when an older broker could misread the folder.
const FORMAT: u32 = 2;
/// The oldest that this version reads.
const FORMAT_MIN: u32 = 1;
const HEADER_BYTES: usize = 44;
/// What is checked begins here.
const CHECKED: usize = 16;

/// Where the journal goes on, and what its files look like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Anchor {
    pub(super) end: End,
    pub(super) file_bytes: u64,
    pub(super) key: u64,
}

/// The bytes of an image.
pub(super) fn encode(anchor: Anchor, entries: impl Iterator<Item = Entry>) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(FORMAT.to_be_bytes());
    out.extend([0; 4]);
    out.extend(anchor.end.position.to_be_bytes());
    out.extend(anchor.end.previous.to_be_bytes());
    out.extend(anchor.file_bytes.to_be_bytes());
    out.extend(anchor.key.to_be_bytes());
    for entry in entries {
        let mut payload = Encoder::default();
        entry.encode(&mut payload).expect("what the ledger holds came out of an entry");
        out.push(entry.kind());
        out.extend(u32::try_from(payload.len()).expect("no entry of an image has 4 GiB").to_be_bytes());
        payload.into_segments().iter().for_each(|bytes| out.extend_from_slice(bytes));
    }
    let sum = checksum(&out[CHECKED..], 0);
    out[12..CHECKED].copy_from_slice(&sum.to_be_bytes());
    out
}

/// Replaces the image.
pub(super) async fn store(disk: &dyn Disk, bytes: &[u8]) -> Result<(), Failure> {
    let written = Failure::writing(NEW_NAME);
    let file = disk.create(NEW_NAME).map_err(written)?;
    file.write_at(0, bytes).map_err(written)?;
    file.sync().await.map_err(Failure::syncing(NEW_NAME))?;
    disk.rename(NEW_NAME, NAME).map_err(Failure::writing(NAME))?;
    disk.sync().await.map_err(Failure::syncing("the folder"))
}

/// What could not be done to which file.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) what: String,
    /// After a failed sync nobody knows what is on the disk.
    pub(super) in_sync: bool,
    pub(super) error: io::Error,
}

impl Failure {
    pub(super) fn writing(what: &str) -> impl Fn(io::Error) -> Self + Copy {
        move |error| Self { what: what.to_owned(), in_sync: false, error }
    }

    pub(super) fn syncing(what: &str) -> impl Fn(io::Error) -> Self + Copy {
        move |error| Self { what: what.to_owned(), in_sync: true, error }
    }
}

/// An image that was read.
pub(super) struct Image {
    pub(super) anchor: Anchor,
    pub(super) entries: Vec<Entry>,
}

/// Reads the image, if there is one.
pub(super) fn load(disk: &dyn Disk) -> Result<Option<Image>> {
    let file = match disk.open(NAME) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| unreadable(disk, NAME, error))?,
    };
    let bytes = read_all(&file, u64::MAX).map_err(|error| unreadable(disk, NAME, error))?;
    decode(bytes).map(Some).map_err(|why| {
        let place = disk.path();
        let advice = "restore the folder from a copy, or choose another folder";
        Error::new(ErrorKind::Damaged, format!("the file {NAME} in {place} cannot be used: {why}; {advice}"))
    })
}

fn decode(bytes: Bytes) -> Result<Image, String> {
    if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
        return Err("it is no image of a vltava broker".into());
    }
    let mut rest = bytes.slice(MAGIC.len()..);
    let (format, sum) = (rest.get_u32(), rest.get_u32());
    if !(FORMAT_MIN..=FORMAT).contains(&format) {
        return Err(format!("its format is {format}, and this version knows {FORMAT_MIN} to {FORMAT}"));
    }
    if sum != checksum(&bytes[CHECKED..], 0) {
        return Err("its checksum is wrong".into());
    }
    let end = End { position: rest.get_u64(), previous: rest.get_u32() };
    let anchor = Anchor { end, file_bytes: rest.get_u64(), key: rest.get_u64() };
    if anchor.file_bytes == 0 || !anchor.file_bytes.is_multiple_of(ALIGNMENT) {
        return Err(format!("it says that files of the journal have {} bytes", anchor.file_bytes));
    }
    let mut entries = Vec::new();
    while !rest.is_empty() {
        entries.push(next_entry(&mut rest)?);
    }
    Ok(Image { anchor, entries })
}

fn next_entry(rest: &mut Bytes) -> Result<Entry, String> {
    if rest.len() < 5 {
        return Err("it ends within an entry".into());
    }
    let (kind, length) = (rest.get_u8(), rest.get_u32() as usize);
    if rest.len() < length {
        return Err("it ends within an entry".into());
    }
    match Entry::decode(kind, rest.split_to(length)) {
        Some(entry) => entry.map_err(|error| error.to_string()),
        None => Err(format!("it has an entry of unknown kind {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use vltava_wire::Uuid;

    use super::*;
    use crate::ledger::{cluster::Opened, topics::Created};

    fn image() -> (Anchor, Vec<Entry>) {
        let anchor = Anchor { end: End { position: 640, previous: 7 }, file_bytes: 4096, key: 99 };
        let topic = Created {
            name: "orders".into(),
            id: Uuid(5),
            leader_epochs: vec![0; 3],
            configs: vec![],
            leaders: vec![2, 1, 2],
        };
        (anchor, vec![Entry::Opened(Opened { cluster_id: Uuid(3), times: 2 }), Entry::TopicCreated(topic)])
    }

    #[test]
    fn an_image_reads_as_it_was_written() {
        let (anchor, entries) = image();
        let read = decode(encode(anchor, entries.clone().into_iter()).into()).unwrap();
        assert_eq!((read.anchor, read.entries), (anchor, entries));
    }

    #[test]
    fn the_format_before_is_read_and_one_to_come_is_refused() {
        let (anchor, entries) = image();
        let mut bytes = encode(anchor, entries.clone().into_iter());
        bytes[8..12].copy_from_slice(&1u32.to_be_bytes());
        assert_eq!(decode(bytes.clone().into()).unwrap().entries, entries);
        bytes[8..12].copy_from_slice(&3u32.to_be_bytes());
        assert!(decode(bytes.into()).err().is_some_and(|why| why.contains("format is 3")));
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_refused() {
        let (anchor, entries) = image();
        let bytes = encode(anchor, entries.into_iter());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(damaged.into()).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(decode(bytes[..length].to_vec().into()).is_err(), "length {length}");
        }
    }
}
