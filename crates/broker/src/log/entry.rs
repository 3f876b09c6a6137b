//! An entry of the journal, as bytes.
//!
//! ```text
//! 0  u32 checksum of the folder's key and all that follows
//! 4  u32 length of header and payload
//! 8  u64 position
//! 16 u64 position synced when it was written
//! 24 u32 checksum of the entry before
//! 28 u8  kind
//! 29     three zeros
//! 32     payload
//! ```
//! Numbers are big-endian. Entries begin at multiples of 64 bytes, what lies between them means nothing.

use crc_fast::{CrcAlgorithm, Digest};

pub(super) const HEADER_BYTES: usize = 32;
/// Where entries may begin.
pub(super) const ALIGNMENT: u64 = 64;

/// Nothing more in this file: the next entry opens the next one.
pub(super) const KIND_END_OF_FILE: u8 = 0;
/// A record batch; the other kinds are the ledger's.
pub(super) const KIND_BATCH: u8 = 1;

/// What an entry says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) checksum: u32,
    /// Bytes of header and payload.
    pub(super) length: usize,
    pub(super) position: u64,
    /// All before this position was synced when the entry was written.
    pub(super) synced: u64,
    /// The checksum of the entry before.
    pub(super) previous: u32,
    pub(super) kind: u8,
}

impl Header {
    /// Writes the header of an entry whose payload is there, and says its checksum.
    pub(super) fn seal(mut self, entry: &mut [u8], key: u64) -> u32 {
        self.length = entry.len();
        let length = u32::try_from(self.length).expect("an entry is no longer than a file of the journal");
        entry[4..8].copy_from_slice(&length.to_be_bytes());
        entry[8..16].copy_from_slice(&self.position.to_be_bytes());
        entry[16..24].copy_from_slice(&self.synced.to_be_bytes());
        entry[24..28].copy_from_slice(&self.previous.to_be_bytes());
        entry[28..32].copy_from_slice(&[self.kind, 0, 0, 0]);
        let checksum = checksum(&entry[4..], key);
        entry[..4].copy_from_slice(&checksum.to_be_bytes());
        checksum
    }

    /// The header at the start of `bytes`, if it is that of an intact entry at `position`.
    pub(super) fn intact(bytes: &[u8], position: u64, key: u64) -> Option<Self> {
        let header = Self::parse(bytes.first_chunk()?);
        let entry = bytes.get(..header.length)?;
        let fits = header.length >= HEADER_BYTES && header.position == position;
        (fits && checksum(&entry[4..], key) == header.checksum).then_some(header)
    }

    /// Where the next entry begins, unless a new file does.
    pub(super) fn end(&self) -> u64 {
        self.position + aligned(self.length)
    }

    /// Whether it can be the entry at this place, after the one with this checksum.
    pub(super) fn continues(&self, position: u64, previous: u32) -> bool {
        self.position == position && self.previous == previous
    }

    /// What is said there, intact or not.
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Self {
        Self {
            checksum: u32::from_be_bytes(field(bytes, 0)),
            length: u32::from_be_bytes(field(bytes, 4)) as usize,
            position: u64::from_be_bytes(field(bytes, 8)),
            synced: u64::from_be_bytes(field(bytes, 16)),
            previous: u32::from_be_bytes(field(bytes, 24)),
            kind: bytes[28],
        }
    }
}

/// What an entry of this length takes.
pub(super) fn aligned(length: usize) -> u64 {
    (length as u64).next_multiple_of(ALIGNMENT)
}

/// CRC-32C, begun with the folder's key: nobody who sends records can make one up.
pub(super) fn checksum(bytes: &[u8], key: u64) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&key.to_be_bytes());
    digest.update(bytes);
    digest.finalize() as u32
}

fn field<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has N bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(position: u64, payload: &[u8], key: u64) -> Vec<u8> {
        let mut entry = vec![0; HEADER_BYTES];
        entry.extend_from_slice(payload);
        let header = Header { checksum: 0, length: 0, position, synced: 7, previous: 9, kind: 3 };
        header.seal(&mut entry, key);
        entry
    }

    #[test]
    fn an_entry_reads_as_it_was_written() {
        let entry = sealed(128, b"payload", 5);
        let header = Header::intact(&entry, 128, 5).unwrap();
        assert_eq!((header.position, header.synced, header.previous, header.kind), (128, 7, 9, 3));
        assert_eq!((header.length, header.end()), (39, 192));
    }

    #[test]
    fn any_flipped_bit_shows() {
        let entry = sealed(0, b"payload", 5);
        for bit in 0..entry.len() * 8 {
            let mut damaged = entry.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::intact(&damaged, 0, 5), None, "bit {bit}");
        }
    }

    #[test]
    fn an_entry_of_another_place_another_folder_or_cut_off_is_none() {
        let entry = sealed(64, b"payload", 5);
        assert_eq!(Header::intact(&entry, 128, 5), None);
        assert_eq!(Header::intact(&entry, 64, 6), None);
        assert_eq!(Header::intact(&entry[..entry.len() - 1], 64, 5), None);
        assert_eq!(Header::intact(&[0; 64], 0, 5), None);
    }
}
