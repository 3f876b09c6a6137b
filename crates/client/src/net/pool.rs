//! The connections of one owner, one a broker: opened when first needed, and again after they broke, with growing
//! pauses while that fails.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::MutexGuard;
use vltava_core::{Moment, Rng};

use super::{Address, Link};
use crate::{
    context::Context,
    error::{Broker, Error, ErrorKind, Result},
};

/// Connections by address. Each owner has its own, so that a long poll of one does not hold up another's requests.
pub(crate) struct Pool {
    context: Arc<Context>,
    slots: Mutex<BTreeMap<Address, Arc<Slot>>>,
    rng: Mutex<Rng>,
}

/// One broker's connection.
#[derive(Default)]
struct Slot {
    /// How many attempts have come to an end.
    attempts: AtomicU64,
    /// Locked while an attempt is made, so that all who want the connection wait for that one.
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Link>,
    /// Attempts in a row that failed, and what the latest failed by.
    failures: u32,
    failed: Option<Error>,
    not_before: Moment,
}

impl Pool {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let rng = Mutex::new(context.rng());
        Self { context, slots: Mutex::default(), rng }
    }

    /// The open connection to a broker, or a new one. Those who wait for an attempt share its outcome.
    pub(crate) async fn link(&self, broker: &Broker, deadline: Moment) -> Result<Link> {
        let slot = self.slot(&broker.address);
        let asked = slot.attempts.load(Ordering::Relaxed);
        let mut state = self.turn(&slot, broker, deadline).await?;
        if let Some(link) = state.link.as_ref().filter(|link| link.is_open()) {
            return Ok(link.clone());
        }
        if let Some(failure) = &state.failed {
            let shared = slot.attempts.load(Ordering::Relaxed) > asked;
            if shared || state.not_before >= deadline {
                return Err(failure.clone());
            }
        }
        self.context.clock.sleep_until(state.not_before).await;
        let opened = Link::open(&self.context, broker).await;
        slot.attempts.fetch_add(1, Ordering::Relaxed);
        self.settle(&mut state, opened)
    }

    /// Lets go of the connection to a broker, so that the next one who wants it makes another.
    pub(crate) fn forget(&self, address: &Address) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }

    async fn turn<'a>(&self, slot: &'a Slot, broker: &Broker, by: Moment) -> Result<MutexGuard<'a, State>> {
        tokio::select! {
            biased;
            state = slot.state.lock() => Ok(state),
            () = self.context.clock.sleep_until(by) => {
                Err(Error::new(ErrorKind::TimedOut).with(broker).what("not connected in time"))
            }
        }
    }

    fn settle(&self, state: &mut State, opened: Result<Link>) -> Result<Link> {
        match &opened {
            Ok(link) => *state = State { link: Some(link.clone()), ..State::default() },
            Err(failure) => {
                let now = self.context.now();
                let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
                state.failures = state.failures.saturating_add(1);
                state.not_before = now + self.context.connection.backoff.after(state.failures, &mut rng);
                state.failed = Some(failure.clone());
                state.link = None;
            }
        }
        opened
    }

    fn slot(&self, address: &Address) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(address) {
            // Brokers come and go: of those that nothing is to be known about any more, nothing is kept.
            let now = self.context.now();
            slots.retain(|_, slot| slot.is_used(now));
        }
        slots.entry(address.clone()).or_default().clone()
    }
}

impl Slot {
    /// Whether somebody wants this connection, has it, or has to wait before it is tried again.
    fn is_used(self: &Arc<Self>, now: Moment) -> bool {
        Arc::strong_count(self) > 1
            || self
                .state
                .try_lock()
                .is_ok_and(|state| state.link.as_ref().is_some_and(Link::is_open) || state.not_before > now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vltava_wire::messages::{HeartbeatRequest, HeartbeatResponse};

    use super::*;
    use crate::{
        config,
        tests::peer::{Peer, Reply},
    };

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_closed_while_it_was_idle_is_opened_again() {
        let peer = Peer::new(|asked| match asked.answer(&HeartbeatResponse::default()) {
            Reply::Frame(frame) => Reply::Last(frame),
            other => other,
        });
        let context = peer.context(config::Connection::default());
        let pool = Pool::new(context.clone());
        let broker = Broker { node: Some(1), address: "peer:9092".parse().expect("an address") };
        let patience = Duration::from_secs(30);
        for _ in 0..3 {
            let link = pool.link(&broker, context.now() + patience).await.expect("the peer is there");
            link.call(|_| HeartbeatRequest::default(), patience).await.expect("an answer");
            tokio::time::sleep(Duration::from_secs(600)).await;
            assert!(!link.is_open());
        }
    }

    /// H8.
    #[tokio::test(start_paused = true)]
    async fn of_brokers_that_come_and_go_nothing_is_kept() {
        let peer = Peer::new(|asked| match asked.answer(&HeartbeatResponse::default()) {
            Reply::Frame(frame) => Reply::Last(frame),
            other => other,
        });
        let context = peer.context(config::Connection::default());
        let pool = Pool::new(context.clone());
        let patience = Duration::from_secs(30);
        for node in 0..300 {
            let address = format!("peer-{node}:9092").parse().expect("an address");
            let broker = Broker { node: Some(node), address };
            let link = pool.link(&broker, context.now() + patience).await.expect("the peer is there");
            link.call(|_| HeartbeatRequest::default(), patience).await.expect("an answer");
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(!link.is_open());
        }
        assert_eq!(pool.slots.lock().expect("nobody panics").len(), 1);
    }
}
