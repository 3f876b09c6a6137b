//! Where and with what something was measured.

use std::{fs, process::Command};

use serde::Serialize;

/// Said beside every figure.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) compiler: String,
    /// Of the other implementations.
    pub(crate) versions: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            processor: model.map_or("an unknown processor", |(_, name)| name).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            compiler: compiler(),
            versions: ["kafka-protocol", "kacrab-protocol", "krafka"].map(version).join(", "),
        }
    }
}

/// The compiler that cargo uses here.
pub(crate) fn compiler() -> String {
    let asked = Command::new("rustc").arg("--version").output();
    let said = asked.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    said.unwrap_or_else(|_| String::from("an unknown compiler"))
}

/// A package and its version, as the lock file has it.
fn version(package: &str) -> String {
    let lock = include_str!("../../../Cargo.lock");
    let entry = lock.split_once(&format!("name = \"{package}\"\nversion = \""));
    let version = entry.and_then(|(_, rest)| rest.split('"').next());
    format!("{package} {}", version.unwrap_or("not locked"))
}

/// What waited for a processor in the last minute, on average.
pub(crate) fn load() -> f64 {
    let told = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0.0)
}
