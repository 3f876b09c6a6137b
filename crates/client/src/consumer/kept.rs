//! Answers of which a part is not taken yet. Records lie in the answer that they came in, so one slow partition keeps
//! what it shared with fast ones, which is counted nowhere else. When that becomes too much, what is left of the most
//! wasteful answers is copied out of them: so who reads in time pays nothing, and an answer of which most is left,
//! nothing either. What is kept is at most twice of what is left to be read, or as much as may be kept.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Weak},
};

/// An answer, for whoever keeps a part of it.
#[derive(Debug, Clone)]
pub(super) struct Answer(Arc<Whole>);

#[derive(Debug)]
struct Whole {
    number: u64,
    bytes: usize,
}

impl Answer {
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes
    }

    pub(super) fn is(&self, other: &Answer) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The answers of one consumer.
#[derive(Debug)]
pub(super) struct Kept {
    answers: Vec<Weak<Whole>>,
    begun: u64,
    bytes_max: usize,
}

impl Kept {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { answers: Vec::new(), begun: 0, bytes_max }
    }

    /// An answer has come.
    pub(super) fn begin(&mut self, bytes: usize) -> Answer {
        self.begun += 1;
        let answer = Arc::new(Whole { number: self.begun, bytes });
        self.answers.push(Arc::downgrade(&answer));
        Answer(answer)
    }

    /// Whether the answers of which a part is left have more bytes together than may be kept.
    pub(super) fn is_too_much(&mut self) -> bool {
        self.answers.retain(|it| it.strong_count() > 0);
        self.bytes() > self.bytes_max
    }

    /// The answers to copy out of what is left of them, which is what `parts` tell: those of which less than half is
    /// left, the most wasteful first, until it is not too much any more.
    pub(super) fn wasteful(&self, parts: impl IntoIterator<Item = (Answer, usize)>) -> Vec<Answer> {
        let mut left: BTreeMap<u64, (Answer, usize)> = BTreeMap::new();
        for (answer, bytes) in parts {
            left.entry(answer.0.number).or_insert((answer, 0)).1 += bytes;
        }
        let wasteful = left.into_values().filter(|(answer, left)| *left < answer.bytes() / 2);
        let mut wasteful: Vec<_> = wasteful.map(|(answer, left)| (answer.bytes() - left, answer)).collect();
        wasteful.sort_by_key(|it| Reverse(it.0));
        let mut bytes = self.bytes();
        let needed = wasteful.into_iter().take_while(|(waste, _)| {
            let is_too_much = bytes > self.bytes_max;
            bytes -= waste;
            is_too_much
        });
        needed.map(|it| it.1).collect()
    }

    fn bytes(&self) -> usize {
        self.answers.iter().filter_map(Weak::upgrade).map(|it| it.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these answers are copied, when so much may be kept: of each, its bytes and what is left of them.
    fn copied(bytes_max: usize, answers: &[(usize, &[usize])]) -> Vec<usize> {
        let mut kept = Kept::new(bytes_max);
        let begun: Vec<_> = answers.iter().map(|it| kept.begin(it.0)).collect();
        let parts = begun.iter().zip(answers);
        let parts = parts.flat_map(|(answer, it)| it.1.iter().map(|bytes| (answer.clone(), *bytes)));
        let wasteful = kept.wasteful(parts);
        let index = |it: &Answer| begun.iter().position(|answer| answer.is(it)).expect("it is one of them");
        wasteful.iter().map(index).collect()
    }

    #[test]
    fn an_answer_of_which_half_is_left_is_not_copied_however_many_share_it() {
        let whole: &[usize] = &[25; 4];
        assert_eq!(copied(100, &[(100, whole), (100, whole)]), []);
        assert_eq!(copied(100, &[(100, &[25, 25]), (100, &[25, 24])]), [1]);
    }

    #[test]
    fn the_most_wasteful_are_copied_and_no_more_than_has_to_be() {
        let answers: [(usize, &[usize]); 4] = [(100, &[20]), (100, &[100]), (100, &[5, 5]), (100, &[30])];
        assert_eq!(copied(400, &answers), []);
        assert_eq!(copied(399, &answers), [2]);
        assert_eq!(copied(310, &answers), [2]);
        assert_eq!(copied(309, &answers), [2, 0]);
        assert_eq!(copied(0, &answers), [2, 0, 3]);
    }

    #[test]
    fn what_nobody_has_a_part_of_is_not_kept() {
        let mut kept = Kept::new(100);
        let (first, second) = (kept.begin(80), kept.begin(80));
        assert!(kept.is_too_much());
        drop(first);
        assert!(!kept.is_too_much());
        drop(second);
    }
}
