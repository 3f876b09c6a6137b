//! How Zstandard's frames lie in a stream, and how much each can hold at most: seen from the heads of their blocks,
//! without unpacking anything (RFC 8878).

use super::{CompressionError, room::Room};

/// How a frame begins.
const MAGIC: u32 = 0xFD2F_B528;

/// How a frame begins that carries something for others.
const SKIPPABLE: std::ops::RangeInclusive<u32> = 0x184D_2A50..=0x184D_2A5F;

/// No block holds more, nor more than the window.
const BLOCK_BYTES_MAX: usize = 128 << 10;

/// In the byte that describes a frame.
const SINGLE_SEGMENT: u8 = 1 << 5;
const CHECKSUM: u8 = 1 << 2;

/// A frame with content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// All of it.
    pub(super) bytes: &'a [u8],
    /// The most that can be in it: what it says it holds, or what its blocks can.
    pub(super) content_bytes_max: usize,
    /// Whether it says how much it holds.
    pub(super) is_exact: bool,
}

impl<'a> Frame<'a> {
    /// Takes the next frame with content from `rest`.
    pub(super) fn next(rest: &mut &'a [u8]) -> Result<Option<Self>, CompressionError> {
        while !rest.is_empty() {
            let magic = u32::from_le_bytes(array(rest, 0)?);
            let length = match magic {
                MAGIC => return Self::read(rest).map(Some),
                magic if SKIPPABLE.contains(&magic) => u32::from_le_bytes(array(rest, 4)?) as usize,
                _ => return Err(CompressionError::broken("it does not begin as a frame of zstd does")),
            };
            *rest = rest.get(8 + length..).ok_or_else(CompressionError::cut_off)?;
        }
        Ok(None)
    }

    /// How much room it is given at most; an error if it says that it needs more than there is.
    pub(super) fn room(&self, room: &Room) -> Result<usize, CompressionError> {
        match self.content_bytes_max > room.left() {
            true if self.is_exact => Err(room.too_large()),
            true => Ok(room.left()),
            false => Ok(self.content_bytes_max),
        }
    }

    /// Where the size of its window is, if it has one that is not the size of its content.
    #[cfg(any(test, not(feature = "zstd")))]
    pub(super) fn window_at(&self) -> Option<usize> {
        (self.bytes[4] & SINGLE_SEGMENT == 0).then_some(5)
    }

    fn read(rest: &mut &'a [u8]) -> Result<Self, CompressionError> {
        let all = *rest;
        let [descriptor] = array(all, 4)?;
        let single_segment = descriptor & SINGLE_SEGMENT != 0;
        let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let size_at = 5 + usize::from(!single_segment) + dictionary_bytes;
        let (said, size_bytes) = match descriptor >> 6 {
            0 if single_segment => (Some(u64::from(array::<1>(all, size_at)?[0])), 1),
            0 => (None, 0),
            1 => (Some(u64::from(u16::from_le_bytes(array(all, size_at)?)) + 256), 2),
            2 => (Some(u64::from(u32::from_le_bytes(array(all, size_at)?))), 4),
            _ => (Some(u64::from_le_bytes(array(all, size_at)?)), 8),
        };
        let window_bytes = match said {
            Some(said) if single_segment => said,
            _ => window_bytes(array(all, 5)?),
        };
        let block_bytes_max = window_bytes.min(BLOCK_BYTES_MAX as u64) as usize;
        let (end, content_bytes_max) = walk_blocks(all, size_at + size_bytes, block_bytes_max)?;
        let end = end + if descriptor & CHECKSUM == 0 { 0 } else { 4 };
        let (bytes, after) = all.split_at_checked(end).ok_or_else(CompressionError::cut_off)?;
        *rest = after;
        let Some(said) = said else { return Ok(Self { bytes, content_bytes_max, is_exact: false }) };
        match usize::try_from(said) {
            Ok(said) if said <= content_bytes_max => {
                Ok(Self { bytes, content_bytes_max: said, is_exact: true })
            }
            _ => Err(CompressionError::broken("a frame says that it holds more than its blocks can")),
        }
    }
}

/// How much a decoder must be able to look back: an exponent and eighths.
fn window_bytes([descriptor]: [u8; 1]) -> u64 {
    let base = 1 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}

/// Where the blocks end that begin at `at`, and how much they can hold.
fn walk_blocks(
    frame: &[u8],
    mut at: usize,
    block_bytes_max: usize,
) -> Result<(usize, usize), CompressionError> {
    let mut content_bytes_max = 0usize;
    loop {
        let [low, middle, high] = array(frame, at)?;
        let head = u32::from_le_bytes([low, middle, high, 0]);
        let size = (head >> 3) as usize;
        let (stored, holds) = match head >> 1 & 3 {
            0 => (size, size),
            1 => (1, size),
            2 => (size, block_bytes_max),
            _ => return Err(CompressionError::broken("a block of no known kind")),
        };
        if size > block_bytes_max {
            return Err(CompressionError::broken("a block is larger than its frame's can be"));
        }
        at += 3 + stored;
        content_bytes_max = content_bytes_max.saturating_add(holds);
        if head & 1 == 1 {
            return Ok((at, content_bytes_max));
        }
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], CompressionError> {
    let rest = bytes.get(at..).ok_or_else(CompressionError::cut_off)?;
    rest.first_chunk().copied().ok_or_else(CompressionError::cut_off)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::{Compression::Zstd, tests::*, zstd_pure};

    /// By the library of this build; the pure one has to say the same.
    fn unpack(input: &[u8], bytes_max: usize) -> Result<Vec<u8>, CompressionError> {
        let mut room = Room::default();
        room.clear(bytes_max);
        let pure = zstd_pure::Unpacker::default().unpack(input, &mut room).map(|()| room.take().to_vec());
        let built = unpack_up_to(Zstd, input, bytes_max);
        let outcome = |it: &Result<Vec<u8>, _>| match it {
            Err(CompressionError::Broken { .. }) => Err(None),
            other => other.clone().map_err(Some),
        };
        assert_eq!(outcome(&built), outcome(&pure));
        built
    }

    fn broken(input: &[u8]) -> String {
        match unpack(input, 1 << 20) {
            Err(CompressionError::Broken { reason }) => reason,
            other => panic!("it should be broken, and is {other:?}"),
        }
    }

    /// A frame of a descriptor, what belongs to it, and blocks.
    fn frame(head: &[u8], blocks: &[&[u8]]) -> Vec<u8> {
        [&MAGIC.to_le_bytes()[..], head, &blocks.concat()].concat()
    }

    /// A block: its kind, how long it is, what is stored of it, whether it is the last.
    fn block(kind: u32, size: usize, stored: &[u8], last: bool) -> Vec<u8> {
        let head = (size as u32) << 3 | kind << 1 | u32::from(last);
        [&head.to_le_bytes()[..3], stored].concat()
    }

    fn raw(bytes: &[u8]) -> Vec<u8> {
        block(0, bytes.len(), bytes, true)
    }

    /// A window of so many bytes, as a power of two.
    fn window(log: u8) -> [u8; 2] {
        [0, (log - 10) << 3]
    }

    /// `a river, ` four hundred times, as the C library packs it at level 3.
    const RIVERS: &[u8] = &[
        0x28, 0xb5, 0x2f, 0xfd, 0x60, 0x10, 0x0d, 0x85, 0x00, 0x00, 0x48, 0x61, 0x20, 0x72, 0x69, 0x76, 0x65,
        0x72, 0x2c, 0x20, 0x01, 0x00, 0x04, 0xa6, 0x5f, 0x8e,
    ];

    #[test]
    fn a_packed_block_is_read() {
        assert_eq!(unpack(RIVERS, 3_600).as_deref(), Ok("a river, ".repeat(400).as_bytes()));
        assert_eq!(unpack(RIVERS, 3_599), Err(CompressionError::TooLarge { bytes_max: 3_599 }));
    }

    #[test]
    fn frames_with_and_without_sizes_and_what_is_for_others_are_read_as_one() {
        let unsized_frame = frame(&window(20), &[&block(0, 3, b"upp", false), &block(1, 2, b"e", true)]);
        let sized = frame(&[SINGLE_SEGMENT, 3], &[&raw(b"r l")]);
        let skipped = [&SKIPPABLE.start().to_le_bytes()[..], &4u32.to_le_bytes(), b"abcd"].concat();
        let all = [&unsized_frame[..], &skipped, &sized, &skipped].concat();
        assert_eq!(unpack(&all, 8).as_deref(), Ok(&b"uppeer l"[..]));
        assert_eq!(unpack(&all, 7), Err(CompressionError::TooLarge { bytes_max: 7 }));
        assert_eq!(unpack(&all, 4), Err(CompressionError::TooLarge { bytes_max: 4 }));
    }

    #[test]
    fn a_frame_cut_off_anywhere_is_broken() {
        for end in 1..RIVERS.len() {
            assert_eq!(broken(&RIVERS[..end]), "it ends too early", "cut at {end}");
        }
    }

    #[test]
    fn the_largest_window_is_read_and_costs_nothing() {
        assert_eq!(unpack(&frame(&window(27), &[&raw(b"river")]), 5).as_deref(), Ok(&b"river"[..]));
    }

    #[test]
    fn a_frame_that_says_more_than_its_blocks_hold_is_refused() {
        let gibibyte = (1u32 << 30).to_le_bytes();
        let lie = frame(&[&[2 << 6 | SINGLE_SEGMENT][..], &gibibyte].concat(), &[&raw(b"river")]);
        assert_eq!(broken(&lie), "a frame says that it holds more than its blocks can");
        let less = frame(&[SINGLE_SEGMENT, 4], &[&raw(b"river")]);
        assert!(!broken(&less).is_empty());
    }

    #[test]
    fn many_blocks_of_one_byte_repeated_stop_at_the_limit() {
        let blocks: Vec<u8> = (0..1_000).flat_map(|_| block(1, BLOCK_BYTES_MAX, b"a", false)).collect();
        for log in [17, 20, 27] {
            let bomb = frame(&window(log), &[&blocks, &raw(b"end")]);
            let refused = unpack(&bomb, 1 << 20);
            assert_eq!(refused, Err(CompressionError::TooLarge { bytes_max: 1 << 20 }), "window of 2^{log}");
        }
        let narrow = frame(&window(16), &[&blocks, &raw(b"end")]);
        assert_eq!(broken(&narrow), "a block is larger than its frame's can be");
    }

    #[test]
    fn other_magic_blocks_and_dictionaries_are_refused() {
        assert_eq!(broken(b"\x27\xb5\x2f\xfd\0\0"), "it does not begin as a frame of zstd does");
        let reserved = frame(&window(20), &[&block(3, 1, b"a", true)]);
        assert_eq!(broken(&reserved), "a block of no known kind");
        let large = frame(&window(20), &[&block(1, BLOCK_BYTES_MAX + 1, b"a", true)]);
        assert_eq!(broken(&large), "a block is larger than its frame's can be");
        let with_dictionary = frame(&[1, 10 << 3, 7], &[&raw(b"river")]);
        assert!(!broken(&with_dictionary).is_empty());
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        let unchecked = frame(&[SINGLE_SEGMENT | CHECKSUM, 5], &[&raw(b"river")]);
        // The low half of the text's XXH64.
        let right = 0xdbd45953;
        let with = |sum: u32| [&unchecked[..], &sum.to_le_bytes()].concat();
        assert_eq!(unpack(&with(right), 5).as_deref(), Ok(&b"river"[..]));
        assert!(!broken(&with(right ^ 1)).is_empty());
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn whatever_the_c_library_writes_the_pure_one_reads() {
        for level in [-5, 1, 3, 9, 19] {
            let codec = Zstd.at_level(level).expect("zstd has this level");
            for bytes in [0, 1, 300, 20_000, 300_000] {
                let text: Vec<u8> = (0..bytes / 10 + 1)
                    .flat_map(|n| format!("{:010} ", n * n % 7_919).into_bytes())
                    .collect();
                for input in [&text[..bytes], &noise(bytes)] {
                    let packed = packed(codec, input);
                    assert_eq!(unpack(&packed, bytes).as_deref(), Ok(input), "level {level}, {bytes} bytes");
                }
            }
        }
    }
}
