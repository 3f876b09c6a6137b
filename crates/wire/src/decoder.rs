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
        let text = std::str::from_utf8(&self.frame[self.at..self.at + length])
            .map_err(|_| self.error(DecodeErrorKind::NotUtf8))?;
        let text = text.to_owned();
        self.charge(length)?;
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
