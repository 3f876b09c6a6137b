//! A batch on its way out of the machine: to be packed, numbered and sent.

use bytes::Bytes;
use vltava_wire::{
    Compressor,
    record::{BatchBuilder, RecordError, Stamp, restamp},
};

use super::batches::BatchId;
use crate::cluster::TopicPartition;

/// A batch to send.
#[derive(Debug)]
pub struct Outgoing {
    /// To be given back with what came of it.
    pub id: BatchId,
    /// Where it belongs.
    pub partition: TopicPartition,
    pub(super) stamp: Stamp,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Open(BatchBuilder),
    Packed(Bytes, Stamp),
}

impl Body {
    /// What was packed, if it was.
    pub(super) fn packed(self) -> Option<Bytes> {
        match self {
            Self::Open(_) => None,
            Self::Packed(bytes, _) => Some(bytes),
        }
    }
}

impl Outgoing {
    /// Packs the batch, unless it was packed before, and writes its number into it. This takes time, so the owner does
    /// it where nobody waits. The bytes are then given to [`Batches::keep`](super::Batches::keep), for the case that
    /// they are sent again; the error to [`Batches::on_unsendable`](super::Batches::on_unsendable). Until then no other
    /// batch of the partition is handed out.
    pub fn encode(self, compressor: &mut Compressor) -> Result<Bytes, RecordError> {
        match self.body {
            Body::Open(builder) => builder.finish_with(self.stamp, compressor),
            Body::Packed(bytes, stamp) if stamp == self.stamp => Ok(bytes),
            Body::Packed(bytes, _) => Ok(restamp(&bytes, self.stamp)),
        }
    }

    /// How long it is, before its records are packed or after, whichever it is.
    pub fn bytes(&self) -> usize {
        match &self.body {
            Body::Open(builder) => builder.bytes(),
            Body::Packed(bytes, _) => bytes.len(),
        }
    }

    /// Under which number it goes out.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }
}
