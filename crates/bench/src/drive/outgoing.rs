//! What is sent, for clients that take keys and values as `Bytes`.

use bytes::Bytes;

use super::Task;
use crate::values::Values;

/// Keys, if there are to be any, and values.
#[derive(Debug)]
pub(super) struct Outgoing {
    keys: Vec<Bytes>,
    values: Vec<Bytes>,
}

impl Outgoing {
    pub(super) fn new(task: &Task) -> Self {
        let values = Values::new(task.value_bytes);
        let bytes_of = |it: &String| Bytes::copy_from_slice(it.as_bytes());
        let keys = if task.keyed { values.keys().iter().map(bytes_of).collect() } else { Vec::new() };
        Self { keys, values: values.values().iter().map(bytes_of).collect() }
    }

    /// Key and value of a record.
    #[inline]
    pub(super) fn record(&self, at: usize) -> (Option<Bytes>, Bytes) {
        let key = (!self.keys.is_empty()).then(|| self.keys[at % self.keys.len()].clone());
        (key, self.values[at % self.values.len()].clone())
    }
}
