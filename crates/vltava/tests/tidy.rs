//! The rules of the house that no compiler knows: which crate may use which, what stays out of the machines, how
//! long things may get, and that the architecture page names every room.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What a crate of the workspace may use of the others.
const EDGES: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("core", &["vltava-wire"]),
    ("client", &["vltava-core", "vltava-wire"]),
    ("broker", &["vltava-core", "vltava-wire"]),
    ("flow", &["vltava-client", "vltava-core"]),
    ("sinks", &["vltava-flow"]),
    ("vltava", &["vltava-client", "vltava-broker", "vltava-flow", "vltava-sinks", "vltava-core"]),
    ("cli", &["vltava", "vltava-client", "vltava-broker", "vltava-flow", "vltava-sinks", "vltava-core"]),
    ("sim", &["vltava", "vltava-client", "vltava-broker", "vltava-flow", "vltava-core", "vltava-wire"]),
];

/// Crates that decide, and so may not act: words that would let them.
const NOT_IN_MACHINES: &[&str] =
    &["tokio", "std::net", "std::fs", "std::thread", "Instant::now", "SystemTime", "async fn", "Mutex"];

/// Crates that act, but ask the seams for time, chance, threads and files.
const NOT_IN_SHELLS: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "tokio::time::sleep",
    "std::thread",
    "std::fs",
    "tokio::fs",
    "RandomState",
    "HashMap",
    "HashSet",
];

/// The files where a seam meets the world, and what each of them may say.
const SEAMS: &[(&str, &[&str])] = &[
    ("crates/broker/src/clock.rs", &["Instant::now", "SystemTime", "tokio::time::sleep"]),
    ("crates/broker/src/disk/file.rs", &["std::fs", "std::thread"]),
    ("crates/broker/src/entropy.rs", &["RandomState"]),
    ("crates/client/src/clock.rs", &["Instant::now", "SystemTime", "tokio::time::sleep"]),
    ("crates/client/src/entropy.rs", &["RandomState"]),
    // Whoever runs a flow from a file has it read once, before anything runs.
    ("crates/flow/src/spec/file.rs", &["std::fs"]),
];

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn crates_use_only_what_the_plan_lets_them_use() {
    for (name, allowed) in EDGES {
        let manifest = fs::read_to_string(root().join(format!("crates/{name}/Cargo.toml")))
            .expect("a crate has a manifest");
        let dependencies =
            manifest.split("\n[").find(|it| it.starts_with("dependencies]")).unwrap_or_default();
        for line in dependencies.lines().filter(|it| it.starts_with("vltava")) {
            let used = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(allowed.contains(&used), "{name} uses {used}");
        }
    }
}

#[test]
fn machines_do_not_act_and_shells_ask_their_seams() {
    let mut found = Vec::new();
    for file in sources().into_iter().filter(|it| !it.path.contains("/tests/")) {
        let banned = match file.room() {
            "wire" | "core" => NOT_IN_MACHINES,
            "client" | "broker" | "flow" => NOT_IN_SHELLS,
            _ => continue,
        };
        let seam = SEAMS.iter().find(|(path, _)| *path == file.path).map_or(&[][..], |(_, allowed)| allowed);
        for (number, line) in file.code() {
            found.extend(
                banned
                    .iter()
                    .filter(|it| line.contains(**it) && !seam.contains(it))
                    .map(|it| format!("{}:{number}: {it}", file.path)),
            );
        }
    }
    assert!(found.is_empty(), "what only a seam may do:\n{}", found.join("\n"));
}

#[test]
fn every_select_says_in_which_order_it_looks() {
    for file in sources() {
        let lines: Vec<_> = file.code().collect();
        for pair in lines.windows(2) {
            let biased = pair[1].1.trim() == "biased;";
            assert!(
                biased || !pair[0].1.contains("select! {"),
                "{}:{}: select! without biased",
                file.path,
                pair[0].0
            );
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<_> =
        sources().into_iter().filter(|it| !it.text.starts_with("//!")).map(|it| it.path).collect();
    assert!(silent.is_empty(), "files without a first line of //!: {silent:?}");
}

#[test]
fn files_and_functions_fit_the_eye() {
    let mut found = Vec::new();
    for file in sources() {
        let lines = file.before_tests().lines().count();
        if FILE_LINES_MAX < lines {
            found.push(format!("{}: {lines} lines before its tests", file.path));
        }
        for (name, length) in functions(file.before_tests()) {
            if FUNCTION_LINES_MAX < length {
                found.push(format!("{}: fn {name} has {length} lines", file.path));
            }
        }
    }
    assert!(found.is_empty(), "too long:\n{}", found.join("\n"));
}

#[test]
fn the_architecture_page_names_every_crate_and_room() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("there is an architecture page");
    let mut missing = Vec::new();
    for file in sources() {
        let parts: Vec<_> = file.path.split('/').collect();
        let room = match parts.as_slice() {
            ["crates", _, "src", "tests", ..] => continue,
            ["crates", name, "src", room, _, ..] => format!("{name}/{room}"),
            ["crates", name, ..] => (*name).to_owned(),
            _ => continue,
        };
        if !page.contains(&format!("`{room}`")) && !missing.contains(&room) {
            missing.push(room);
        }
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md does not name {missing:?}");
}

/// The table of faults says which tests show that they do no harm: all of those are there.
#[test]
fn the_table_of_faults_names_tests_that_are_there() {
    let files: Vec<_> = files("src").into_iter().chain(files("tests")).collect();
    let table = files.iter().find(|it| it.path == "crates/client/src/tests/rows.rs").expect("it is there");
    let mut missing = Vec::new();
    for row in table.text.lines().filter(|it| it.starts_with("//! |")) {
        for name in row.split('`').skip(1).step_by(2) {
            let is_there = |it: &Source| it.text.contains(&format!("fn {name}()"));
            if !files.iter().any(is_there) {
                missing.push(name);
            }
        }
    }
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

/// A source file of a crate, its path relative to the workspace.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The crate's folder.
    fn room(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }

    fn before_tests(&self) -> &str {
        self.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default()
    }

    /// Numbered lines that are neither comments nor tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.before_tests().lines().enumerate();
        lines.map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("a crate lies two folders deep")
        .to_owned()
}

fn sources() -> Vec<Source> {
    files("src")
}

/// What lies in folders of this name.
fn files(within: &str) -> Vec<Source> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be listed") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs")
                && path.components().any(|it| it.as_os_str() == within)
            {
                let text = fs::read_to_string(&path).expect("a source file is text");
                let path = path.strip_prefix(root()).expect("it lies below the root").display().to_string();
                files.push(Source { path, text });
            }
        }
    }
    assert!(files.len() > 10, "the sources were not found");
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// The functions of a formatted file: from the line that names one to the brace in the same column.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(name) = code.split("fn ").nth(1).filter(|_| is_signature(code)) else { continue };
        let close = format!("{}}}", &line[..line.len() - code.len()]);
        let length = lines[at..]
            .iter()
            .position(|it| *it == close || it.starts_with(&format!("{close} ")))
            .unwrap_or(0)
            + 1;
        found.push((name.split(['(', '<']).next().unwrap_or_default().to_owned(), length));
    }
    found
}

fn is_signature(code: &str) -> bool {
    let before = code.split("fn ").next().unwrap_or_default();
    let words = ["pub", "pub(crate)", "pub(super)", "const", "async", ""];
    before.split(' ').all(|word| words.contains(&word)) && !code.ends_with(';') && !code.ends_with('}')
}
