//! Why bytes could not be packed or unpacked.

use std::fmt;

/// Why bytes could not be packed or unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompressionError {
    /// What comes out is larger than the reader allows, or than such a stream could honestly hold.
    TooLarge {
        /// The most that was allowed.
        bytes_max: usize,
    },
    /// The stream is not what it says it is.
    Broken {
        /// What the codec says.
        reason: String,
    },
    /// This build lacks a feature of the crate.
    FeatureOff {
        /// The feature to build with.
        feature: &'static str,
    },
}

impl CompressionError {
    pub(super) fn broken(error: impl fmt::Display) -> Self {
        Self::Broken { reason: error.to_string() }
    }

    pub(super) fn cut_off() -> Self {
        Self::broken("it ends too early")
    }
}

impl fmt::Display for CompressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes_max } => write!(f, "the stream unpacks to more than {bytes_max} bytes"),
            Self::Broken { reason } => write!(f, "the stream is broken: {reason}"),
            Self::FeatureOff { feature } => write!(f, "built without the feature {feature}"),
        }
    }
}

impl std::error::Error for CompressionError {}
