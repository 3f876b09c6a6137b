//! One waker for each of many things that a task polls, so that it polls only those that may go on.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

/// The wakers of things that are numbered from 0. Made once each, and used again.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    list: Arc<List>,
    wakers: Vec<(Arc<One>, Waker)>,
    taken: Vec<u32>,
}

/// Who was woken, and whom to wake for it.
#[derive(Debug, Default)]
struct List(Mutex<Woken>);

#[derive(Debug, Default)]
struct Woken {
    woken: Vec<u32>,
    owner: Option<Waker>,
}

#[derive(Debug)]
struct One {
    number: u32,
    /// In the list already; a second wake adds nothing.
    listed: AtomicBool,
    list: Arc<List>,
}

impl List {
    fn lock(&self) -> MutexGuard<'_, Woken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for One {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.listed.swap(true, Ordering::AcqRel) {
            return;
        }
        let owner = {
            let mut list = self.list.lock();
            list.woken.push(self.number);
            list.owner.take()
        };
        if let Some(owner) = owner {
            owner.wake();
        }
    }
}

impl Wakes {
    /// The waker of a number.
    pub(crate) fn waker(&mut self, number: u32) -> &Waker {
        while self.wakers.len() <= number as usize {
            let number = self.wakers.len() as u32;
            let one = Arc::new(One { number, listed: AtomicBool::new(false), list: self.list.clone() });
            self.wakers.push((one.clone(), Waker::from(one)));
        }
        &self.wakers[number as usize].1
    }

    /// Asks for a number to be polled, as its waker would.
    pub(crate) fn wake(&mut self, number: u32) {
        self.waker(number).wake_by_ref();
    }

    /// A number that was woken since it was last taken. Without one, `context` is woken by the next.
    pub(crate) fn take(&mut self, context: &mut Context<'_>) -> Option<u32> {
        if self.taken.is_empty() {
            let mut list = self.list.lock();
            if list.woken.is_empty() {
                match &mut list.owner {
                    Some(owner) => owner.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
                return None;
            }
            mem::swap(&mut list.woken, &mut self.taken);
        }
        let number = self.taken.pop()?;
        self.wakers[number as usize].0.listed.store(false, Ordering::Release);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_taken_once_for_all_its_wakes() {
        let mut wakes = Wakes::default();
        let context = &mut Context::from_waker(Waker::noop());
        wakes.waker(1).wake_by_ref();
        wakes.waker(1).wake_by_ref();
        wakes.waker(0).wake_by_ref();
        let mut taken = [wakes.take(context), wakes.take(context)];
        taken.sort();
        assert_eq!(taken, [Some(0), Some(1)]);
        assert_eq!(wakes.take(context), None);
        wakes.wake(1);
        assert_eq!(wakes.take(context), Some(1));
    }
}
