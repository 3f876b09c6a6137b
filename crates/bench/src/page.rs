//! The page that is published: what was kept of all measurements, as tables. Nothing of it is typed by hand.

use std::{error::Error, fs};

use clap::Args;

use crate::{broker, machine::Machine, race};

/// Between these the README has what it quotes.
const QUOTED: [&str; 2] = ["<!-- bench -->\n", "<!-- /bench -->\n"];

/// Whether it is only looked at.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Prints the page, in place of writing it and what the README quotes of it.
    #[arg(long)]
    print: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let page = page()?;
    if options.print {
        print!("{page}");
        return Ok(());
    }
    fs::write(crate::folder().join("README.md"), page)?;
    let readme = crate::folder().join("../README.md");
    let text = fs::read_to_string(&readme)?;
    fs::write(readme, quoting(&text, &race::summary()?)?)?;
    Ok(())
}

fn page() -> Result<String, Box<dyn Error>> {
    let Machine { date, processor, cores, kernel, compiler, .. } = Machine::here();
    Ok(format!(
        "# Ours beside others\n\n\
         Made on {date} on {processor}, {cores} cores, Linux {kernel}, {compiler}, by\n\n\
         ```console\n\
         $ cargo run --release -p vltava-bench -- consume --all --rounds 9 --write\n\
         $ cargo run --release -p vltava-bench -- produce --all --rounds 9 --write\n\
         $ cargo run --release -p vltava-bench -- latency --write\n\
         $ cargo run --release -p vltava-bench -- broker --write\n\
         $ cargo run --release -p vltava-bench -- page\n\
         ```\n\n\
         Each client is a process of its own. In every round each runs once, in random order, against an endpoint that\n\
         serves canned batches of 16 KiB of records with keys of 8 bytes, or counts what is produced; latencies from\n\
         end to end are taken on our broker in memory. Judged is CPU time, user and system, of the client's process,\n\
         without the first tenth of its work. Figures are medians; × librdkafka is the median of the ratios within a\n\
         round, with the least and the most. The floor is no client: blocking sockets and code by hand for this shape of\n\
         records alone. Ours runs twice; rounds in which the two differ by more than 15 % are played again. Every run\n\
         is checked to have seen each record once: by count and the sum of offsets where it reads, by checksums and\n\
         count where it writes. Latencies count from when a record was to be sent. Every measurement is in the files\n\
         `*.jsonl` beside this page; `codec.md` has reading and writing in memory.\n\n\
         ## Where ours does not win\n\n{}\n{}{}",
        race::losses()?,
        race::chapters()?,
        broker::chapter()?,
    ))
}

/// The text with something else between the marks.
fn quoting(text: &str, quoted: &str) -> Result<String, Box<dyn Error>> {
    let [begin, end] = QUOTED;
    let (before, rest) = text.split_once(begin).ok_or("the README has no mark for what it quotes")?;
    let (_, after) = rest.split_once(end).ok_or("the README has no mark where what it quotes ends")?;
    Ok(format!("{before}{begin}{quoted}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_renewed() {
        let text = "a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n";
        let renewed = quoting(text, "new\n").expect("it has both marks");
        assert_eq!(renewed, "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n");
        assert!(quoting("a", "new").is_err());
    }
}
