//! `stdout: {}` prints the values, a line each; `stdout: { format: json }` what there is to say of a record, in JSON.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use vltava_flow::{
    BoxFuture, Failure, Format, Kind, Open, Output, Sink,
    spec::{Error, Key, Section},
};

use crate::json_line;

/// How a flow file names it.
pub const KIND: Kind = Kind { name: "stdout", doc: "prints records, a line each", keys: KEYS, read };

const KEYS: &[Key] =
    &[Key::new("format", "value or json", "value", "only the value, or all there is to say of a record")];

/// What a line has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// The value as it is. A tombstone prints as an empty line.
    Value,
    /// A JSON document.
    Json,
}

fn read(section: &Section<'_>) -> Result<Open, Error> {
    let words = [("value", Some(Lines::Value)), ("json", Some(Lines::Json))];
    let lines = section.field("format").map_or(Ok(Lines::Value), |it| it.one_of(&words))?;
    Ok(Box::new(move |_| {
        let at_once = io::stdout().is_terminal();
        let sink: Arc<dyn Sink> = Arc::new(Printer::new(io::stdout(), lines, at_once));
        Box::pin(std::future::ready(Ok(sink)))
    }))
}

/// Prints to a writer.
pub struct Printer<W> {
    lines: Lines,
    at_once: bool,
    state: Mutex<State<W>>,
}

struct State<W> {
    to: W,
    waiting: Vec<u8>,
    /// After a write that failed, lines are missing: none is taken for printed any more.
    broken: Option<String>,
}

/// Lines are gathered up to this, where nobody looks at each.
const GATHERED_BYTES: usize = 32 << 10;

impl<W: Write + Send> Printer<W> {
    /// Prints at once, or gathers lines until there are many or a flush comes.
    pub fn new(to: W, lines: Lines, at_once: bool) -> Self {
        Self { lines, at_once, state: Mutex::new(State { to, waiting: Vec::new(), broken: None }) }
    }

    fn print(&self, outputs: &[Output]) -> Result<(), Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for output in outputs {
            append(&mut state.waiting, self.lines, output);
        }
        if self.at_once || GATHERED_BYTES <= state.waiting.len() { state.write() } else { Ok(()) }
    }
}

fn append(line: &mut Vec<u8>, lines: Lines, output: &Output) {
    match (lines, output.value()) {
        (Lines::Json, _) => return json_line::append(line, output),
        (Lines::Value, Some(json)) if output.format() == Format::Json => json_line::on_one_line(line, json),
        (Lines::Value, Some(value)) => line.extend_from_slice(value),
        (Lines::Value, None) => (),
    }
    line.push(b'\n');
}

impl<W: Write> State<W> {
    fn write(&mut self) -> Result<(), Failure> {
        if self.broken.is_none() {
            let written = self.to.write_all(&self.waiting).and_then(|()| self.to.flush());
            self.broken = written.err().map(|error| format!("writing to stdout failed: {error}"));
        }
        self.waiting.clear();
        self.broken.clone().map_or(Ok(()), |broken| Err(Failure::new(broken)))
    }
}

impl<W: Write + Send> Sink for Printer<W> {
    fn deliver<'a>(&'a self, outputs: &'a [Output]) -> BoxFuture<'a, Vec<Result<(), Failure>>> {
        let printed = self.print(outputs).map_err(|failure| failure.to_string());
        let each = outputs.iter().map(|_| printed.clone().map_err(Failure::new)).collect();
        Box::pin(std::future::ready(each))
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let written = self.state.lock().unwrap_or_else(PoisonError::into_inner).write();
        Box::pin(std::future::ready(written))
    }
}

#[cfg(test)]
mod tests {
    use std::mem;

    use super::*;
    use crate::samples::{Sample, output};

    fn printed(lines: Lines, at_once: bool) -> (usize, String) {
        let printer = Printer::new(Vec::new(), lines, at_once);
        let sample = Sample { offset: 1, key: Some(b"k"), value: Some(b"[1,\n2]"), headers: &[] };
        printer
            .print(&[output(sample, Format::Json), output(Sample { value: None, ..sample }, Format::Json)])
            .unwrap();
        let before = printer.state.lock().unwrap().to.len();
        printer.state.lock().unwrap().write().unwrap();
        (before, String::from_utf8(printer.state.into_inner().unwrap().to).unwrap())
    }

    #[test]
    fn a_value_is_a_line_and_a_tombstone_an_empty_one() {
        assert_eq!(printed(Lines::Value, true), (8, "[1, 2]\n\n".to_owned()));
    }

    #[test]
    fn lines_are_gathered_until_the_flush_where_nobody_looks() {
        let (before, after) = printed(Lines::Json, false);
        assert_eq!((before, after.lines().count()), (0, 2));
    }

    /// Refuses the first write only.
    #[derive(Default)]
    struct Hiccup {
        failed: bool,
    }

    impl Write for Hiccup {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if mem::replace(&mut self.failed, true) {
                return Ok(bytes.len());
            }
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_line_that_was_not_printed_fails_every_later_flush() {
        let sample = Sample { offset: 1, key: None, value: Some(b"x"), headers: &[] };
        for at_once in [true, false] {
            let printer = Printer::new(Hiccup::default(), Lines::Value, at_once);
            let printed = printer.print(&[output(sample, Format::Bytes)]);
            assert_eq!(printed.is_err(), at_once);
            for _ in 0..2 {
                let failure = printer.flush().await.unwrap_err();
                assert!(failure.to_string().contains("broken pipe"), "{failure}");
            }
        }
    }
}
