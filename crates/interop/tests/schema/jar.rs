//! What comes out of Kafka's jar: message definitions, and what its classes say.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{LazyLock, Mutex},
};

use crate::definition::Definition;

/// Every message definition, by name.
pub(crate) fn definitions() -> BTreeMap<String, Definition> {
    let folder = cluster("definitions");
    let files = fs::read_dir(Path::new(folder.trim())).expect("the script names a folder");
    let files = files.map(|file| file.expect("a file is listed").path());
    let definitions = files.filter(|file| file.extension().is_some_and(|it| it == "json")).map(|file| {
        let text = fs::read_to_string(&file).expect("a definition is text");
        let definition = Definition::parse(&text);
        assert_eq!(file.file_stem().and_then(|it| it.to_str()), Some(definition.name.as_str()));
        (definition.name.clone(), definition)
    });
    definitions.collect()
}

/// The words of every line that `Facts.java` says of `subject`.
pub(crate) fn facts(subject: &str) -> Vec<Vec<String>> {
    static FACTS: LazyLock<String> = LazyLock::new(|| cluster("facts"));
    let lines = FACTS.lines().map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let lines: Vec<_> = lines.filter(|words| words[0] == subject).map(|words| words[1..].to_vec()).collect();
    assert!(!lines.is_empty(), "Kafka says nothing of {subject}");
    lines
}

/// Runs the script, which fetches and unpacks the jar the first time: one at a time.
fn cluster(command: &str) -> String {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/kafka/cluster");
    let output = Command::new(script).arg(command).stderr(Stdio::inherit()).output().expect("bash is there");
    assert!(output.status.success(), "java and maven are there, and Maven Central answers");
    String::from_utf8(output.stdout).expect("the script prints text")
}
