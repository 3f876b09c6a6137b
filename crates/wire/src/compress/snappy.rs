//! Snappy, in the framing of Java's `SnappyOutputStream` (xerial): a head of 16 bytes, then blocks, each with its
//! length. Bare snappy, which some clients write, is read too.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{CompressionError, room::Room};

/// How a framed stream begins.
const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";

/// Version 1, readable since version 1.
const HEAD: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// How much goes into a block: Java's default.
const BLOCK_BYTES: usize = 32 << 10;

/// The most that a byte of snappy can stand for, rounded up: three bytes copy 64.
const RATIO_MAX: usize = 22;

pub(super) struct Packer(Encoder);

impl Packer {
    pub(super) fn new() -> Self {
        Self(Encoder::new())
    }

    pub(super) fn pack(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        out.extend_from_slice(&HEAD);
        for block in input.chunks(BLOCK_BYTES) {
            let start = out.len();
            out.resize(start + 4 + max_compress_len(block.len()), 0);
            let length = self.0.compress(block, &mut out[start + 4..]).map_err(CompressionError::broken)?;
            let prefix = u32::try_from(length).expect("a packed block is little larger than a block");
            out[start..start + 4].copy_from_slice(&prefix.to_be_bytes());
            out.truncate(start + 4 + length);
        }
        Ok(())
    }
}

pub(super) fn unpack(input: &[u8], room: &mut Room) -> Result<(), CompressionError> {
    if !input.starts_with(&MAGIC) {
        return unpack_block(input, room);
    }
    let mut rest = input;
    while !rest.is_empty() {
        // Streams that were put one after another keep their heads.
        if rest.starts_with(&MAGIC) {
            rest = rest.get(HEAD.len()..).ok_or_else(CompressionError::cut_off)?;
            continue;
        }
        let (prefix, body) = rest.split_first_chunk().ok_or_else(CompressionError::cut_off)?;
        let length = u32::from_be_bytes(*prefix) as usize;
        let (block, after) = body.split_at_checked(length).ok_or_else(CompressionError::cut_off)?;
        unpack_block(block, room)?;
        rest = after;
    }
    Ok(())
}

fn unpack_block(block: &[u8], room: &mut Room) -> Result<(), CompressionError> {
    let length = decompress_len(block).map_err(CompressionError::broken)?;
    if length > block.len().saturating_mul(RATIO_MAX) {
        return Err(CompressionError::broken("a block says it is larger than it can be"));
    }
    if length > room.left() {
        return Err(room.too_large());
    }
    Decoder::new().decompress(block, room.spare(length)).map_err(CompressionError::broken)?;
    room.advance(length);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::{Compression::Snappy, tests::*};

    #[test]
    fn bare_snappy_is_read() {
        let bare = Encoder::new().compress_vec(b"a river, a river, a river").expect("it fits");
        assert_eq!(unpacked(Snappy, &bare), b"a river, a river, a river");
    }

    #[test]
    fn streams_one_after_another_are_read_as_one() {
        let both = [packed(Snappy, b"upper "), packed(Snappy, b"lower")].concat();
        assert_eq!(unpacked(Snappy, &both), b"upper lower");
    }

    #[test]
    fn a_large_input_is_written_in_blocks_of_32_kib() {
        let packed = packed(Snappy, &vec![1; BLOCK_BYTES * 2 + 5]);
        assert_eq!(packed[..16], HEAD);
        let mut lengths = Vec::new();
        let mut rest = &packed[16..];
        while let Some((prefix, body)) = rest.split_first_chunk() {
            let (block, after) = body.split_at(u32::from_be_bytes(*prefix) as usize);
            lengths.push(decompress_len(block).expect("a block has a length"));
            rest = after;
        }
        assert_eq!(lengths, [BLOCK_BYTES, BLOCK_BYTES, 5]);
    }

    #[test]
    fn a_block_that_lies_about_its_size_is_refused_before_memory_is_taken() {
        // The length 2^32 - 1 as a varint, then nothing.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        assert_eq!(broken(Snappy, &lie), "a block says it is larger than it can be");
        let framed = [&HEAD[..], &6u32.to_be_bytes(), &lie].concat();
        assert_eq!(broken(Snappy, &framed), "a block says it is larger than it can be");
    }

    #[test]
    fn a_frame_that_ends_inside_a_block_or_its_length_is_cut_off() {
        let whole = packed(Snappy, b"a river");
        for end in [MAGIC.len(), HEAD.len() + 3, HEAD.len() + 4, whole.len() - 1] {
            assert_eq!(broken(Snappy, &whole[..end]), "it ends too early", "cut at {end}");
        }
        let endless = [&HEAD[..], &u32::MAX.to_be_bytes(), b"x"].concat();
        assert_eq!(broken(Snappy, &endless), "it ends too early");
    }
}
