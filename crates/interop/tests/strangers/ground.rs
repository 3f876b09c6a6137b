//! What the strangers stand on: our broker with its data in a folder, or the cluster that `VLTAVA_KAFKA` names.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tracing_subscriber::filter::LevelFilter;
use vltava_broker::Broker;

/// A cluster on loopback, so slow a machine as it may be, does what a test waits for within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running broker.
pub(crate) struct Ground {
    pub(crate) brokers: String,
    /// Serves the broker, while strangers block the test's own thread.
    pub(crate) runtime: Runtime,
    _ours: Option<(Broker, tempfile::TempDir)>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        // Why the broker refused something is in its log, which is printed with a test that fails.
        let _ = tracing_subscriber::fmt().with_test_writer().with_max_level(LevelFilter::DEBUG).try_init();
        let runtime = Runtime::new().expect("a runtime starts");
        if let Ok(brokers) = std::env::var("VLTAVA_KAFKA") {
            return Self { brokers, runtime, _ours: None };
        }
        let folder = tempfile::tempdir().expect("a folder can be made");
        let start = Broker::open(folder.path()).listen("127.0.0.1:0").start();
        let broker = runtime.block_on(start).expect("the broker starts");
        Self { brokers: broker.bootstrap(), runtime, _ours: Some((broker, folder)) }
    }
}

/// A name that no other test or run has used.
pub(crate) fn unique(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    format!("{name}-{}-{}", std::process::id(), now.as_nanos())
}

/// Asks until the answer is yes. The asking itself waits for something.
pub(crate) fn until(what: &str, mut yes: impl FnMut() -> bool) {
    let start = Instant::now();
    while !yes() {
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
    }
}
