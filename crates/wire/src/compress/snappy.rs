//! Snappy, in the framing of Java's `SnappyOutputStream` (xerial): a head of 16 bytes, then blocks, each with its
//! length. Bare snappy, which some clients write, is read too.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::CompressionError;

/// How a framed stream begins.
const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";

/// Version 1, readable since version 1.
const HEAD: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// How much goes into a block: Java's default.
const BLOCK_BYTES: usize = 32 << 10;

/// The most that a byte of snappy can stand for, rounded up: three bytes copy 64.
const RATIO_MAX: usize = 22;

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let mut encoder = Encoder::new();
    out.extend_from_slice(&HEAD);
    for block in input.chunks(BLOCK_BYTES) {
        let start = out.len();
        out.resize(start + 4 + max_compress_len(block.len()), 0);
        let length = encoder.compress(block, &mut out[start + 4..]).map_err(CompressionError::broken)?;
        let prefix = u32::try_from(length).expect("a packed block is little larger than a block");
        out[start..start + 4].copy_from_slice(&prefix.to_be_bytes());
        out.truncate(start + 4 + length);
    }
    Ok(())
}

pub(super) fn decompress(input: &[u8], bytes_max: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    if !input.starts_with(&MAGIC) {
        unpack_block(input, &mut out, bytes_max)?;
        return Ok(out);
    }
    let mut rest = input;
    while !rest.is_empty() {
        // Streams that were put one after another keep their heads.
        if rest.starts_with(&MAGIC) {
            rest = rest.get(HEAD.len()..).ok_or_else(cut_off)?;
            continue;
        }
        let (prefix, body) = rest.split_first_chunk().ok_or_else(cut_off)?;
        let length = u32::from_be_bytes(*prefix) as usize;
        unpack_block(body.get(..length).ok_or_else(cut_off)?, &mut out, bytes_max)?;
        rest = &body[length..];
    }
    Ok(out)
}

fn unpack_block(block: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> Result<(), CompressionError> {
    let length = decompress_len(block).map_err(CompressionError::broken)?;
    if length > block.len().saturating_mul(RATIO_MAX) {
        return Err(CompressionError::broken("a block says it is larger than it can be"));
    }
    let start = out.len();
    if length > bytes_max - start {
        return Err(CompressionError::TooLarge { bytes_max });
    }
    out.resize(start + length, 0);
    Decoder::new().decompress(block, &mut out[start..]).map_err(CompressionError::broken)?;
    Ok(())
}

fn cut_off() -> CompressionError {
    CompressionError::broken("it ends inside a block")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_snappy_is_read() {
        let bare = Encoder::new().compress_vec(b"a river, a river, a river").expect("it fits");
        assert_eq!(decompress(&bare, 100).as_deref(), Ok(&b"a river, a river, a river"[..]));
    }

    #[test]
    fn streams_one_after_another_are_read_as_one() {
        let mut both = Vec::new();
        compress(b"upper ", &mut both).expect("it fits");
        compress(b"lower", &mut both).expect("it fits");
        assert_eq!(decompress(&both, 100).as_deref(), Ok(&b"upper lower"[..]));
    }

    #[test]
    fn a_large_input_is_written_in_blocks_of_32_kib() {
        let input = vec![1; BLOCK_BYTES * 2 + 5];
        let mut packed = Vec::new();
        compress(&input, &mut packed).expect("it fits");
        assert_eq!(packed[..16], HEAD);
        let first = u32::from_be_bytes(packed[16..20].try_into().expect("four bytes")) as usize;
        assert_eq!(decompress_len(&packed[20..20 + first]), Ok(BLOCK_BYTES));
        assert_eq!(decompress(&packed, input.len()), Ok(input));
    }

    #[test]
    fn a_block_that_lies_about_its_size_is_refused_before_memory_is_taken() {
        // The length 2^32 - 1 as a varint, then nothing.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        let refused = decompress(&lie, usize::MAX);
        assert!(matches!(refused, Err(CompressionError::Broken { .. })), "{refused:?}");
    }
}
