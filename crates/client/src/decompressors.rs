//! Decompressors that are not at work. Opening a batch takes one and never waits in between, so a client has as many
//! as threads that opened batches at once, however many partitions it reads.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use vltava_wire::Decompressor;

/// See the top of the file.
#[derive(Default)]
pub(crate) struct Decompressors {
    idle: Mutex<Vec<Decompressor>>,
}

impl Decompressors {
    /// Does some work with a decompressor that has done others before, if there is one.
    pub(crate) fn lend<T>(&self, work: impl FnOnce(&mut Decompressor) -> T) -> T {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut decompressor = idle.unwrap_or_default();
        let done = work(&mut decompressor);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(decompressor);
        done
    }
}

impl fmt::Debug for Decompressors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("decompressors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_at_the_same_time_takes_one_each_and_later_work_takes_one_of_those() {
        let all = Decompressors::default();
        let idle = || all.idle.lock().map(|it| it.len()).expect("nobody panics");
        all.lend(|_| all.lend(|_| assert_eq!(idle(), 0)));
        assert_eq!(idle(), 2);
        all.lend(|_| assert_eq!(idle(), 1));
        assert_eq!(idle(), 2);
    }
}
