//! Answers of which a part is not taken yet. Records lie in the answer that they came in, so one slow partition keeps
//! what it shared with fast ones, which is counted nowhere else. When that becomes too much, what is left of an answer
//! is copied out of it: so who reads in time pays nothing.

use std::sync::{Arc, Weak};

/// An answer, for whoever keeps a part of it.
#[derive(Debug, Clone)]
pub(super) struct Answer(Arc<usize>);

impl Answer {
    pub(super) fn bytes(&self) -> usize {
        *self.0
    }

    pub(super) fn is(&self, other: &Answer) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The answers of one consumer.
#[derive(Debug)]
pub(super) struct Kept {
    answers: Vec<Weak<usize>>,
    bytes_max: usize,
}

impl Kept {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { answers: Vec::new(), bytes_max }
    }

    /// An answer has come.
    pub(super) fn begin(&mut self, bytes: usize) -> Answer {
        let answer = Arc::new(bytes);
        self.answers.push(Arc::downgrade(&answer));
        Answer(answer)
    }

    /// Whether the answers of which a part is left have more bytes together than may be kept.
    pub(super) fn is_too_much(&mut self) -> bool {
        self.answers.retain(|it| it.strong_count() > 0);
        let bytes: usize = self.answers.iter().filter_map(Weak::upgrade).map(|it| *it).sum();
        bytes > self.bytes_max
    }
}
