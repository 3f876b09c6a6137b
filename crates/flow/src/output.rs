//! What a flow hands to its sinks.

use bytes::Bytes;

use crate::Record;

/// A value on its way to a sink, and the record it was made from.
#[derive(Debug, Clone)]
pub struct Output {
    record: Record,
    value: Value,
    format: Format,
}

/// Where an output's value comes from.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// It is the record's own, to the byte.
    AsReceived,
    /// A step made it.
    Made(Bytes),
}

/// What an output's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON document.
    Json,
    /// UTF-8.
    Text,
    /// Anything.
    Bytes,
}

impl Output {
    pub(crate) fn new(record: Record, value: Value, format: Format) -> Self {
        Self { record, value, format }
    }

    /// A record as it was received, whatever it is.
    pub fn as_received(record: Record) -> Self {
        Self::new(record, Value::AsReceived, Format::Bytes)
    }

    /// The same, said to be of a format.
    #[must_use]
    pub fn as_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// The record it was made from: place, key, timestamp and headers are that record's.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The value; none is a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        match &self.value {
            Value::AsReceived => self.record.value(),
            Value::Made(bytes) => Some(bytes),
        }
    }

    /// The value as bytes that need not be copied.
    pub fn value_bytes(&self) -> Option<Bytes> {
        match &self.value {
            Value::AsReceived => self.record.value_bytes(),
            Value::Made(bytes) => Some(bytes.clone()),
        }
    }

    /// What the value is.
    pub fn format(&self) -> Format {
        self.format
    }
}
