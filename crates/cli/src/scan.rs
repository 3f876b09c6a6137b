//! Records out of text, by the format that would print them. It reads no file: bytes are handed in, records come out.
//!
//! A record ends at the format's last text (a format that ends in a field ends at the line's end); inside it every
//! field ends where the text after it first occurs, and the last field has the rest.

use std::fmt;

use memchr::memmem;

use crate::format::{Field, Format, Part};

/// A record longer than this is refused, so that input without an end cannot fill the memory.
pub(crate) const RECORD_BYTES_MAX: usize = 64 << 20;

/// Reads records from text that comes in pieces.
#[derive(Debug)]
pub(crate) struct Scanner {
    /// What stands before the first field.
    lead: Vec<u8>,
    /// Each field with the text that follows it; the last one's text is `end`.
    fields: Vec<(Field, Vec<u8>)>,
    end: memmem::Finder<'static>,
    buffer: Vec<u8>,
    /// What of the buffer is taken already.
    taken: usize,
    /// What of the buffer was searched for an end already.
    searched: usize,
    records: u64,
}

/// A record's fields, as slices of the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Scanned<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<i64>,
}

impl Scanner {
    /// Refuses formats that could not tell one field from the next, and fields no producer can set.
    pub(crate) fn new(format: &Format) -> Result<Scanner, UnreadableFormat> {
        let mut lead = Vec::new();
        let mut fields: Vec<(Field, Vec<u8>)> = Vec::new();
        for part in format.parts() {
            match part {
                Part::Field(field @ (Field::Topic | Field::Offset | Field::Headers)) => {
                    return Err(UnreadableFormat::NotSettable(*field));
                }
                Part::Field(field) => {
                    if fields.last().is_some_and(|(_, after)| after.is_empty()) {
                        return Err(UnreadableFormat::Adjacent);
                    }
                    if fields.iter().any(|(known, _)| known == field) {
                        return Err(UnreadableFormat::Twice(*field));
                    }
                    fields.push((*field, Vec::new()));
                }
                Part::Text(text) => match fields.last_mut() {
                    Some((_, after)) => after.clone_from(text),
                    None => lead.clone_from(text),
                },
            }
        }
        let Some((_, after)) = fields.last_mut() else { return Err(UnreadableFormat::NoField) };
        if after.is_empty() {
            after.push(b'\n');
        }
        let end = memmem::Finder::new(after).into_owned();
        Ok(Scanner { lead, fields, end, buffer: Vec::new(), taken: 0, searched: 0, records: 0 })
    }

    /// Takes the next piece of the input.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.taken);
        self.searched -= self.taken;
        self.taken = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole record; `None` when more input is needed.
    pub(crate) fn next(&mut self) -> Result<Option<Scanned<'_>>, ScanError> {
        let Some(found) = self.end.find(&self.buffer[self.searched..]) else {
            self.searched = self.buffer.len().saturating_sub(self.end.needle().len() - 1).max(self.taken);
            if self.buffer.len() - self.taken > RECORD_BYTES_MAX {
                return Err(ScanError { record: self.records + 1, kind: ScanErrorKind::TooLong });
            }
            return Ok(None);
        };
        let start = self.taken;
        let stop = self.searched + found;
        self.taken = stop + self.end.needle().len();
        self.searched = self.taken;
        self.records += 1;
        self.split(start, stop).map(Some)
    }

    /// What is left at the end of the input: a last record without its end, or nothing.
    pub(crate) fn last(&mut self) -> Result<Option<Scanned<'_>>, ScanError> {
        if self.taken == self.buffer.len() {
            return Ok(None);
        }
        let start = self.taken;
        self.taken = self.buffer.len();
        self.searched = self.taken;
        self.records += 1;
        self.split(start, self.buffer.len()).map(Some)
    }

    fn split(&self, start: usize, stop: usize) -> Result<Scanned<'_>, ScanError> {
        let fail = |kind| ScanError { record: self.records, kind };
        let mut rest = &self.buffer[start..stop];
        rest = rest
            .strip_prefix(&self.lead[..])
            .ok_or_else(|| fail(ScanErrorKind::missing(&self.lead, None)))?;
        let mut record = Scanned::default();
        for (index, (field, after)) in self.fields.iter().enumerate() {
            let text = if index + 1 == self.fields.len() {
                std::mem::take(&mut rest)
            } else {
                let at = memmem::find(rest, after)
                    .ok_or_else(|| fail(ScanErrorKind::missing(after, Some(*field))))?;
                let text = &rest[..at];
                rest = &rest[at + after.len()..];
                text
            };
            record.set(*field, text).map_err(fail)?;
        }
        Ok(record)
    }
}

impl<'a> Scanned<'a> {
    fn set(&mut self, field: Field, text: &'a [u8]) -> Result<(), ScanErrorKind> {
        match field {
            // As kcat and rpk have it: an empty key is none.
            Field::Key => self.key = (!text.is_empty()).then_some(text),
            Field::Value => self.value = Some(text),
            Field::Partition => self.partition = Some(number(field, text)?),
            Field::Timestamp => self.timestamp = Some(number(field, text)?),
            Field::Topic | Field::Offset | Field::Headers => unreachable!("refused by Scanner::new"),
        }
        Ok(())
    }
}

fn number<N: std::str::FromStr>(field: Field, text: &[u8]) -> Result<N, ScanErrorKind> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
    parsed.ok_or_else(|| ScanErrorKind::NotANumber {
        field,
        text: text[..text.len().min(40)].escape_ascii().to_string(),
    })
}

/// A format that can print records, but not read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnreadableFormat {
    NoField,
    Adjacent,
    Twice(Field),
    NotSettable(Field),
}

impl fmt::Display for UnreadableFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoField => f.write_str("the format has no field: write %v where the value stands"),
            Self::Adjacent => {
                f.write_str("two fields with nothing between: it cannot be told where one ends")
            }
            Self::Twice(field) => write!(f, "{} stands in the format twice", name(*field)),
            Self::NotSettable(field) => {
                write!(f, "{} cannot be read from input: there are %k, %v, %p and %d", name(*field))
            }
        }
    }
}

impl std::error::Error for UnreadableFormat {}

/// A record of the input that does not follow the format; records count from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScanError {
    record: u64,
    kind: ScanErrorKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ScanErrorKind {
    Missing { text: String, after: Option<Field> },
    NotANumber { field: Field, text: String },
    TooLong,
}

impl ScanErrorKind {
    fn missing(text: &[u8], after: Option<Field>) -> Self {
        Self::Missing { text: text.escape_ascii().to_string(), after }
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of the input ", self.record)?;
        match &self.kind {
            ScanErrorKind::Missing { text, after: None } => write!(f, "does not begin with `{text}`"),
            ScanErrorKind::Missing { text, after: Some(field) } => {
                write!(f, "has no `{text}` after {}", name(*field))
            }
            ScanErrorKind::NotANumber { field, text } => {
                write!(f, "has `{text}` where {} should be a number", name(*field))
            }
            ScanErrorKind::TooLong => write!(f, "is longer than {} MiB", RECORD_BYTES_MAX >> 20),
        }
    }
}

impl std::error::Error for ScanError {}

fn name(field: Field) -> &'static str {
    match field {
        Field::Topic => "%t",
        Field::Partition => "%p",
        Field::Offset => "%o",
        Field::Timestamp => "%d",
        Field::Key => "%k",
        Field::Value => "%v",
        Field::Headers => "%h",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner(format: &str) -> Scanner {
        Scanner::new(&format.parse().expect("a format")).expect("a readable format")
    }

    /// Everything the input holds, as (key, value), handed over in pieces of the given size.
    fn pairs(format: &str, input: &[u8], piece: usize) -> Vec<(Option<String>, String)> {
        let mut scanner = scanner(format);
        let mut found = Vec::new();
        for piece in input.chunks(piece) {
            scanner.push(piece);
            while let Some(record) = scanner.next().expect("a record") {
                found.push(pair(&record));
            }
        }
        found.extend(scanner.last().expect("a last record").map(|record| pair(&record)));
        found
    }

    fn pair(record: &Scanned<'_>) -> (Option<String>, String) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (record.key.map(text), record.value.map(text).unwrap_or_default())
    }

    fn owned(pairs: &[(Option<&str>, &str)]) -> Vec<(Option<String>, String)> {
        pairs.iter().map(|(key, value)| (key.map(str::to_owned), (*value).to_owned())).collect()
    }

    #[test]
    fn input_is_read_the_same_in_pieces_of_any_size() {
        let input = b"UA\tone\ttwo\n\tno key\nAA\t\nlast\tunfinished";
        let expected =
            [(Some("UA"), "one\ttwo"), (None, "no key"), (Some("AA"), ""), (Some("last"), "unfinished")];
        for piece in 1..=input.len() {
            assert_eq!(pairs("%k\\t%v\\n", input, piece), owned(&expected), "pieces of {piece}");
        }
    }

    #[test]
    fn an_end_of_many_bytes_is_found_across_pieces() {
        let input = b"a--b--\n--c--d--\n--";
        for piece in 1..=input.len() {
            let found = pairs("%k--%v--\\n--", input, piece);
            assert_eq!(found, owned(&[(Some("a"), "b"), (Some("c"), "d")]), "pieces of {piece}");
        }
    }

    #[test]
    fn a_format_that_ends_in_a_field_reads_lines() {
        assert_eq!(pairs("%v", b"one\n\nthree", 4), owned(&[(None, "one"), (None, ""), (None, "three")]));
    }

    #[test]
    fn partition_and_timestamp_are_read_as_numbers() {
        let mut scanner = scanner("[%p|%d] %v");
        scanner.push(b"[3|1357034400000] hello\n");
        let record = scanner.next().expect("a record").expect("a whole one");
        assert_eq!((record.partition, record.timestamp), (Some(3), Some(1_357_034_400_000)));
        assert_eq!(record.value, Some(&b"hello"[..]));
    }

    #[test]
    fn a_record_that_does_not_follow_the_format_is_named() {
        let message = |format: &str, input: &[u8]| {
            let mut scanner = scanner(format);
            scanner.push(input);
            loop {
                match scanner.next() {
                    Ok(Some(_)) => (),
                    Ok(None) => panic!("no error in {input:?}"),
                    Err(error) => return error.to_string(),
                }
            }
        };
        assert_eq!(message("%k\\t%v", b"a\tb\nno tab\n"), "record 2 of the input has no `\\t` after %k");
        assert_eq!(message("> %v", b"> a\nb\n"), "record 2 of the input does not begin with `> `");
        assert_eq!(
            message("%p %v", b"one two\n"),
            "record 1 of the input has `one` where %p should be a number"
        );
    }

    #[test]
    fn a_record_without_an_end_does_not_fill_the_memory() {
        let mut scanner = scanner("%v");
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..64 {
            scanner.push(&piece);
            assert_eq!(scanner.next(), Ok(None));
        }
        scanner.push(&piece);
        let error = scanner.next().expect_err("too long").to_string();
        assert_eq!(error, "record 1 of the input is longer than 64 MiB");
    }

    #[test]
    fn formats_that_cannot_be_read_are_refused() {
        let refusal = |format: &str| {
            Scanner::new(&format.parse().expect("a format")).expect_err("unreadable").to_string()
        };
        assert_eq!(refusal("text"), "the format has no field: write %v where the value stands");
        assert_eq!(refusal("%k%v"), "two fields with nothing between: it cannot be told where one ends");
        assert_eq!(refusal("%v %k %v"), "%v stands in the format twice");
        assert_eq!(refusal("%o %v"), "%o cannot be read from input: there are %k, %v, %p and %d");
    }
}
