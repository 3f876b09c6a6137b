//! The workers that the shards of a flow share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

/// Workers beyond the one that each shard owns.
#[derive(Debug)]
pub(crate) struct Pool(Mutex<State>);

#[derive(Debug)]
struct State {
    spare: usize,
    /// Shards that have work and no worker for it, by their number.
    waiting: Vec<(usize, Waker)>,
}

impl Pool {
    /// `workers` in all for so many shards, each of which owns one from the start.
    pub(crate) fn new(workers: usize, shards: usize) -> Arc<Self> {
        let spare = workers.checked_sub(shards).expect("no more shards than workers");
        Arc::new(Self(Mutex::new(State { spare, waiting: Vec::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The workers of one shard: its own, and those it took.
#[derive(Debug)]
pub(crate) struct Workers {
    pool: Arc<Pool>,
    shard: usize,
    held: usize,
}

impl Workers {
    pub(crate) fn new(pool: Arc<Pool>, shard: usize) -> Self {
        Self { pool, shard, held: 1 }
    }

    /// Whether there is a worker for one more record beside those at work; takes one from the pool for it. If
    /// there is none, `context` is woken once another shard gives one up.
    pub(crate) fn has_one(&mut self, at_work: usize, context: &Context<'_>) -> bool {
        if at_work < self.held {
            return true;
        }
        let mut state = self.pool.lock();
        if state.spare == 0 {
            match state.waiting.iter_mut().find(|it| it.0 == self.shard) {
                Some((_, waker)) => waker.clone_from(context.waker()),
                None => state.waiting.push((self.shard, context.waker().clone())),
            }
            return false;
        }
        state.spare -= 1;
        self.held += 1;
        true
    }

    /// Gives up those that are not at work; one where the shard has further work for it and nobody waits is kept.
    pub(crate) fn give_up(&mut self, at_work: usize, has_ready: bool) {
        let idle = self.held.saturating_sub(at_work.max(1));
        if idle == 0 {
            return;
        }
        let wakers = {
            let mut state = self.pool.lock();
            if has_ready && state.waiting.is_empty() {
                return;
            }
            self.held -= idle;
            state.spare += idle;
            let woken = state.waiting.len().min(idle);
            state.waiting.drain(..woken).collect::<Vec<_>>()
        };
        for (_, waker) in wakers {
            waker.wake();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.spare += self.held - 1;
        state.waiting.retain(|it| it.0 != self.shard);
        for (_, waker) in state.waiting.drain(..) {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_has_one_worker_and_the_rest_go_to_who_asks() {
        let pool = Pool::new(3, 2);
        let (mut one, mut other) = (Workers::new(pool.clone(), 0), Workers::new(pool.clone(), 1));
        let context = &Context::from_waker(Waker::noop());
        assert!(one.has_one(0, context) && one.has_one(1, context));
        assert!(!one.has_one(2, context));
        assert!(other.has_one(0, context) && !other.has_one(1, context));
        one.give_up(1, true);
        assert!(other.has_one(1, context), "what another shard waits for is given up");
        other.give_up(0, false);
        drop(other);
        assert_eq!(pool.lock().spare, 1);
    }

    #[test]
    fn a_worker_is_kept_while_nobody_waits_for_it() {
        let pool = Pool::new(2, 1);
        let mut one = Workers::new(pool.clone(), 0);
        assert!(one.has_one(1, &Context::from_waker(Waker::noop())));
        one.give_up(1, true);
        assert_eq!(pool.lock().spare, 0);
        one.give_up(1, false);
        assert_eq!(pool.lock().spare, 1);
    }
}
