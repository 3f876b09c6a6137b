//! Waiting for records no longer than a time, where none in time is no error.

use vltava_core::{Clock, Moment};

use crate::error::Result;

/// What came within a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Within<T> {
    /// This.
    Came(T),
    /// Nothing, so far.
    Nothing,
    /// Nothing, and nothing will: a member has left its group, or all that was to be read has been.
    Ended,
}

impl<T> Within<T> {
    /// What came, if anything did.
    pub fn came(self) -> Option<T> {
        match self {
            Self::Came(it) => Some(it),
            Self::Nothing | Self::Ended => None,
        }
    }

    /// Whether nothing will come any more.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }
}

/// What comes of a future that is cancel-safe, until a deadline. What is there already comes however late it is.
pub(super) async fn by<T>(
    clock: &dyn Clock,
    deadline: Moment,
    next: impl Future<Output = Result<Option<T>>>,
) -> Result<Within<T>> {
    tokio::select! {
        biased;
        next = next => next.map(|it| it.map_or(Within::Ended, Within::Came)),
        () = clock.sleep_until(deadline) => Ok(Within::Nothing),
    }
}
