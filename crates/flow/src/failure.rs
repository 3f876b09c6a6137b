//! Why a record could not be dealt with.

use std::{error, fmt};

/// Made from any error by `?`. It is no `Error` itself, which is what lets `?` make it.
pub struct Failure(Box<dyn error::Error + Send + Sync>);

impl Failure {
    /// A failure told in words.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into().into())
    }

    /// The same, told with where it came from.
    pub(crate) fn within(self, place: impl fmt::Display) -> Self {
        Self::new(format!("{place}: {self}"))
    }

    /// What a handler panicked with.
    pub(crate) fn panic(payload: &(dyn std::any::Any + Send)) -> Self {
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self::new(format!("panicked: {}", message.unwrap_or("without a message")))
    }

    /// The error it was made from.
    pub fn into_source(self) -> Box<dyn error::Error + Send + Sync> {
        self.0
    }
}

impl<E: Into<Box<dyn error::Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// Prints the error with its causes.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
