//! Memory of batches that are done, for those that come: a batch that grows from nothing is moved again and again, and
//! memory that is fresh from the system costs more than what is written into it.

use bytes::Bytes;

/// So much is kept at most; more than is freed at once under load, and little beside what was in flight then.
const BYTES_MAX: usize = 8 << 20;

/// Less than this is not worth keeping.
const BYTES_MIN: usize = 4 << 10;

/// What was used last is given out first: it may still be in the processor's cache.
#[derive(Debug, Default)]
pub(super) struct Spare {
    memory: Vec<Vec<u8>>,
    bytes: usize,
}

impl Spare {
    /// Keeps the memory of a batch, unless somebody still reads it.
    pub(super) fn put(&mut self, batch: Bytes) {
        if !batch.is_unique() {
            return;
        }
        let memory = Vec::from(batch);
        let bytes = memory.capacity();
        if bytes >= BYTES_MIN && self.bytes + bytes <= BYTES_MAX {
            self.bytes += bytes;
            self.memory.push(memory);
        }
    }

    /// Memory for a batch; what it holds is of no meaning.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let memory = self.memory.pop().unwrap_or_default();
        self.bytes -= memory.capacity();
        memory
    }

    /// Gives all of it back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(bytes: usize) -> Bytes {
        vec![7; bytes].into()
    }

    #[test]
    fn memory_comes_back_without_being_moved_unless_somebody_still_reads_it() {
        let mut spare = Spare::default();
        let (free, read) = (batch(BYTES_MIN), batch(BYTES_MIN));
        let (at, reader) = (free.as_ptr(), read.clone());
        spare.put(free);
        spare.put(read);
        let [again, fresh] = [spare.take(), spare.take()];
        assert_eq!((again.as_ptr(), fresh.capacity()), (at, 0));
        assert_eq!(reader, batch(BYTES_MIN));
    }

    #[test]
    fn no_more_is_kept_than_the_limit_and_nothing_small() {
        let mut spare = Spare::default();
        for bytes in [BYTES_MAX / 2, BYTES_MIN - 1, BYTES_MAX / 2, BYTES_MIN] {
            spare.put(batch(bytes));
        }
        assert_eq!(spare.bytes, BYTES_MAX);
        assert_eq!(
            [spare.take(), spare.take(), spare.take()].map(|it| it.len()),
            [BYTES_MAX / 2, BYTES_MAX / 2, 0]
        );
        spare.put(batch(BYTES_MIN));
        spare.clear();
        assert_eq!((spare.bytes, spare.take().capacity()), (0, 0));
    }
}
