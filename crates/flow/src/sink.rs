//! Where a flow's records may go.

use std::{future::Future, pin::Pin};

use crate::{Failure, Output};

/// A future that is given away.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place that takes outputs. Workers call it side by side; outputs of one key are never in two calls at a time
/// where the flow keeps order by key.
pub trait Sink: Send + Sync {
    /// Takes outputs in their order, and says of each what became of it. What it took may still wait for
    /// [`Sink::flush`] to be safe.
    fn deliver<'a>(&'a self, outputs: &'a [Output]) -> BoxFuture<'a, Vec<Result<(), Failure>>>;

    /// Completes once all that was delivered before is safe: a commit then counts on it.
    fn flush(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
