//! The workers that the shards of a flow share.
//!
//! A shard may have more than its fair share while no other needs them; what is above the share goes to shards that
//! wait, as records end. So a busy flow moves no workers, and a single busy shard has them all.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

/// Workers beyond the one that each shard owns.
#[derive(Debug)]
pub(crate) struct Pool {
    /// What each shard may keep while others wait.
    fair: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    spare: usize,
    /// Shards that have work and no worker for it, by their number.
    waiting: VecDeque<(usize, Waker)>,
    /// Workers that were given to a shard that waited, and not yet collected.
    granted: Vec<usize>,
}

impl Pool {
    /// `workers` in all for so many shards, each of which owns one from the start.
    pub(crate) fn new(workers: usize, shards: usize) -> Arc<Self> {
        let spare = workers.checked_sub(shards).expect("no more shards than workers");
        let state = State { spare, waiting: VecDeque::new(), granted: vec![0; shards] };
        Arc::new(Self { fair: workers / shards, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The workers of one shard: its own, and those it took.
#[derive(Debug)]
pub(crate) struct Workers {
    pool: Arc<Pool>,
    shard: usize,
    held: usize,
    waits: bool,
}

impl Workers {
    pub(crate) fn new(pool: Arc<Pool>, shard: usize) -> Self {
        Self { pool, shard, held: 1, waits: false }
    }

    /// Whether there is a worker for one more record beside those at work; takes one from the pool for it. If
    /// there is none, `context` is woken once another shard gives one up.
    pub(crate) fn has_one(&mut self, at_work: usize, context: &Context<'_>) -> bool {
        if at_work < self.held {
            return true;
        }
        let mut state = self.pool.lock();
        self.held += mem::take(&mut state.granted[self.shard]);
        if at_work < self.held {
            self.waits = false;
            return true;
        }
        if state.spare > 0 {
            state.spare -= 1;
            self.held += 1;
            return true;
        }
        self.waits = true;
        match state.waiting.iter_mut().find(|it| it.0 == self.shard) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => state.waiting.push_back((self.shard, context.waker().clone())),
        }
        false
    }

    /// Gives up workers that are not at work: all of them where the shard has nothing more to do, else those above
    /// its fair share that others wait for. To be asked before further records are started.
    pub(crate) fn give_up(&mut self, at_work: usize, has_ready: bool) {
        let keep = if has_ready { self.pool.fair } else { 1 };
        if self.held <= keep && (has_ready || !self.waits) {
            return;
        }
        let pool = self.pool.clone();
        let mut state = pool.lock();
        // Who has workers to give up does not wait for one. What it was given while it has something to do, it
        // uses: were it given on, shards could pass a worker round for ever.
        state.waiting.retain(|it| it.0 != self.shard);
        if !has_ready {
            self.held += mem::take(&mut state.granted[self.shard]);
            self.waits = false;
        }
        let mut wakers = Vec::new();
        while self.held > keep.max(at_work) {
            match state.waiting.pop_front() {
                Some((shard, waker)) => {
                    state.granted[shard] += 1;
                    wakers.push(waker);
                }
                None if has_ready => break,
                None => state.spare += 1,
            }
            self.held -= 1;
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.give_up(0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn each_shard_has_one_worker_and_the_rest_go_to_who_asks() {
        let pool = Pool::new(3, 2);
        let (mut one, mut other) = (Workers::new(pool.clone(), 0), Workers::new(pool.clone(), 1));
        assert!(one.has_one(0, &context()) && one.has_one(1, &context()));
        assert!(!one.has_one(2, &context()));
        assert!(other.has_one(0, &context()) && !other.has_one(1, &context()));
        one.give_up(1, true);
        assert!(other.has_one(1, &context()), "what another shard waits for is given up");
        other.give_up(0, false);
        drop(other);
        assert_eq!((pool.lock().spare, one.held), (1, 1));
    }

    #[test]
    fn what_was_given_to_one_is_not_taken_back_by_the_other() {
        let pool = Pool::new(4, 2);
        let (mut one, mut other) = (Workers::new(pool.clone(), 0), Workers::new(pool, 1));
        assert!((0..3).all(|at_work| one.has_one(at_work, &context())));
        assert!(!other.has_one(1, &context()));
        one.give_up(2, true);
        assert!(!one.has_one(2, &context()));
        assert!(other.has_one(1, &context()));
        one.give_up(1, true);
        assert_eq!((one.held, other.held), (2, 2), "a fair share is kept");
    }

    #[test]
    fn a_worker_is_not_passed_round_by_shards_that_could_use_it() {
        let pool = Pool::new(4, 2);
        let (mut one, mut other) = (Workers::new(pool.clone(), 0), Workers::new(pool, 1));
        assert!((0..3).all(|at_work| one.has_one(at_work, &context())));
        assert!(!one.has_one(3, &context()) && !other.has_one(1, &context()));
        other.give_up(0, false);
        one.give_up(2, true);
        one.give_up(2, true);
        assert!(one.has_one(2, &context()), "nobody else waits any more");
    }

    #[test]
    fn workers_are_kept_while_nobody_waits_for_them() {
        let pool = Pool::new(3, 2);
        let mut one = Workers::new(pool.clone(), 0);
        assert!(one.has_one(1, &context()));
        one.give_up(0, true);
        assert_eq!((pool.lock().spare, one.held), (0, 2));
        one.give_up(0, false);
        assert_eq!((pool.lock().spare, one.held), (1, 1));
    }

    #[test]
    fn what_came_too_late_goes_on_to_the_next() {
        let pool = Pool::new(4, 3);
        let mut workers: Vec<_> = (0..3).map(|shard| Workers::new(pool.clone(), shard)).collect();
        assert!(workers[0].has_one(1, &context()));
        assert!(!workers[1].has_one(1, &context()) && !workers[2].has_one(1, &context()));
        workers[0].give_up(0, false);
        workers[1].give_up(0, false);
        assert!(workers[2].has_one(1, &context()));
    }
}
