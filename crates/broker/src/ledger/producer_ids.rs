//! Producer ids: each is handed out once in the broker's life.

use vltava_wire::messages;

/// So many are reserved by one entry, and lost if the broker stops before they are handed out.
const BLOCK: i64 = 1000;

messages! {
    /// Ids below `end` may have been handed out.
    pub struct Reserved {
        end: i64 => 0..;
    }
}

/// The next id, and up to where ids are reserved.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    next: i64,
    reserved: i64,
}

impl ProducerIds {
    /// The entry that must be applied before the next id is taken, if one must.
    pub(crate) fn reserve(&self) -> Option<Reserved> {
        (self.next == self.reserved).then(|| Reserved { end: self.reserved + BLOCK })
    }

    /// Hands out an id.
    ///
    /// # Panics
    /// If none is reserved.
    pub(crate) fn take(&mut self) -> i64 {
        assert!(self.next < self.reserved, "an id is reserved before it is handed out");
        self.next += 1;
        self.next - 1
    }

    pub(super) fn apply(&mut self, reserved: &Reserved) {
        self.reserved = reserved.end;
    }

    /// After a restart nobody knows which of the reserved ids were handed out.
    pub(super) fn give_up_reserved(&mut self) {
        self.next = self.reserved;
    }

    pub(super) fn image(&self) -> Reserved {
        Reserved { end: self.reserved }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_handed_out_twice_however_often_the_broker_restarts() {
        let mut seen = std::collections::BTreeSet::new();
        let mut image = Reserved::default();
        for life in 0..5 {
            let mut ids = ProducerIds::default();
            ids.apply(&image);
            ids.give_up_reserved();
            for _ in 0..BLOCK + life {
                if let Some(reserved) = ids.reserve() {
                    ids.apply(&reserved);
                }
                assert!(seen.insert(ids.take()), "life {life}");
            }
            image = ids.image();
        }
    }
}
