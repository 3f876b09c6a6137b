//! How many instructions reading and writing takes, counted by callgrind and compared with what is on record. A machine
//! may be as busy as it likes: the same binary takes the same instructions.

mod inside;
mod work;

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::machine::compiler;

/// So much may a count differ from the one on record, in percent.
const PERCENT_MAX: f64 = 3.0;

/// What brings the record up to date.
const RECORD: &str = "cargo run --release -p vltava-bench --no-default-features -- instructions --record";

/// What is done with the counts.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Puts the counts on record, in place of comparing them.
    #[arg(long, conflicts_with = "work")]
    record: bool,

    /// Does one piece of work: what callgrind watches.
    #[arg(long, hide = true)]
    work: Option<String>,
}

/// Counts that were found at one time, with one compiler.
#[derive(Debug, Serialize, Deserialize)]
struct Counts {
    compiler: String,
    target: String,
    instructions: BTreeMap<String, u64>,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    if let Some(name) = &options.work {
        return work::run(name);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/instructions.json");
    let counts = count_all()?;
    if options.record {
        fs::create_dir_all(path.parent().expect("the file has a folder"))?;
        fs::write(&path, serde_json::to_string_pretty(&counts)? + "\n")?;
    }
    let recorded: Counts = serde_json::from_slice(&fs::read(&path)?)?;
    compare(&recorded, &counts)
}

/// Says how the counts differ, and fails where one has grown, or stands on one side only.
fn compare(recorded: &Counts, counts: &Counts) -> Result<(), Box<dyn Error>> {
    for (name, count) in &counts.instructions {
        println!("{count:>10}  {name}");
    }
    if (&recorded.compiler, &recorded.target) != (&counts.compiler, &counts.target) {
        println!("\nNOT COMPARED: these are of {}, {};", counts.compiler, counts.target);
        println!(
            "on record are those of {}, {}. To renew them:\n  {RECORD}",
            recorded.compiler, recorded.target
        );
        return Ok(());
    }
    let (mut grown, mut shrunk) = (Vec::new(), Vec::new());
    for name in recorded.instructions.keys().chain(counts.instructions.keys()) {
        let (before, now) = match (recorded.instructions.get(name), counts.instructions.get(name)) {
            (Some(before), Some(now)) => (*before, *now),
            _ => {
                grown.push(format!("{name} is not both on record and counted"));
                continue;
            }
        };
        let percent = (now as f64 / before as f64 - 1.0) * 100.0;
        let said = format!("{name}: {before} before, {now} now ({percent:+.1} %)");
        if percent > PERCENT_MAX && !grown.contains(&said) {
            grown.push(said);
        } else if percent < -PERCENT_MAX && !shrunk.contains(&said) {
            shrunk.push(said);
        }
    }
    if !shrunk.is_empty() {
        println!("\nFewer than on record:\n  {}\nTo keep that:\n  {RECORD}", shrunk.join("\n  "));
    }
    if grown.is_empty() {
        return Ok(());
    }
    Err(format!("more than on record:\n  {}\nIf it has to be:\n  {RECORD}", grown.join("\n  ")).into())
}

fn count_all() -> Result<Counts, Box<dyn Error>> {
    let target = format!("{}-{}", env::consts::ARCH, env::consts::OS);
    let mut counts = Counts { compiler: compiler(), target, instructions: BTreeMap::new() };
    for name in work::NAMES {
        counts.instructions.insert((*name).to_owned(), count(name)?);
    }
    Ok(counts)
}

/// Has callgrind watch a piece of work, in an environment of its own: what the caller's holds moves the stack, and
/// the C library would choose its functions by the processor.
fn count(name: &str) -> Result<u64, Box<dyn Error>> {
    let out = out_file(name);
    let watched = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--quiet"])
        .arg(format!("--toggle-collect=*{}*", work::WATCHED))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe()?)
        .args(["instructions", "--work", name])
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX512VL,-AVX512F,-ERMS,-FSRM")
        .output()
        .map_err(|error| format!("valgrind could not be started: {error}"))?;
    if !watched.status.success() {
        return Err(format!("{name} failed: {}", String::from_utf8_lossy(&watched.stderr)).into());
    }
    let counted = fs::read_to_string(&out)?;
    fs::remove_file(&out)?;
    let total = counted.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap_or("0");
    match total.trim().parse()? {
        0 => Err(format!("callgrind saw nothing of {name}").into()),
        total => Ok(total),
    }
}

fn out_file(name: &str) -> PathBuf {
    env::temp_dir().join(format!("vltava-{}-{}.callgrind", std::process::id(), name.replace(' ', "-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(compiler: &str, of: &[(&str, u64)]) -> Counts {
        let instructions = of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Counts { compiler: compiler.to_owned(), target: String::from("here"), instructions }
    }

    #[test]
    fn only_a_count_that_grew_fails() {
        let recorded = counts("1", &[("a", 1000), ("b", 1000)]);
        assert!(compare(&recorded, &counts("1", &[("a", 1030), ("b", 10)])).is_ok());
        let grown =
            compare(&recorded, &counts("1", &[("a", 1031), ("b", 1000)])).expect_err("a grew").to_string();
        assert!(grown.contains("a: 1000 before, 1031 now (+3.1 %)") && !grown.contains("b:"), "{grown}");
    }

    #[test]
    fn what_is_on_one_side_only_fails() {
        let (one, both) = (counts("1", &[("a", 1)]), counts("1", &[("a", 1), ("b", 1)]));
        assert!(compare(&one, &both).is_err());
        assert!(compare(&both, &one).is_err());
    }

    #[test]
    fn another_compiler_is_not_compared() {
        assert!(compare(&counts("1", &[("a", 1)]), &counts("2", &[("a", 100)])).is_ok());
    }
}
