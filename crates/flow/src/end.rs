//! How flows end: by themselves, by one that fails, or by a signal.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::{Error, ErrorKind, FlowHandle, Summary, error::Result};

/// Runs flows until all have ended. On SIGINT or SIGTERM, or when one of them fails, all are stopped and have `drain`
/// to finish; a second signal stops at once. The summaries are in the order of the flows.
///
/// # Errors
/// The first error of any flow, or that a second signal came.
pub async fn all_until_signal(flows: Vec<FlowHandle>, drain: Duration) -> Result<Vec<Summary>> {
    let mut signals = Signals::listen()?;
    let mut ending = Ending::new(flows);
    let mut signalled = false;
    loop {
        let happened = poll_fn(|context| ending.poll(&mut signals, context)).await;
        match happened {
            Happened::Signal(name) if signalled => {
                ending.flows.iter().flatten().for_each(|flow| flow.control().abort());
                let what =
                    format!("stopped at once by a second {name}: what was not committed will be done again");
                return Err(Error::new(ErrorKind::Interrupted, what));
            }
            Happened::Signal(name) => {
                info!("{name}: finishing what is at work; once more to stop at once");
                signalled = true;
                ending.stop(drain);
            }
            Happened::Failed => ending.stop(drain),
            Happened::AllEnded => return ending.result(),
        }
    }
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind, name| {
            signal(kind)
                .map_err(|error| Error::new(ErrorKind::Config, format!("no listening for {name}: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt(), "SIGINT")?,
            terminate: listen(SignalKind::terminate(), "SIGTERM")?,
        })
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<&'static str> {
        if self.interrupt.poll_recv(context).is_ready() {
            return Poll::Ready("SIGINT");
        }
        self.terminate.poll_recv(context).map(|_| "SIGTERM")
    }
}

enum Happened {
    Signal(&'static str),
    Failed,
    AllEnded,
}

struct Ending {
    flows: Vec<Option<FlowHandle>>,
    summaries: Vec<Summary>,
    error: Option<Error>,
}

impl Ending {
    fn new(flows: Vec<FlowHandle>) -> Self {
        let summaries = vec![Summary::default(); flows.len()];
        Self { flows: flows.into_iter().map(Some).collect(), summaries, error: None }
    }

    fn poll(&mut self, signals: &mut Signals, context: &mut Context<'_>) -> Poll<Happened> {
        if let Poll::Ready(name) = signals.poll(context) {
            return Poll::Ready(Happened::Signal(name));
        }
        for (slot, summary) in self.flows.iter_mut().zip(&mut self.summaries) {
            let Some(flow) = slot else { continue };
            let Poll::Ready(ended) = flow.poll_ended(context) else { continue };
            *slot = None;
            match ended {
                Ok(it) => *summary = it,
                Err(error) if self.error.is_some() => warn!(?error, "another flow failed too"),
                Err(error) => {
                    self.error = Some(error);
                    return Poll::Ready(Happened::Failed);
                }
            }
        }
        if self.flows.iter().all(Option::is_none) { Poll::Ready(Happened::AllEnded) } else { Poll::Pending }
    }

    fn stop(&self, drain: Duration) {
        self.flows.iter().flatten().for_each(|flow| flow.control().stop(drain));
    }

    fn result(self) -> Result<Vec<Summary>> {
        self.error.map_or(Ok(self.summaries), Err)
    }
}
