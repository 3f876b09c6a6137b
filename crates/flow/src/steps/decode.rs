//! What the bytes of a value are, and back to bytes.

use jaq_json::Val;

use super::json;
use crate::{Failure, output::Format};

/// What a record's value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Decode {
    /// One JSON document: UTF-8, at most 128 levels deep.
    Json,
    /// UTF-8, which in jq is a string.
    Text,
    /// Anything. In jq it is a string of bytes.
    #[default]
    Bytes,
}

impl Decode {
    /// Refuses what is not what it should be.
    pub(super) fn check(self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Json => json::check(text(bytes)?)
                .map_err(|fault| Failure::new(format!("the value is no JSON: {fault}"))),
            Self::Text => text(bytes).map(drop),
            Self::Bytes => Ok(()),
        }
    }

    /// The value as jq sees it.
    pub(super) fn value(self, bytes: &[u8]) -> Result<Val, Failure> {
        self.check(bytes)?;
        match self {
            Self::Json => jaq_json::read::parse_single(bytes)
                .map_err(|error| Failure::new(format!("the value is no JSON: {error}"))),
            Self::Text => Ok(Val::utf8_str(bytes.to_vec())),
            Self::Bytes => Ok(Val::byte_str(bytes.to_vec())),
        }
    }

    /// What a map made, as bytes: JSON, save that strings stay plain where values are text or bytes.
    pub(super) fn encode(self, value: &Val) -> Result<(Vec<u8>, Format), Failure> {
        match (self, value) {
            (Self::Text | Self::Bytes, Val::TStr(text)) => Ok((text.to_vec(), Format::Text)),
            (Self::Bytes, Val::BStr(bytes)) => Ok((bytes.to_vec(), Format::Bytes)),
            _ => Ok((json::write(value)?, Format::Json)),
        }
    }

    pub(super) fn format(self) -> Format {
        match self {
            Self::Json => Format::Json,
            Self::Text => Format::Text,
            Self::Bytes => Format::Bytes,
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(bytes).map_err(|error| Failure::new(format!("the value is no UTF-8: {error}")))
}
