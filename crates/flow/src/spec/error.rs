//! What is wrong with a flow file, and where: printed with the line it is about.

use std::fmt;

/// A place in the file: lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The line.
    pub line: usize,
    /// Where in the line it begins.
    pub column: usize,
    /// How many characters it has on that line.
    pub width: usize,
}

/// An error of a flow file. It prints what is wrong, the place, the line, and what may be meant.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    file: String,
    span: Option<Span>,
    line: String,
    message: String,
    hint: String,
}

impl Error {
    /// An error about the file as a whole.
    pub(crate) fn whole(file: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            file: file.to_owned(),
            span: None,
            line: String::new(),
            message: message.into(),
            hint: String::new(),
        }))
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The place, unless the file as a whole is meant.
    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    /// What stands under the marked place: the nearest name, what would be right.
    pub fn hint(&self) -> &str {
        &self.0.hint
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { file, span, line, message, hint } = &*self.0;
        let Some(Span { line: number, column, width }) = span else {
            return write!(f, "{file}: {message}");
        };
        let gutter = number.to_string().len();
        writeln!(f, "{message}")?;
        writeln!(f, "{:gutter$} ┌ {file}:{number}:{column}", "")?;
        writeln!(f, "{number} │ {line}")?;
        let marks = "^".repeat((*width).max(1));
        write!(f, "{:gutter$} │ {:indent$}{marks}", "", "", indent = column.saturating_sub(1))?;
        if hint.is_empty() { Ok(()) } else { write!(f, " {hint}") }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// A file's name and text, from which errors cite.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: String,
    pub(crate) text: String,
}

impl Source {
    /// An error at a place.
    pub(crate) fn error(&self, span: Span, message: impl Into<String>, hint: impl Into<String>) -> Error {
        let line = self.lines().nth(span.line.saturating_sub(1)).unwrap_or_default();
        let rest = line.chars().count().saturating_sub(span.column.saturating_sub(1));
        Error(Box::new(Inner {
            file: self.file.clone(),
            span: Some(Span { width: span.width.clamp(1, rest.max(1)), ..span }),
            line: line.replace('\t', " "),
            message: message.into(),
            hint: hint.into(),
        }))
    }

    /// The lines as YAML counts them: a carriage return ends one, with or without a line feed behind it.
    fn lines(&self) -> impl Iterator<Item = &str> {
        let ended = self.text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        ended.flat_map(|line| line.split('\r'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_the_line_and_marks_the_place() {
        let text = "flows:\n  a:\n    worker: 10\n".to_owned();
        let source = Source { file: "flow.yaml".into(), text };
        let span = Span { line: 3, column: 5, width: 6 };
        let error = source.error(span, "unknown key `worker`", "did you mean `workers`?");
        let shown = "unknown key `worker`\n  ┌ flow.yaml:3:5\n3 │     worker: 10\n  │     ^^^^^^ did you mean `workers`?";
        assert_eq!(error.to_string(), shown);
    }

    #[test]
    fn lines_end_as_they_do_in_yaml() {
        let source = Source { file: "f".into(), text: "a\nb\r\nc\rd\r\r\ne".into() };
        assert_eq!(source.lines().collect::<Vec<_>>(), ["a", "b", "c", "d", "", "e"]);
    }

    #[test]
    fn a_place_that_runs_over_its_line_is_marked_to_the_end_of_it() {
        let source = Source { file: "f".into(), text: "a: |\n  b\n  c\n".into() };
        let error = source.error(Span { line: 1, column: 4, width: 9 }, "m", "");
        assert_eq!(error.span(), Some(Span { line: 1, column: 4, width: 1 }));
    }
}
