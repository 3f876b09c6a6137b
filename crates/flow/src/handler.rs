//! What a user of the library writes: what is to be done with a record.

use std::{future, sync::Arc};

use vltava_client::{Client, TopicPartition};

use crate::{Failure, Record};

/// What became of a record that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is dealt with.
    Done,
    /// There was nothing to do with it. Counts as dealt with.
    Skip,
}

/// What is to be done with records, and, if it matters, with partitions that come and go.
///
/// A record whose handling is cut short, because its partition has to be given back and the time is up, is not
/// counted as done: the next owner gets it again.
pub trait Handler: Send + Sync + 'static {
    /// Deals with a record. Calls run side by side, as many as the flow has workers and its order allows.
    fn handle(
        &self,
        context: Context,
        record: Record,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send;

    /// Completes once all that was handled before is safe: a commit then counts on it.
    fn flush(&self) -> impl Future<Output = Result<(), Failure>> + Send {
        future::ready(Ok(()))
    }

    /// These partitions are ours; their records come once this is done.
    fn assigned(&self, partitions: &[TopicPartition]) -> impl Future<Output = ()> + Send {
        let _ = partitions;
        future::ready(())
    }

    /// These partitions were given back: drained and committed. The group waits for this, until its deadline.
    fn revoked(&self, partitions: &[TopicPartition]) -> impl Future<Output = ()> + Send {
        let _ = partitions;
        future::ready(())
    }

    /// These partitions were taken away: what was done since the last commit will be done again by another.
    fn lost(&self, partitions: &[TopicPartition]) -> impl Future<Output = ()> + Send {
        let _ = partitions;
        future::ready(())
    }
}

/// What a handler may use besides its record. A clone costs a reference count.
#[derive(Debug, Clone)]
pub struct Context(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    group: String,
}

impl Context {
    pub(crate) fn new(client: Client, group: String) -> Self {
        Self(Arc::new(Shared { client, group }))
    }

    /// The client the flow runs on, to produce with, for example.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// The flow's consumer group.
    pub fn group(&self) -> &str {
        &self.0.group
    }
}

/// A closure as a handler.
pub(crate) struct Each<C>(pub(crate) C);

impl<C, F> Handler for Each<C>
where
    C: Fn(Context, Record) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Outcome, Failure>> + Send + 'static,
{
    fn handle(
        &self,
        context: Context,
        record: Record,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send {
        (self.0)(context, record)
    }
}
