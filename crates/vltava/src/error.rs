//! One error over those of the crates behind this one. Printed by `main`, it is a report for people.

use std::fmt;

/// The result of whatever a program does with vltava.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, wherever it did. `Display` is one line; `Debug`, which is what `main` prints, has the causes
/// below it and what would likely help.
#[non_exhaustive]
pub enum Error {
    /// Talking to a cluster.
    Client(crate::client::Error),
    /// Running the embedded broker.
    #[cfg(feature = "broker")]
    Broker(crate::broker::Error),
    /// Running a flow.
    #[cfg(feature = "flow")]
    Flow(crate::flow::Error),
}

impl Error {
    /// Whether the same thing may well succeed when it is tried again.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Client(error) => error.is_retriable(),
            #[cfg(feature = "broker")]
            Self::Broker(error) => error.is_retriable(),
            #[cfg(feature = "flow")]
            Self::Flow(error) => error.is_retriable(),
        }
    }

    /// What would likely help, if that is known.
    pub fn likely_fix(&self) -> Option<&str> {
        match self {
            Self::Client(error) => error.likely_fix(),
            #[cfg(feature = "broker")]
            Self::Broker(_) => None,
            #[cfg(feature = "flow")]
            Self::Flow(error) => error.as_client().and_then(crate::client::Error::likely_fix),
        }
    }

    fn inner(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            Self::Client(error) => error,
            #[cfg(feature = "broker")]
            Self::Broker(error) => error,
            #[cfg(feature = "flow")]
            Self::Flow(error) => error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.inner(), f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.inner().source();
        while let Some(error) = cause {
            write!(f, "\n  because {error}")?;
            cause = error.source();
        }
        match self.likely_fix() {
            Some(fix) => write!(f, "\n  {fix}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    /// The cause of the error inside: its own text is this one's.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner().source()
    }
}

impl From<crate::client::Error> for Error {
    fn from(error: crate::client::Error) -> Self {
        Self::Client(error)
    }
}

#[cfg(feature = "broker")]
impl From<crate::broker::Error> for Error {
    fn from(error: crate::broker::Error) -> Self {
        Self::Broker(error)
    }
}

#[cfg(feature = "flow")]
impl From<crate::flow::Error> for Error {
    fn from(error: crate::flow::Error) -> Self {
        Self::Flow(error)
    }
}
