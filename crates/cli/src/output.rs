//! What listing commands print: aligned tables for people, JSON for programs.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

/// How a listing looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Look {
    /// Aligned columns under a head.
    #[default]
    Table,
    /// One array of objects.
    Json,
}

/// The `-o` of listing commands.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Output {
    /// How to print
    #[arg(short = 'o', long = "output", value_enum, default_value_t)]
    pub(crate) look: Look,
}

/// A line of a listing.
pub(crate) trait Row: Serialize {
    /// The head. A name that begins with `>` stands over numbers, which are aligned to the right.
    const HEAD: &'static [&'static str];

    fn cells(&self) -> Vec<String>;
}

/// Prints the rows to stdout as asked.
pub(crate) fn print<R: Row>(rows: &[R], look: Look) -> io::Result<()> {
    let text = match look {
        Look::Table => table(R::HEAD, &rows.iter().map(Row::cells).collect::<Vec<_>>()),
        Look::Json => json(rows)?,
    };
    write(&text)
}

/// Writes text to stdout at once, and out of our own buffer before it returns.
pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn json<R: Serialize>(rows: &[R]) -> io::Result<String> {
    let mut text = serde_json::to_string_pretty(rows)?;
    text.push('\n');
    Ok(text)
}

/// Aligned columns, two spaces apart, nothing at the ends of lines.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let names: Vec<&str> = head.iter().map(|name| name.trim_start_matches('>')).collect();
    let mut widths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    line(&mut text, head, &widths, &names);
    for row in rows {
        line(&mut text, head, &widths, row);
    }
    text
}

fn line(text: &mut String, head: &[&str], widths: &[usize], cells: &[impl AsRef<str>]) {
    let start = text.len();
    for ((name, width), cell) in head.iter().zip(widths).zip(cells) {
        if text.len() > start {
            text.push_str("  ");
        }
        let cell = cell.as_ref();
        let cell = if name.starts_with('>') { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
        text.push_str(&cell);
    }
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

/// A count as people read it: 27,004.
pub(crate) fn count(number: impl Into<i128>) -> String {
    let number: i128 = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Partition {
        partition: i32,
        topic: &'static str,
        lag: Option<i64>,
    }

    impl Row for Partition {
        const HEAD: &'static [&'static str] = &["TOPIC", ">PARTITION", ">LAG"];

        fn cells(&self) -> Vec<String> {
            vec![self.topic.into(), self.partition.to_string(), self.lag.map_or("-".into(), count)]
        }
    }

    const ROWS: [Partition; 2] = [
        Partition { partition: 0, topic: "orders", lag: Some(12_202) },
        Partition { partition: 11, topic: "é", lag: None },
    ];

    #[test]
    fn a_table_aligns_text_to_the_left_and_numbers_to_the_right() {
        let cells: Vec<_> = ROWS.iter().map(Row::cells).collect();
        let expected = "\
TOPIC   PARTITION     LAG
orders          0  12,202
é              11       -
";
        assert_eq!(table(Partition::HEAD, &cells), expected);
    }

    #[test]
    fn a_table_leaves_no_spaces_at_the_ends_of_lines() {
        let rows = [vec!["a".into(), "long text".into()], vec!["b".into(), String::new()]];
        assert_eq!(table(&["X", "Y"], &rows), "X  Y\na  long text\nb\n");
    }

    #[test]
    fn json_is_one_array_with_numbers_as_numbers() {
        let text = json(&ROWS).expect("rows become json");
        let value: serde_json::Value = serde_json::from_str(&text).expect("it is json");
        assert_eq!(value[0]["lag"], 12_202);
        assert_eq!(value[1]["lag"], serde_json::Value::Null);
    }

    #[test]
    fn counts_have_commas_every_three_digits() {
        let shown = [0, 12, 999, 1000, 27_004, -336_776, 1_000_000].map(|number: i64| count(number));
        assert_eq!(shown, ["0", "12", "999", "1,000", "27,004", "-336,776", "1,000,000"]);
    }
}
