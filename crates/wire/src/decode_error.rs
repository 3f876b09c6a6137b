//! Why bytes from a peer could not be read: what is wrong, at which byte, and the path to the field.

use std::fmt;

use crate::budget::OverLimit;

/// Why bytes from a peer could not be read as a message.
///
/// It is one pointer wide, so that a result is no larger than what was read; whoever never sees one pays nothing for
/// its path, which is put together on the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: DecodeErrorKind,
    offset: usize,
    /// Innermost first.
    path: Vec<Step>,
}

/// From a value to one inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Field(&'static str),
    Element(usize),
}

/// What is wrong with bytes from a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
    /// A count or length beyond one of [`crate::limits`].
    OverLimit(OverLimit),
    /// The message would take more memory than its reader has for it now.
    OverBudget(OverLimit),
}

impl DecodeError {
    #[cold]
    pub(crate) fn new(kind: DecodeErrorKind, offset: usize) -> Self {
        Self(Box::new(Inner { kind, offset, path: Vec::new() }))
    }

    /// What is wrong.
    pub fn kind(&self) -> DecodeErrorKind {
        self.0.kind
    }

    /// Where in the frame.
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The field that was being read, from the message down: `topics[3].partitions[0].records`. Empty if it was none.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in self.0.path.iter().rev() {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Element(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    /// How many fields the field lies in, itself included.
    pub fn nesting(&self) -> usize {
        self.0.path.iter().filter(|step| matches!(step, Step::Field(_))).count()
    }

    /// Says which field was being read; to be said from the innermost out.
    #[must_use]
    #[cold]
    pub fn in_field(mut self, field: &'static str) -> Self {
        self.0.path.push(Step::Field(field));
        self
    }

    /// Says which element of an array was being read.
    #[must_use]
    #[cold]
    pub fn in_element(mut self, index: usize) -> Self {
        self.0.path.push(Step::Element(index));
        self
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the frame ends too early"),
            Self::TrailingBytes => write!(f, "the frame goes on after the message"),
            Self::NegativeLength(length) => write!(f, "length {length} is negative"),
            Self::UnexpectedNull => write!(f, "null where a value is required"),
            Self::NotUtf8 => write!(f, "text is not UTF-8"),
            Self::VarintTooLong => write!(f, "a variable-length integer does not end"),
            Self::OverLimit(over) | Self::OverBudget(over) => over.fmt(f),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.kind(), self.offset())?;
        match self.0.path.is_empty() {
            true => Ok(()),
            false => write!(f, " in {}", self.path()),
        }
    }
}

impl std::error::Error for DecodeError {}
