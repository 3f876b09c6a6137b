//! Gzip, members one after another, as Java's `GZIPInputStream` reads them (RFC 1952). The head and tail of a member
//! are read here, because a decoder of bare deflate can be reset and one of gzip would be made anew.

use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};

use super::{CompressionError, room::Room};

/// The logarithm of the window: 32 KiB, the largest there is, and what every reader must have.
const WINDOW_BITS: u8 = 15;

/// How a member begins: two bytes of magic, and deflate.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Bytes of a head, without what its flags say there is besides.
const HEAD_BYTES: usize = 10;

/// Flags of a head.
const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// Room is asked for in steps of this at least, so that short streams take one.
const STEP_BYTES: usize = 16 << 10;

pub(super) struct Packer(Compress);

impl Packer {
    pub(super) fn new(level: i32) -> Self {
        let level = Compression::new(level.unsigned_abs());
        Self(Compress::new_gzip(level, WINDOW_BITS))
    }

    pub(super) fn pack(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        self.0.reset();
        out.reserve(input.len() / 2 + STEP_BYTES);
        loop {
            let read = self.0.total_in() as usize;
            let status = self.0.compress_vec(&input[read..], out, FlushCompress::Finish);
            if status.map_err(CompressionError::broken)? == Status::StreamEnd {
                return Ok(());
            }
            out.reserve(input.len() / 2 + STEP_BYTES);
        }
    }
}

pub(super) struct Unpacker(Decompress);

impl Default for Unpacker {
    fn default() -> Self {
        Self(Decompress::new(false))
    }
}

impl Unpacker {
    pub(super) fn unpack(&mut self, mut input: &[u8], room: &mut Room) -> Result<(), CompressionError> {
        loop {
            input = self.unpack_member(input, room)?;
            // Like Java, anything that is not a further member is let be: padding, mostly.
            if !input.starts_with(&MAGIC[..2]) {
                return Ok(());
            }
        }
    }

    /// Unpacks the first member; returns what follows it.
    fn unpack_member<'a>(&mut self, input: &'a [u8], room: &mut Room) -> Result<&'a [u8], CompressionError> {
        let mut body = skip_head(input)?;
        let mut crc = Crc::new();
        self.0.reset(false);
        loop {
            let (read, written) = (self.0.total_in(), self.0.total_out());
            let spare = room.spare(body.len().saturating_mul(4).max(STEP_BYTES));
            let status = self.0.decompress(body, spare, FlushDecompress::None);
            let status = status.map_err(CompressionError::broken)?;
            let read = (self.0.total_in() - read) as usize;
            let written = (self.0.total_out() - written) as usize;
            crc.update(&spare[..written]);
            body = &body[read..];
            room.advance(written);
            match status {
                Status::StreamEnd => return check_tail(body, &crc),
                _ if read > 0 || written > 0 => {}
                _ if room.left() == 0 => return Err(room.too_large()),
                _ => return Err(CompressionError::cut_off()),
            }
        }
    }
}

/// What follows the head of a member.
fn skip_head(input: &[u8]) -> Result<&[u8], CompressionError> {
    let (head, mut rest) = input.split_first_chunk::<HEAD_BYTES>().ok_or_else(CompressionError::cut_off)?;
    let flags = head[3];
    if !head.starts_with(&MAGIC) || flags & RESERVED != 0 {
        return Err(CompressionError::broken("it does not begin as gzip does"));
    }
    if flags & HAS_EXTRA != 0 {
        let (length, extra) = rest.split_first_chunk().ok_or_else(CompressionError::cut_off)?;
        rest = skip(extra, usize::from(u16::from_le_bytes(*length)))?;
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or_else(CompressionError::cut_off)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & HAS_CHECKSUM != 0 {
        rest = skip(rest, 2)?;
    }
    Ok(rest)
}

/// Checks the tail of a member; returns what follows it.
fn check_tail<'a>(input: &'a [u8], crc: &Crc) -> Result<&'a [u8], CompressionError> {
    let (tail, rest) = input.split_first_chunk::<8>().ok_or_else(CompressionError::cut_off)?;
    if tail[..4] != crc.sum().to_le_bytes() || tail[4..] != crc.amount().to_le_bytes() {
        return Err(CompressionError::broken("its checksum or length is wrong"));
    }
    Ok(rest)
}

fn skip(input: &[u8], bytes: usize) -> Result<&[u8], CompressionError> {
    input.get(bytes..).ok_or_else(CompressionError::cut_off)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::{Compression::Gzip, tests::*};

    /// A member whose head has everything a head may have.
    fn member_with_a_long_head(input: &[u8]) -> Vec<u8> {
        let plain = packed(Gzip, input);
        let mut head = plain[..HEAD_BYTES].to_vec();
        head[3] = HAS_CHECKSUM | HAS_EXTRA | HAS_NAME | HAS_COMMENT;
        [&head[..], &[3, 0], b"abc", b"name\0", b"comment\0", &[0, 0], &plain[HEAD_BYTES..]].concat()
    }

    #[test]
    fn members_one_after_another_are_read_as_one() {
        let both = [packed(Gzip, b"upper "), member_with_a_long_head(b"lower")].concat();
        assert_eq!(unpacked(Gzip, &both), b"upper lower");
    }

    #[test]
    fn what_follows_the_last_member_is_let_be() {
        assert_eq!(unpacked(Gzip, &[&packed(Gzip, b"river")[..], &[0; 20]].concat()), b"river");
    }

    #[test]
    fn a_head_may_be_cut_off_anywhere() {
        let whole = member_with_a_long_head(b"river");
        for end in 0..whole.len() {
            assert_eq!(broken(Gzip, &whole[..end]), "it ends too early", "cut at {end}");
        }
    }

    #[test]
    fn a_wrong_checksum_or_length_is_refused() {
        let whole = packed(Gzip, b"river");
        for back in [8, 4] {
            let mut wrong = whole.clone();
            wrong[whole.len() - back] ^= 1;
            assert_eq!(broken(Gzip, &wrong), "its checksum or length is wrong");
        }
    }

    #[test]
    fn other_heads_are_refused() {
        for (at, byte) in [(0, 0), (1, 0), (2, 7), (3, 0x20)] {
            let mut wrong = packed(Gzip, b"river");
            wrong[at] = byte;
            assert_eq!(broken(Gzip, &wrong), "it does not begin as gzip does", "byte {at}");
        }
    }
}
