//! Where a message is read from: a frame that a peer sent, of which nothing is believed.
//!
//! What decoding allocates is charged to a budget, element by element, so a lying count costs nothing.

use bytes::Bytes;

use crate::version::Version;

/// Reads a frame from its start to its end.
#[derive(Debug)]
pub struct Decoder {
    frame: Bytes,
    at: usize,
    end: usize,
    version: Version,
    budget: usize,
}

impl Decoder {
    /// A reader of `frame` that may allocate `budget` bytes for what it decodes. Byte strings do not count: they
    /// refer to the frame.
    pub fn new(frame: Bytes, version: Version, budget: usize) -> Self {
        let end = frame.len();
        Self { frame, at: 0, end, version, budget }
    }

    /// The version the frame is read in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Goes on in another version: a header and its body may differ.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// How many bytes have not been read.
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// Takes the next bytes, of which no copy is made.
    pub fn take(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        self.need(length)?;
        let bytes = self.frame.slice(self.at..self.at + length);
        self.at += length;
        Ok(bytes)
    }

    /// Takes the next bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.need(N)?;
        let bytes = self.frame[self.at..self.at + N].try_into().expect("the slice has N bytes");
        self.at += N;
        Ok(bytes)
    }

    /// Takes text, which is charged to the budget.
    pub fn text(&mut self, length: usize) -> Result<String, DecodeError> {
        self.need(length)?;
        self.charge(length)?;
        let text = std::str::from_utf8(&self.frame[self.at..self.at + length])
            .map_err(|_| self.error(DecodeErrorKind::NotUtf8))?;
        let text = text.to_owned();
        self.at += length;
        Ok(text)
    }

    /// Takes an unsigned variable-length integer.
    pub fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error(DecodeErrorKind::VarintTooLong))
    }

    /// Takes note of an allocation.
    pub fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        match self.budget.checked_sub(bytes) {
            Some(left) => self.budget = left,
            None => return Err(self.error(DecodeErrorKind::OverBudget)),
        }
        Ok(())
    }

    /// Reads a part of known length, all of it.
    pub fn within<T>(
        &mut self,
        length: usize,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.need(length)?;
        let outer = std::mem::replace(&mut self.end, self.at + length);
        let value = read(self)?;
        self.finish()?;
        self.end = outer;
        Ok(value)
    }

    /// Asserts that everything was read.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.at < self.end {
            return Err(self.error(DecodeErrorKind::TrailingBytes));
        }
        Ok(())
    }

    /// An error at this place.
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { kind, offset: self.at, field: "" }
    }

    fn need(&self, length: usize) -> Result<(), DecodeError> {
        if self.remaining() < length {
            return Err(self.error(DecodeErrorKind::Truncated));
        }
        Ok(())
    }
}

/// Why bytes from a peer could not be read as a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// Where in the frame.
    pub offset: usize,
    /// In which field, if that is known.
    pub field: &'static str,
}

impl DecodeError {
    /// Names the innermost field that was being read.
    #[must_use]
    pub fn in_field(mut self, field: &'static str) -> Self {
        if self.field.is_empty() {
            self.field = field;
        }
        self
    }
}

/// What is wrong with bytes from a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeErrorKind {
    /// The frame ends before the value does.
    Truncated,
    /// The frame goes on after the message.
    TrailingBytes,
    /// A length below -1.
    NegativeLength(i64),
    /// Null where the version has no null.
    UnexpectedNull,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A variable-length integer that does not end or does not fit.
    VarintTooLong,
    /// The message would take more memory than the reader allows it.
    OverBudget,
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            DecodeErrorKind::Truncated => write!(f, "the frame ends too early")?,
            DecodeErrorKind::TrailingBytes => write!(f, "the frame goes on after the message")?,
            DecodeErrorKind::NegativeLength(length) => write!(f, "length {length} is negative")?,
            DecodeErrorKind::UnexpectedNull => write!(f, "null where a value is required")?,
            DecodeErrorKind::NotUtf8 => write!(f, "text is not UTF-8")?,
            DecodeErrorKind::VarintTooLong => write!(f, "a variable-length integer does not end")?,
            DecodeErrorKind::OverBudget => write!(f, "the message needs more memory than it may take")?,
        }
        write!(f, ", at byte {}", self.offset)?;
        match self.field {
            "" => Ok(()),
            field => write!(f, " in {field}"),
        }
    }
}

impl std::error::Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::Wire;

    fn decoder(frame: &'static [u8], flexible: bool, budget: usize) -> Decoder {
        Decoder::new(Bytes::from_static(frame), Version { number: 0, flexible }, budget)
    }

    fn refused<T: Wire + std::fmt::Debug>(frame: &'static [u8], flexible: bool) -> DecodeErrorKind {
        T::decode(&mut decoder(frame, flexible, 1_000)).expect_err("the bytes are bad").kind
    }

    #[test]
    fn lengths_are_not_believed() {
        assert_eq!(refused::<String>(&[0, 9, b'a'], false), DecodeErrorKind::Truncated);
        assert_eq!(refused::<String>(&[0xff, 0xfe], false), DecodeErrorKind::NegativeLength(-2));
        assert_eq!(refused::<String>(&[0xff, 0xff], false), DecodeErrorKind::UnexpectedNull);
        assert_eq!(refused::<String>(&[0x00], true), DecodeErrorKind::UnexpectedNull);
        assert_eq!(refused::<Bytes>(&[0x7f, 0xff, 0xff, 0xff], false), DecodeErrorKind::Truncated);
        assert_eq!(refused::<Vec<i64>>(&[0x7f, 0xff, 0xff, 0xff, 1], false), DecodeErrorKind::Truncated);
        assert_eq!(refused::<String>(&[2, 0xff], true), DecodeErrorKind::NotUtf8);
    }

    #[test]
    fn a_varint_ends_within_32_bits() {
        assert_eq!(decoder(&[0xff, 0xff, 0xff, 0xff, 0x0f], true, 0).varint(), Ok(u32::MAX));
        let too_long = decoder(&[0xff, 0xff, 0xff, 0xff, 0x10], true, 0).varint().expect_err("33 bits");
        assert_eq!(too_long.kind, DecodeErrorKind::VarintTooLong);
        let cut = decoder(&[0xff], true, 0).varint().expect_err("it goes on");
        assert_eq!(cut.kind, DecodeErrorKind::Truncated);
    }

    #[test]
    fn what_is_allocated_is_paid_for_and_bytes_are_not() {
        let mut input = decoder(&[4, b'a', b'b', b'c'], true, 3);
        assert_eq!(String::decode(&mut input).as_deref(), Ok("abc"));
        let over = String::decode(&mut decoder(&[4, b'a', b'b', b'c'], true, 2)).expect_err("it costs 3");
        assert_eq!(over.kind, DecodeErrorKind::OverBudget);
        let mut input = decoder(&[4, b'a', b'b', b'c'], true, 0);
        assert_eq!(Bytes::decode(&mut input).as_deref(), Ok(&b"abc"[..]));
        let over = Vec::<i8>::decode(&mut decoder(&[4, 1, 2, 3], true, 2)).expect_err("it costs 3");
        assert_eq!(over.kind, DecodeErrorKind::OverBudget);
    }

    #[test]
    fn a_part_is_read_to_its_end_and_no_further() {
        let mut input = decoder(&[1, 2, 3], true, 0);
        let less = input.within(2, |part| part.array::<1>()).expect_err("a byte is left");
        assert_eq!(less.kind, DecodeErrorKind::TrailingBytes);
        let mut input = decoder(&[1, 2, 3], true, 0);
        let more = input.within(2, |part| part.array::<3>()).expect_err("the part has two bytes");
        assert_eq!(more.kind, DecodeErrorKind::Truncated);
    }
}
