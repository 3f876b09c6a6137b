//! The version a message is written in.

/// The version of an API that two ends agreed on, and whether it is a flexible one: compact lengths and tagged
/// fields, KIP-482.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The number on the wire.
    pub number: i16,
    /// Whether lengths are compact and structs end with tagged fields.
    pub flexible: bool,
}
