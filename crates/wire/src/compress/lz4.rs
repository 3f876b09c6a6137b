//! LZ4 frames, one after another. Blocks are packed and unpacked straight between the batch and the buffer; a frame
//! stream of the library would copy each twice, and take a frame that was cut off between two blocks for whole.
//!
//! Java reads none but independent blocks, and writes blocks of 64 KiB. The wrong checksum that old clients put into
//! a frame's head is refused: they did so in message formats 0 and 1 only, which are refused as well.

use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into, decompress_into_with_dict,
    get_maximum_output_size,
};
use twox_hash::XxHash32;

use super::{CompressionError, room::Room};

/// How a frame begins.
const MAGIC: u32 = 0x184D_2204;

/// How a frame begins that carries something for others.
const SKIPPABLE: std::ops::RangeInclusive<u32> = 0x184D_2A50..=0x184D_2A5F;

/// Magic; version 1 with independent blocks and nothing else; blocks of 64 KiB; the checksum of these two.
const HEAD: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, INDEPENDENT | VERSION, 4 << 4, 0x82];

/// How much goes into a block: what Java writes.
const BLOCK_BYTES: usize = 64 << 10;

/// How far back a block may refer, in those before it.
const WINDOW_BYTES: usize = 64 << 10;

/// A byte of a block stands for no more: a length goes on by 255 for each.
const RATIO_MAX: usize = 255;

/// Room for the token of a short block, on top of the ratio.
const SLACK_BYTES: usize = 64;

/// In the length of a block: it is stored as it was.
const STORED: u32 = 1 << 31;

/// In the first byte that describes a frame.
const VERSION: u8 = 1 << 6;
const VERSION_MASK: u8 = 3 << 6;
const INDEPENDENT: u8 = 1 << 5;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const RESERVED: u8 = 1 << 1;
const DICTIONARY: u8 = 1;

#[derive(Default)]
pub(super) struct Packer(CompressTable);

impl Packer {
    pub(super) fn pack(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        out.extend_from_slice(&HEAD);
        for block in input.chunks(BLOCK_BYTES) {
            let start = out.len() + 4;
            out.resize(start + get_maximum_output_size(block.len()), 0);
            let packed = compress_into_with_table(block, &mut out[start..], &mut self.0);
            let length = match packed.map_err(CompressionError::broken)? {
                length if length < block.len() => {
                    out[start - 4..start].copy_from_slice(&(length as u32).to_le_bytes());
                    length
                }
                _ => {
                    out[start - 4..start].copy_from_slice(&(block.len() as u32 | STORED).to_le_bytes());
                    out[start..start + block.len()].copy_from_slice(block);
                    block.len()
                }
            };
            out.truncate(start + length);
        }
        out.extend_from_slice(&[0; 4]);
        Ok(())
    }
}

pub(super) fn unpack(input: &[u8], room: &mut Room) -> Result<(), CompressionError> {
    let mut rest = input;
    loop {
        match take_u32(&mut rest)? {
            MAGIC => unpack_frame(&mut rest, room)?,
            magic if SKIPPABLE.contains(&magic) => {
                let length = take_u32(&mut rest)? as usize;
                take(&mut rest, length)?;
            }
            _ => return Err(CompressionError::broken("it does not begin as a frame of LZ4 does")),
        }
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// What the head of a frame says.
struct Frame {
    flags: u8,
    block_bytes_max: usize,
    content_bytes: Option<u64>,
}

impl Frame {
    fn read(rest: &mut &[u8]) -> Result<Self, CompressionError> {
        let described = *rest;
        let &[flags, sizes] = take_array(rest)?;
        if flags & VERSION_MASK != VERSION || flags & RESERVED != 0 || sizes & 0x8f != 0 {
            return Err(CompressionError::broken("a frame of LZ4 of no known version"));
        }
        let block_bytes_max = match sizes >> 4 {
            size @ 4..=7 => 1 << (8 + 2 * size),
            _ => return Err(CompressionError::broken("a frame of LZ4 with blocks of no known size")),
        };
        let content_bytes = match flags & CONTENT_SIZE {
            0 => None,
            _ => Some(u64::from_le_bytes(*take_array(rest)?)),
        };
        if flags & DICTIONARY != 0 {
            return Err(CompressionError::broken("a frame of LZ4 that needs a dictionary"));
        }
        let described = &described[..described.len() - rest.len()];
        let &[checksum] = take_array(rest)?;
        if checksum != (XxHash32::oneshot(0, described) >> 8) as u8 {
            return Err(CompressionError::broken("the checksum of a frame's head is wrong"));
        }
        Ok(Self { flags, block_bytes_max, content_bytes })
    }
}

fn unpack_frame(rest: &mut &[u8], room: &mut Room) -> Result<(), CompressionError> {
    let frame = Frame::read(rest)?;
    let mut content_bytes = 0;
    loop {
        let length = take_u32(rest)?;
        if length == 0 {
            break;
        }
        let block = take(rest, (length & !STORED) as usize)?;
        if block.len() > frame.block_bytes_max {
            return Err(CompressionError::broken("a block is larger than its frame allows"));
        }
        if frame.flags & BLOCK_CHECKSUMS != 0 {
            check(take_u32(rest)?, block)?;
        }
        content_bytes += match length & STORED {
            0 => unpack_block(&frame, content_bytes, block, room)?,
            _ => room.push(block).map(|()| block.len())?,
        };
    }
    if frame.flags & CONTENT_CHECKSUM != 0 {
        check(take_u32(rest)?, room.last(content_bytes))?;
    }
    if frame.content_bytes.is_some_and(|bytes| bytes != content_bytes as u64) {
        return Err(CompressionError::broken("a frame is not as long as it says"));
    }
    Ok(())
}

/// Unpacks a block that follows so many bytes of its frame; returns its length.
fn unpack_block(
    frame: &Frame,
    behind: usize,
    block: &[u8],
    room: &mut Room,
) -> Result<usize, CompressionError> {
    let possible = frame.block_bytes_max.min(block.len() * RATIO_MAX + SLACK_BYTES);
    let is_limited = room.left() < possible;
    let window = if frame.flags & INDEPENDENT == 0 { behind.min(WINDOW_BYTES) } else { 0 };
    let (before, spare) = room.around(window, possible);
    let unpacked = match window {
        0 => decompress_into(block, spare),
        _ => decompress_into_with_dict(block, spare, before),
    };
    match unpacked {
        Ok(length) => {
            room.advance(length);
            Ok(length)
        }
        Err(DecompressError::OutputTooSmall { .. }) if is_limited => Err(room.too_large()),
        Err(error) => Err(CompressionError::broken(error)),
    }
}

fn check(expected: u32, bytes: &[u8]) -> Result<(), CompressionError> {
    match XxHash32::oneshot(0, bytes) == expected {
        true => Ok(()),
        false => Err(CompressionError::broken("a checksum is wrong")),
    }
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], CompressionError> {
    let (taken, after) = rest.split_at_checked(bytes).ok_or_else(CompressionError::cut_off)?;
    *rest = after;
    Ok(taken)
}

fn take_array<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], CompressionError> {
    let (taken, after) = rest.split_first_chunk().ok_or_else(CompressionError::cut_off)?;
    *rest = after;
    Ok(taken)
}

fn take_u32(rest: &mut &[u8]) -> Result<u32, CompressionError> {
    Ok(u32::from_le_bytes(*take_array(rest)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::{Compression::Lz4, CompressionError, tests::*};

    /// A frame with these flags besides the version, blocks of a size, and what follows the head.
    fn frame(flags: u8, sizes: u8, optional: &[u8], body: &[&[u8]]) -> Vec<u8> {
        let described = [&[VERSION | flags, sizes], optional].concat();
        let checksum = [(XxHash32::oneshot(0, &described) >> 8) as u8];
        [&MAGIC.to_le_bytes()[..], &described, &checksum, &body.concat()].concat()
    }

    fn stored(block: &[u8]) -> Vec<u8> {
        [&(block.len() as u32 | STORED).to_le_bytes()[..], block].concat()
    }

    fn checksum(bytes: &[u8]) -> [u8; 4] {
        XxHash32::oneshot(0, bytes).to_le_bytes()
    }

    const END: &[u8] = &[0; 4];

    #[test]
    fn blocks_of_64_kib_are_written_under_the_head_that_java_writes() {
        let packed = packed(Lz4, &noise(BLOCK_BYTES + 5));
        assert_eq!(packed[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
        assert_eq!(packed[..7], frame(INDEPENDENT, 4 << 4, &[], &[]));
        assert_eq!(packed[7..11], (BLOCK_BYTES as u32 | STORED).to_le_bytes());
        let second = 11 + BLOCK_BYTES;
        assert_eq!(packed[second..second + 4], (5 | STORED).to_le_bytes());
        assert_eq!(packed[second + 9..], *END);
    }

    #[test]
    fn frames_one_after_another_are_read_as_one() {
        let skipped = [&SKIPPABLE.end().to_le_bytes()[..], &3u32.to_le_bytes(), b"abc"].concat();
        let all = [&packed(Lz4, b"upper ")[..], &skipped, &packed(Lz4, b"lower")].concat();
        assert_eq!(unpacked(Lz4, &all), b"upper lower");
    }

    #[test]
    fn a_frame_without_its_end_is_cut_off_wherever_it_ends() {
        let whole = packed(Lz4, &vec![1; BLOCK_BYTES * 2]);
        for end in 0..whole.len() {
            assert_eq!(broken(Lz4, &whole[..end]), "it ends too early", "cut at {end}");
        }
    }

    #[test]
    fn sizes_and_checksums_that_a_frame_carries_are_checked() {
        let flags = INDEPENDENT | BLOCK_CHECKSUMS | CONTENT_SIZE | CONTENT_CHECKSUM;
        let size = 10u64.to_le_bytes();
        let (upper, lower) = (stored(b"upper"), stored(b"lower"));
        let (one, other, all) = (checksum(b"upper"), checksum(b"lower"), checksum(b"upperlower"));
        let frame_of = |size: &[u8], one: &[u8], all: &[u8]| {
            frame(flags, 5 << 4, size, &[&upper, one, &lower, &other, END, all])
        };
        assert_eq!(unpacked(Lz4, &frame_of(&size, &one, &all)), b"upperlower");
        let wrong_size = frame_of(&11u64.to_le_bytes(), &one, &all);
        assert_eq!(broken(Lz4, &wrong_size), "a frame is not as long as it says");
        assert_eq!(broken(Lz4, &frame_of(&size, &other, &all)), "a checksum is wrong");
        assert_eq!(broken(Lz4, &frame_of(&size, &one, &one)), "a checksum is wrong");
    }

    #[test]
    fn blocks_that_refer_to_those_before_them_are_read() {
        // No literals, a match of 4 + 1 bytes from 5 back; then one literal, as a block has to end.
        let back = [&7u32.to_le_bytes()[..], &[0x01, 5, 0, 0x30, b'a', b'b', b'c']].concat();
        let linked = frame(0, 4 << 4, &[], &[&stored(b"upper"), &back, END]);
        assert_eq!(unpacked(Lz4, &linked), b"upperupperabc");
        let independent = frame(INDEPENDENT, 4 << 4, &[], &[&stored(b"upper"), &back, END]);
        assert!(!broken(Lz4, &independent).is_empty());
        let first = frame(0, 4 << 4, &[], &[&stored(b"upper"), END]);
        let after = frame(0, 4 << 4, &[], &[&back, END]);
        assert!(!broken(Lz4, &[first, after].concat()).is_empty(), "a frame refers to none but itself");
    }

    #[test]
    fn heads_that_are_wrong_are_refused_by_what_is_wrong() {
        let refused = |flags, sizes, optional: &[u8]| broken(Lz4, &frame(flags, sizes, optional, &[END]));
        assert_eq!(refused(RESERVED, 4 << 4, &[]), "a frame of LZ4 of no known version");
        assert_eq!(refused(VERSION << 1, 4 << 4, &[]), "a frame of LZ4 of no known version");
        assert_eq!(refused(0, 3 << 4, &[]), "a frame of LZ4 with blocks of no known size");
        assert_eq!(refused(DICTIONARY, 4 << 4, &[0; 4]), "a frame of LZ4 that needs a dictionary");
        assert_eq!(broken(Lz4, b"\x02\x21\x4c\x18"), "it does not begin as a frame of LZ4 does");
    }

    #[test]
    fn the_wrong_checksum_of_old_clients_is_refused() {
        let mut old = packed(Lz4, b"river");
        // They took the checksum of the magic too.
        old[6] = (XxHash32::oneshot(0, &old[..6]) >> 8) as u8;
        assert_eq!(broken(Lz4, &old), "the checksum of a frame's head is wrong");
    }

    #[test]
    fn a_block_larger_than_its_frame_allows_is_refused() {
        let large = frame(INDEPENDENT, 4 << 4, &[], &[&stored(&[1; BLOCK_BYTES + 1]), END]);
        assert_eq!(broken(Lz4, &large), "a block is larger than its frame allows");
        // 64 KiB and a little in one match: the lengths go on for 257 bytes.
        let mut block = vec![0x1f, b'a', 1, 0];
        block.extend_from_slice(&[255; 257]);
        block.extend_from_slice(&[100, 0x10, b'z']);
        let bomb = frame(INDEPENDENT, 4 << 4, &[], &[&(block.len() as u32).to_le_bytes(), &block, END]);
        assert!(!broken(Lz4, &bomb).is_empty());
    }

    #[test]
    fn a_block_past_the_limit_is_too_large_and_not_broken() {
        let packed = packed(Lz4, &[1; 1_000]);
        for bytes_max in [0, 1, 999] {
            assert_eq!(unpack_up_to(Lz4, &packed, bytes_max), Err(CompressionError::TooLarge { bytes_max }));
        }
    }
}
