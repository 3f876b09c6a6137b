//! SIGINT and SIGTERM: the first asks to come to an end, the second is not waited for.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::report::Failure;

/// Both signals, caught from the moment this is made.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Signals, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::because("cannot catch signals", &error));
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Completes when a signal comes. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }

    /// Does the work, unless a signal comes first.
    pub(crate) async fn unless_again<T>(
        &mut self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.next() => Err(Failure::new("ended by a second signal, with work unfinished")),
            done = work => done,
        }
    }
}
