//! How a record looks as text: rpk's `%` formats, with kcat's `%s` as another name for `%v`.
//!
//! The same format prints a record (`consume`, here) and reads one (`produce`, in `scan`).

use std::{fmt, io::Write, str::FromStr};

/// A format: text and fields in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    parts: Vec<Part>,
}

/// A piece of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Stands for itself.
    Text(Vec<u8>),
    /// Stands for something of the record.
    Field(Field),
}

/// What a `%` and a letter stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    Value,
    Headers,
}

/// A header's name and value, as bytes: names need not be UTF-8.
pub(crate) type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// One record, as far as a format can show it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970, UTC.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    /// May be left empty if the format does not want them.
    pub(crate) headers: &'a [Header<'a>],
}

impl Format {
    /// A key, the text between, a value, a line's end: kcat's `-K`.
    pub(crate) fn key_value_lines(between: &[u8]) -> Format {
        let parts = vec![
            Part::Field(Field::Key),
            Part::Text(between.to_vec()),
            Part::Field(Field::Value),
            Part::Text(b"\n".to_vec()),
        ];
        Format { parts }
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn wants_headers(&self) -> bool {
        self.parts.contains(&Part::Field(Field::Headers))
    }

    /// Appends the record to `out`. What is absent (a key, a tombstone's value) prints as nothing.
    pub(crate) fn print(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Field(field) => print_field(*field, line, out),
            }
        }
    }
}

fn print_field(field: Field, line: &Line<'_>, out: &mut Vec<u8>) {
    match field {
        Field::Topic => out.extend_from_slice(line.topic.as_bytes()),
        Field::Partition => print_number(i64::from(line.partition), out),
        Field::Offset => print_number(line.offset, out),
        Field::Timestamp => print_number(line.timestamp, out),
        Field::Key => out.extend_from_slice(line.key.unwrap_or_default()),
        Field::Value => out.extend_from_slice(line.value.unwrap_or_default()),
        Field::Headers => print_headers(line.headers, out),
    }
}

fn print_number(number: i64, out: &mut Vec<u8>) {
    write!(out, "{number}").expect("a vector takes every write");
}

/// As kcat shows them: `name=value,name=value`, a null value as `NULL`.
fn print_headers(headers: &[Header<'_>], out: &mut Vec<u8>) {
    for (index, (name, value)) in headers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value.unwrap_or(b"NULL"));
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Format, FormatError> {
        let mut parts = Vec::new();
        let mut plain = Vec::new();
        let mut after_field = false;
        let mut chars = text.chars().enumerate();
        while let Some((at, letter)) = chars.next() {
            let was_after_field = std::mem::take(&mut after_field);
            match letter {
                '%' => match escape(at, chars.next().map(|(_, letter)| letter))? {
                    Part::Text(text) => plain.extend(text),
                    field => {
                        if !plain.is_empty() {
                            parts.push(Part::Text(std::mem::take(&mut plain)));
                        }
                        parts.push(field);
                        after_field = true;
                    }
                },
                '\\' => plain.push(backslash(at, chars.next().map(|(_, letter)| letter))?),
                '{' if was_after_field => return Err(FormatError { at, kind: FormatErrorKind::Modifier }),
                letter => plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Format { parts })
    }
}

fn escape(at: usize, letter: Option<char>) -> Result<Part, FormatError> {
    Ok(match letter {
        Some('t') => Part::Field(Field::Topic),
        Some('p') => Part::Field(Field::Partition),
        Some('o') => Part::Field(Field::Offset),
        Some('d') => Part::Field(Field::Timestamp),
        Some('k') => Part::Field(Field::Key),
        Some('v' | 's') => Part::Field(Field::Value),
        Some('h') => Part::Field(Field::Headers),
        Some('%') => Part::Text(b"%".to_vec()),
        Some('{') => Part::Text(b"{".to_vec()),
        Some('}') => Part::Text(b"}".to_vec()),
        other => return Err(FormatError { at, kind: FormatErrorKind::Percent(other) }),
    })
}

fn backslash(at: usize, letter: Option<char>) -> Result<u8, FormatError> {
    Ok(match letter {
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('r') => b'\r',
        Some('0') => 0,
        Some('\\') => b'\\',
        other => return Err(FormatError { at, kind: FormatErrorKind::Backslash(other) }),
    })
}

/// A format that cannot be read, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FormatError {
    /// The character it stumbled over, from zero.
    at: usize,
    kind: FormatErrorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormatErrorKind {
    Percent(Option<char>),
    Backslash(Option<char>),
    Modifier,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.at + 1;
        match self.kind {
            FormatErrorKind::Percent(Some(letter)) => write!(
                f,
                "unknown `%{letter}` at column {column}: there are %t topic, %p partition, %o offset, %k key, \
                 %v value, %h headers, %d timestamp, %% percent, %{{ and %}} braces"
            ),
            FormatErrorKind::Percent(None) => {
                write!(f, "a lone % at column {column}: write %% for a percent")
            }
            FormatErrorKind::Backslash(Some(letter)) => {
                write!(f, "unknown `\\{letter}` at column {column}: there are \\n, \\t, \\r, \\0 and \\\\")
            }
            FormatErrorKind::Backslash(None) => write!(f, "a lone \\ at column {column}: write \\\\ for one"),
            FormatErrorKind::Modifier => {
                write!(
                    f,
                    "a {{ after a field at column {column}: there are no modifiers; write %{{ for a brace"
                )
            }
        }
    }
}

impl std::error::Error for FormatError {}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line<'static> = Line {
        topic: "orders",
        partition: 3,
        offset: 4711,
        timestamp: 1_357_034_400_000,
        key: Some(b"ann"),
        value: Some(b"\xff\x00one"),
        headers: &[(b"trace", Some(b"7")), (b"empty", None)],
    };

    fn printed(format: &str, line: &Line<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        format.parse::<Format>().expect("a format").print(line, &mut out);
        out
    }

    fn check(format: &str, expected: &[u8]) {
        assert_eq!(printed(format, &LINE), expected, "{format}");
    }

    #[test]
    fn every_field_prints_what_it_stands_for() {
        check("%t-%p @ %o", b"orders-3 @ 4711");
        check("%d", b"1357034400000");
        check("%k\\t%v\\n", b"ann\t\xff\x00one\n");
        check("%s", b"\xff\x00one");
        check("%h", b"trace=7,empty=NULL");
        check("100%% \\\\ %{%k%} é\\r\\0", "100% \\ {ann} é\r\0".as_bytes());
        check("", b"");
    }

    #[test]
    fn an_absent_key_or_value_prints_as_nothing() {
        let tombstone = Line { key: None, value: None, headers: &[], ..LINE };
        assert_eq!(printed("[%k|%v|%h]", &tombstone), b"[||]");
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_column() {
        let message = |format: &str| format.parse::<Format>().expect_err(format).to_string();
        assert!(message("%k %x").starts_with("unknown `%x` at column 4: there are %t topic"));
        assert_eq!(message("ab%"), "a lone % at column 3: write %% for a percent");
        assert_eq!(message("\\q"), "unknown `\\q` at column 1: there are \\n, \\t, \\r, \\0 and \\\\");
        assert_eq!(message("%v\\"), "a lone \\ at column 3: write \\\\ for one");
        assert_eq!(
            message("%v{hex}"),
            "a { after a field at column 3: there are no modifiers; write %{ for a brace"
        );
    }

    #[test]
    fn headers_are_asked_for_only_where_they_are_printed() {
        assert!("%k %h".parse::<Format>().expect("a format").wants_headers());
        assert!(!"%k %v".parse::<Format>().expect("a format").wants_headers());
    }
}
