//! Batches as others wrote them, see `tests/golden.rs`: where the fuzzer starts from too.

use std::fs;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// The contents of all files, in order of their names.
pub(super) fn batches() -> Vec<Vec<u8>> {
    let files = fs::read_dir(FOLDER).expect("the folder of golden batches can be listed");
    let paths = files.map(|file| file.expect("the folder of golden batches can be listed").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == "batch")).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a golden batch can be read")).collect()
}
