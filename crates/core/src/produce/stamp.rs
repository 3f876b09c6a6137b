//! What a batch carries so that a second copy of it is known as one: whose it is, and which of theirs.

use std::fmt;

use vltava_wire::record::{BatchHeader, Stamp};

/// A producer as brokers know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Given by InitProducerId.
    pub id: i64,
    /// Given by InitProducerId at first. A producer without transactions then raises it by itself, partition by
    /// partition, wherever its numbers start again (KIP-360).
    pub epoch: i16,
}

/// Which record of its producer a record is in its partition. After 2³¹-1 comes 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Number(i32);

impl Number {
    /// The number of a field, which is none if it is negative.
    pub fn new(field: i32) -> Option<Self> {
        (field >= 0).then_some(Self(field))
    }

    /// The number so many records later.
    pub fn after(self, count: u32) -> Self {
        Self((self.0 as u32).wrapping_add(count) as i32 & i32::MAX)
    }

    /// The number as a field.
    pub fn field(self) -> i32 {
        self.0
    }
}

/// What a batch says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// Whose it is.
    pub producer: Identity,
    /// The number of its first record.
    pub first: Number,
    /// How many records it has.
    pub count: u32,
}

/// A batch whose header claims a producer but not a proper number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsound;

impl Numbered {
    /// What a batch's header says; none if its producer does not number its batches.
    pub fn of(header: &BatchHeader) -> Result<Option<Self>, Unsound> {
        if header.producer_id < 0 {
            return Ok(None);
        }
        let first = Number::new(header.base_sequence).ok_or(Unsound)?;
        let count = u32::try_from(header.count).ok().filter(|it| *it > 0).ok_or(Unsound)?;
        if header.producer_epoch < 0 {
            return Err(Unsound);
        }
        let producer = Identity { id: header.producer_id, epoch: header.producer_epoch };
        Ok(Some(Self { producer, first, count }))
    }

    /// As it is written into a batch.
    pub fn stamp(&self) -> Stamp {
        Stamp {
            producer_id: self.producer.id,
            producer_epoch: self.producer.epoch,
            base_sequence: self.first.field(),
            transactional: false,
        }
    }

    /// The number of the record that follows the batch.
    pub fn next(&self) -> Number {
        self.first.after(self.count)
    }
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the batch names a producer, but has no epoch, sequence number or records")
    }
}

impl std::error::Error for Unsound {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_last_number_comes_zero() {
        let number = |it| Number::new(it).expect("it is not negative");
        assert_eq!(number(7).after(3), number(10));
        assert_eq!(number(i32::MAX).after(1), number(0));
        assert_eq!(number(i32::MAX - 1).after(5), number(3));
        assert_eq!(Number::new(-1), None);
    }
}
