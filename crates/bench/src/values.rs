//! What is in the records of every race: keys of eight digits, and values like the events that services tell each
//! other in JSON, so that compression has what it would have.

use std::fmt::Write;

/// Bytes of every key.
pub(crate) const KEY_BYTES: usize = 8;

/// Distinct records.
const DISTINCT: usize = 1_000;

/// So much is made of large values; more of them differ in nothing that matters here.
const KEPT_BYTES: usize = 8 << 20;

/// About what a record has besides key and value.
const OVERHEAD_BYTES: usize = 10;

/// Keys and values, the same for everyone.
#[derive(Debug)]
pub(crate) struct Values {
    keys: Vec<String>,
    values: Vec<String>,
    value_bytes: usize,
}

impl Values {
    pub(crate) fn new(value_bytes: usize) -> Self {
        let rng = &mut fastrand::Rng::with_seed(7);
        let distinct = (KEPT_BYTES / value_bytes.max(1)).clamp(1, DISTINCT);
        Self {
            keys: (0..DISTINCT).map(|at| format!("{at:08}")).collect(),
            values: (0..distinct).map(|_| value(value_bytes, rng)).collect(),
            value_bytes,
        }
    }

    /// Key and value of a record.
    pub(crate) fn record(&self, at: usize) -> (&[u8], &[u8]) {
        (self.keys[at % self.keys.len()].as_bytes(), self.values[at % self.values.len()].as_bytes())
    }

    pub(crate) fn keys(&self) -> &[String] {
        &self.keys
    }

    pub(crate) fn values(&self) -> &[String] {
        &self.values
    }

    /// About what a record takes in a batch.
    pub(crate) fn record_bytes(&self) -> usize {
        KEY_BYTES + self.value_bytes + OVERHEAD_BYTES
    }
}

fn value(bytes: usize, rng: &mut fastrand::Rng) -> String {
    const EVENTS: [&str; 4] = ["click", "view", "purchase", "refund"];
    const WORDS: [&str; 5] = ["alpha ", "beta ", "gamma ", "delta ", "lorem "];
    let mut text = format!(
        "{{\"id\":{},\"user\":\"user-{:05}\",\"event\":\"{}\",\"amount\":{}.{:02},\"note\":\"",
        rng.u32(..1_000_000),
        rng.u32(..10_000),
        EVENTS[rng.usize(..EVENTS.len())],
        rng.u32(..1_000),
        rng.u32(..100),
    );
    while text.len() < bytes {
        text.push_str(WORDS[rng.usize(..WORDS.len())]);
        let _ = write!(text, "{:x} ", rng.u16(..0x1000));
    }
    text.truncate(bytes);
    text
}
