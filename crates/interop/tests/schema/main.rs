//! The tables of `wire` are those of Apache Kafka 4.3: its message definitions and error codes, as they come in the
//! jar of its own clients, say the same of every message, field by field.
//!
//! What differs on purpose is listed, with reasons, in [`meant`]; a difference that is not there fails, and so does an
//! entry that differs no more. The jar is fetched from Maven Central by `kafka/cluster`.

mod definition;
mod difference;
mod errors;
mod headers;
mod jar;
mod meant;
mod messages;
mod ranges;
mod row;
mod table;
