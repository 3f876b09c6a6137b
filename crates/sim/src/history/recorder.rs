//! Who writes a history down while it happens.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use vltava_client::{Error, RecordMetadata};
use vltava_core::{Clock, Moment};

use super::{Call, Event, History, Partition, What};

/// Writes down what happens, with the time of a clock. A clone writes into the same history.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    history: History,
    ops: u64,
}

impl Recorder {
    /// A history that begins now: of what is played, from which seed, and how late a deadline may be noticed.
    pub fn begin(clock: Arc<dyn Clock>, workload: &str, seed: u64, slack: Duration) -> Self {
        Self::with(clock, (workload, seed), slack, false)
    }

    /// The same where all nodes have one log.
    pub fn of_one_log(clock: Arc<dyn Clock>, workload: &str, seed: u64, slack: Duration) -> Self {
        Self::with(clock, (workload, seed), slack, true)
    }

    fn with(clock: Arc<dyn Clock>, (workload, seed): (&str, u64), slack: Duration, shares_log: bool) -> Self {
        let recorder = Self(Arc::new(Shared { clock, state: Mutex::default() }));
        let (workload, slack) = (workload.to_owned(), micros(slack));
        recorder.note(What::Play { workload, seed, slack, shares_log });
        recorder
    }

    /// Writes down that this happened.
    pub fn note(&self, what: What) {
        self.write(|_| what);
    }

    /// Writes down that a client is called. What comes of it is told to what this returns.
    pub fn call(&self, client: &str, call: Call) -> Pending {
        let mut op = 0;
        self.write(|state| {
            (op, state.ops) = (state.ops, state.ops + 1);
            What::Invoke { op, client: client.to_owned(), call }
        });
        Pending { recorder: self.clone(), op: Some(op) }
    }

    /// The time is looked up while nobody else writes, so that it never goes back from line to line.
    fn write(&self, what: impl FnOnce(&mut State) -> What) {
        let mut state = self.lock();
        let (at, what) = (self.now().0, what(&mut state));
        state.history.events.push(Event { at, what });
    }

    /// What was written down so far.
    pub fn history(&self) -> History {
        self.lock().history.clone()
    }

    /// The time that is written beside what happens now.
    pub fn now(&self) -> Moment {
        self.0.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("nothing panics with this lock")
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a recorder of {} events", self.lock().history.events.len())
    }
}

/// A call that has no outcome yet. Dropped, nobody waits for the outcome any more, and nobody knows it.
#[derive(Debug)]
#[must_use = "a call that is dropped has an unknown outcome"]
pub struct Pending {
    recorder: Recorder,
    op: Option<u64>,
}

impl Pending {
    /// Writes down what came of the call.
    pub fn end<T>(mut self, outcome: &Result<T, Error>) {
        self.close(|op| match outcome {
            Ok(_) => What::Ok { op, partition: None, offset: None },
            Err(error) => failed(op, error),
        });
    }

    /// Writes down what came of a record.
    pub fn delivered(mut self, outcome: &Result<RecordMetadata, Error>) {
        self.close(|op| match outcome {
            Ok(it) => {
                let partition = Partition { topic: it.topic.to_string(), number: it.partition };
                What::Ok { op, partition: Some(partition), offset: it.offset }
            }
            Err(error) => failed(op, error),
        });
    }

    /// Writes down that for certain nothing was done.
    pub fn was_not_begun(mut self) {
        self.close(|op| What::Fail { op, error: "nobody waited for it to begin".into() });
    }

    fn close(&mut self, what: impl FnOnce(u64) -> What) {
        if let Some(op) = self.op.take() {
            self.recorder.note(what(op));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.close(|op| What::Info { op, error: "nobody waited for the outcome".into() });
    }
}

fn failed(op: u64, error: &Error) -> What {
    match error.maybe_written() {
        true => What::Info { op, error: error.to_string() },
        false => What::Fail { op, error: error.to_string() },
    }
}

/// As histories count time.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
