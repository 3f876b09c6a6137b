//! Where a message is written to: small values are gathered, large byte strings are kept as they are, so that a
//! batch goes from its producer to the socket without a copy.

use bytes::{BufMut, Bytes, BytesMut};

/// From this size on, bytes are referred to instead of copied; below it a copy is cheaper than another segment.
const SHARED_BYTES_MIN: usize = 2048;

/// Gathers the bytes of a message.
#[derive(Debug, Default)]
pub struct Encoder {
    segments: Vec<Segment>,
    length: usize,
}

#[derive(Debug)]
enum Segment {
    Own(BytesMut),
    Shared(Bytes),
}

impl Encoder {
    /// Writes small values.
    pub fn put(&mut self, bytes: &[u8]) {
        // No segment is empty: a vectored write of nothing looks like a closed socket.
        if bytes.is_empty() {
            return;
        }
        self.length += bytes.len();
        self.own().put_slice(bytes);
    }

    /// Writes a byte string that may be large.
    pub fn put_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            self.put(bytes);
        } else {
            self.length += bytes.len();
            self.segments.push(Segment::Shared(bytes.clone()));
        }
    }

    /// Writes an unsigned variable-length integer.
    pub fn put_varint(&mut self, mut value: u32) {
        let mut bytes = [0; 5];
        let mut length = 0;
        while value >= 0x80 {
            bytes[length] = value as u8 | 0x80;
            value >>= 7;
            length += 1;
        }
        bytes[length] = value as u8;
        self.put(&bytes[..=length]);
    }

    /// How many bytes were written.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends all that another encoder gathered.
    pub fn append(&mut self, other: Encoder) {
        for segment in other.segments {
            match segment {
                Segment::Own(bytes) => self.put(&bytes),
                Segment::Shared(bytes) => self.put_shared(&bytes),
            }
        }
    }

    /// The bytes in order, as segments for a vectored write.
    pub fn into_segments(self) -> Vec<Bytes> {
        let freeze = |segment| match segment {
            Segment::Own(bytes) => bytes.freeze(),
            Segment::Shared(bytes) => bytes,
        };
        self.segments.into_iter().map(freeze).collect()
    }

    /// The bytes in one piece, copied if there is more than one segment.
    pub fn into_bytes(self) -> Bytes {
        let mut segments = self.into_segments();
        match segments.len() {
            0 => Bytes::new(),
            1 => segments.remove(0),
            _ => Bytes::from(segments.concat()),
        }
    }

    /// Overwrites four bytes that were written at the very start.
    pub(crate) fn patch_start(&mut self, value: [u8; 4]) {
        match self.segments.first_mut() {
            Some(Segment::Own(bytes)) => bytes[..4].copy_from_slice(&value),
            _ => unreachable!("a frame starts with its own four bytes"),
        }
    }

    fn own(&mut self) -> &mut BytesMut {
        if !matches!(self.segments.last(), Some(Segment::Own(_))) {
            self.segments.push(Segment::Own(BytesMut::with_capacity(256)));
        }
        match self.segments.last_mut() {
            Some(Segment::Own(bytes)) => bytes,
            _ => unreachable!("the last segment was just made our own"),
        }
    }
}

/// Why a message cannot be written in a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeError {
    /// The field that stands in the way.
    pub field: &'static str,
    /// The version that was to be written.
    pub version: i16,
    /// What is wrong with it.
    pub kind: EncodeErrorKind,
}

/// What keeps a field from being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeErrorKind {
    /// The version lacks the field, and leaving it out would change what the message means.
    NotInVersion,
    /// The version has no way to say that the field is absent.
    NullNotInVersion,
    /// The value is longer than its length prefix can say.
    TooLong,
}

impl std::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { field, version, kind } = self;
        match kind {
            EncodeErrorKind::NotInVersion => write!(f, "field {field} is set but version {version} lacks it"),
            EncodeErrorKind::NullNotInVersion => {
                write!(f, "field {field} is null, which version {version} cannot say")
            }
            EncodeErrorKind::TooLong => write!(f, "field {field} is too long for version {version}"),
        }
    }
}

impl std::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bytes_are_handed_on_without_a_copy() {
        let large = Bytes::from(vec![7; SHARED_BYTES_MIN]);
        let mut out = Encoder::default();
        out.put(b"head");
        out.put_shared(&large);
        out.put(b"");
        out.put_shared(&Bytes::from_static(b"small"));
        out.put_varint(300);
        assert_eq!(out.len(), 4 + SHARED_BYTES_MIN + 5 + 2);
        let segments = out.into_segments();
        assert_eq!(segments.len(), 3);
        assert_eq!(segments[1].as_ptr(), large.as_ptr());
        assert_eq!(segments[2], &b"small\xac\x02"[..]);
    }

    #[test]
    fn nothing_written_is_no_segment() {
        let mut out = Encoder::default();
        out.put(b"");
        assert!(out.is_empty() && out.into_segments().is_empty());
    }
}
