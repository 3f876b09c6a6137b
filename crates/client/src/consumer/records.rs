//! Batches and records as streams, for whoever combines them with others.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::{AssignedConsumer, Consumer, ConsumerRecord, PartitionStream, RecordBatch};
use crate::error::Result;

/// The records of a consumer or of one partition as a [`Stream`], from wherever it stands; see
/// [`Consumer::records`], [`AssignedConsumer::records`] and [`PartitionStream::records`].
#[derive(Debug)]
pub struct RecordStream<'a, S>(pub(super) &'a mut S);

/// What records come from.
pub trait Source {
    /// The next record; none at the end.
    fn poll_record(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ConsumerRecord>>>;
}

impl<S: Source> Stream for RecordStream<'_, S> {
    type Item = Result<ConsumerRecord>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_record(cx)
    }
}

impl Source for PartitionStream {
    fn poll_record(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ConsumerRecord>>> {
        self.poll_recv(cx)
    }
}

impl Source for AssignedConsumer {
    fn poll_record(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ConsumerRecord>>> {
        self.poll_recv(cx).map(Result::transpose)
    }
}

impl Source for Consumer {
    fn poll_record(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ConsumerRecord>>> {
        self.poll_recv(cx).map(Result::transpose)
    }
}

impl Stream for PartitionStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Self::poll_next(&mut self, cx)
    }
}

impl Stream for AssignedConsumer {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Self::poll_next(&mut self, cx).map(Result::transpose)
    }
}

impl Stream for Consumer {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Self::poll_next(&mut self, cx).map(Result::transpose)
    }
}
