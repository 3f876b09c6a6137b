//! What a flow from a file does to a record: decode its value, then filters and maps in turn.
//!
//! All of it runs to its end without waiting for anything.

mod decode;
mod jq;
mod json;
#[cfg(test)]
mod tests;

use crate::{
    Failure, Record,
    output::{Format, Output, Value},
};

pub use decode::Decode;
use jaq_json::Val;
use jq::Globals;
pub use jq::{Fault, Program};

/// One step.
#[derive(Debug)]
pub enum Step {
    /// Goes on only if the first result is neither false nor null.
    Filter(Program),
    /// Goes on with each result as a record's value, in their order.
    Map(Program),
}

impl Step {
    fn program(&self) -> &Program {
        match self {
            Self::Filter(program) | Self::Map(program) => program,
        }
    }
}

/// A record gives no more results than this: one that would is a slip in a map, and fails.
const RESULTS_MAX: usize = 10_000;

/// Takes a record through the steps. What comes out is in order, and may be nothing.
///
/// # Errors
/// If the value is not what it should be, or a step fails.
pub(crate) fn run(record: &Record, decode: Decode, steps: &[Step]) -> Result<Vec<Output>, Failure> {
    let Some(bytes) = record.value() else {
        // A tombstone has no value to decode; in jq it is null.
        return pass(record, decode, steps, Val::Null);
    };
    if steps.is_empty() {
        decode.check(bytes)?;
        return Ok(vec![Output::new(record.clone(), Value::AsReceived, decode.format())]);
    }
    pass(record, decode, steps, decode.value(bytes)?)
}

fn pass(record: &Record, decode: Decode, steps: &[Step], first: Val) -> Result<Vec<Output>, Failure> {
    let globals = Globals::of(record, steps);
    // Until a map makes new ones, the value goes on as it was received, to the byte.
    let mut mapped = false;
    let mut values = vec![first];
    for step in steps {
        match step {
            Step::Filter(program) => {
                let mut kept = Vec::with_capacity(values.len());
                for value in values {
                    if program.holds(&globals, value.clone())? {
                        kept.push(value);
                    }
                }
                values = kept;
            }
            Step::Map(program) => {
                mapped = true;
                let mut results = Vec::new();
                for value in values {
                    program.run(&globals, value, RESULTS_MAX, &mut results)?;
                }
                values = results;
            }
        }
    }
    if !mapped {
        let format = if record.value().is_some() { decode.format() } else { Format::Json };
        return Ok(values.iter().map(|_| Output::new(record.clone(), Value::AsReceived, format)).collect());
    }
    values.iter().map(|value| Ok(made(record, decode.encode(value)?))).collect()
}

fn made(record: &Record, (bytes, format): (Vec<u8>, Format)) -> Output {
    Output::new(record.clone(), Value::Made(bytes.into()), format)
}
