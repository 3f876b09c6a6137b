//! A batch from the time when it takes no more records until it is done.

use vltava_wire::record::Stamp;

use super::{
    batches::BatchId,
    divide::{self, Fate},
    outgoing::{Body, Outgoing},
    sequence::Part,
};
use crate::cluster::TopicPartition;

/// A batch that takes no more records.
#[derive(Debug)]
pub(super) struct Closed<T> {
    pub(super) ticket: T,
    /// Which of all batches it is, or is part of.
    pub(super) serial: u64,
    /// The place of its first record in the batch that it is part of.
    pub(super) first: u32,
    /// None while it is being packed.
    pub(super) body: Option<Body>,
    pub(super) count: u32,
    pub(super) bytes: usize,
}

impl<T: Clone> Closed<T> {
    /// A part of it, to go on or to fail by itself.
    pub(super) fn part(&self, part: divide::Part) -> Part<Self> {
        let divide::Part { first, count, fate } = part;
        let (bytes, body, refused) = match fate {
            Fate::Goes(builder) => (builder.bytes(), Some(Body::Open(builder)), None),
            Fate::Fails(reason) => (0, None, Some(reason)),
        };
        let (ticket, serial, first) = (self.ticket.clone(), self.serial, self.first + first);
        Part { payload: Self { ticket, serial, first, body, count, bytes }, count, refused }
    }

    /// The batch on its way out.
    pub(super) fn outgoing(&mut self, id: BatchId, partition: &TopicPartition, stamp: Stamp) -> Outgoing {
        let body = self.body.take().expect("a batch that was sent before was kept");
        if let Body::Packed(bytes, stamp) = &body {
            self.body = Some(Body::Packed(bytes.clone(), *stamp));
        }
        Outgoing { id, partition: partition.clone(), stamp, body }
    }
}
