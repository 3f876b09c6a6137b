//! Runs a property over its seeds, its corpus and its findings, or writes the seeds for the fuzzer to start from.
//!
//! A corpus is `corpus/TARGET.tar.gz` beside the test, what fuzzing reached beyond the seeds. `findings/TARGET/` has
//! a file for each input that once broke the property, named after what was wrong.

use std::{
    env,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    thread,
};

use flate2::read::GzDecoder;

/// Set to a folder, the seeds are written to `TARGET/` in it and nothing is checked.
const SEEDS_FOLDER: &str = "VLTAVA_SEEDS";

/// Checks `property` with everything that is known of `target`.
pub(crate) fn all(target: &str, seeds: Vec<Vec<u8>>, property: impl Fn(&[u8])) {
    if let Some(folder) = env::var_os(SEEDS_FOLDER) {
        return write(&Path::new(&folder).join(target), &seeds);
    }
    assert!(!seeds.is_empty(), "{target} has seeds");
    let seeds = seeds.into_iter().enumerate().map(|(at, seed)| (format!("seed {at}"), seed));
    for (name, input) in seeds.chain(corpus(target)).chain(findings(target)) {
        let _said = SaidOnPanic(format!("{target}: {name}"));
        property(&input);
    }
}

fn write(folder: &Path, seeds: &[Vec<u8>]) {
    fs::create_dir_all(folder).expect("the folder of the seeds can be made");
    for (at, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("seed-{at}")), seed).expect("a seed can be written");
    }
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let path = beside().join("corpus").join(format!("{target}.tar.gz"));
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut inputs = Vec::new();
    for entry in archive.entries().expect("the corpus is an archive") {
        let mut entry = entry.expect("the archive is whole");
        if entry.header().entry_type().is_file() {
            let mut input = Vec::new();
            entry.read_to_end(&mut input).expect("the archive is whole");
            inputs.push((format!("corpus {}", String::from_utf8_lossy(&entry.path_bytes())), input));
        }
    }
    inputs
}

fn findings(target: &str) -> Vec<(String, Vec<u8>)> {
    let Ok(files) = fs::read_dir(beside().join("findings").join(target)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> =
        files.map(|file| file.expect("the folder of findings can be listed").path()).collect();
    paths.sort();
    let read = |path: PathBuf| (path.display().to_string(), fs::read(&path).expect("a finding can be read"));
    paths.into_iter().map(read).collect()
}

/// The folder of the test that this is part of.
fn beside() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// Names the input that broke a property.
struct SaidOnPanic(String);

impl Drop for SaidOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("broken by {}", self.0);
        }
    }
}
