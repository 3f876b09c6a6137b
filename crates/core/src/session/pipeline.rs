//! What was asked on one connection and is not answered yet.
//!
//! A broker answers the requests of a connection in their order. So an answer belongs to the oldest request, and
//! when the connection breaks, whatever is left has an unknown fate, unless it was never written.

use std::{collections::VecDeque, fmt, time::Duration};

use vltava_wire::Api;

use crate::Moment;

/// The requests of one connection, oldest first. `T` is what the owner wants back with an answer.
#[derive(Debug)]
pub struct Pipeline<T> {
    next: i32,
    sent: VecDeque<Sent<T>>,
    /// How many of `sent`, counted from the oldest, have been handed to the socket, wholly or in part.
    written: usize,
}

/// A request that waits for its answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent<T> {
    /// The number by which the answer names it.
    pub correlation_id: i32,
    /// What was asked.
    pub api: Api,
    /// The version in which it was asked, and will be answered.
    pub version: i16,
    /// When waiting ends.
    pub deadline: Moment,
    /// The owner's.
    pub tag: T,
}

/// What a broken connection leaves of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was never written: the broker has not done it.
    NotSent,
    /// It was written, at least in part: the broker may have done it.
    Unknown,
}

/// A request that a broken connection left without an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut<T> {
    /// What may have become of it.
    pub fate: Fate,
    /// The owner's.
    pub tag: T,
}

/// An answer that belongs to no request, or not to the oldest: nothing on this connection can be trusted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unexpected {
    /// What the answer says.
    pub correlation_id: i32,
    /// What the oldest request says, if there is one.
    pub expected: Option<i32>,
}

impl<T> Default for Pipeline<T> {
    fn default() -> Self {
        Self { next: 0, sent: VecDeque::new(), written: 0 }
    }
}

impl<T> Pipeline<T> {
    /// Takes a request that is to be written behind all others; gives its correlation id.
    pub fn push(&mut self, api: Api, version: i16, deadline: Moment, tag: T) -> i32 {
        let correlation_id = self.next_id();
        self.sent.push_back(Sent { correlation_id, api, version, deadline, tag });
        correlation_id
    }

    /// The correlation id that the next request will get, for writing it before it is taken.
    pub fn coming_id(&self) -> i32 {
        self.next
    }

    /// The correlation id of a request that no answer will come to, as to Produce without acknowledgement.
    pub fn next_id(&mut self) -> i32 {
        let id = self.next;
        self.next = self.next.wrapping_add(1) & i32::MAX;
        id
    }

    /// All requests up to this one are about to be handed to the socket; from here on the broker may act on them.
    pub fn on_write(&mut self, correlation_id: i32) {
        let Some(index) = self.sent.iter().position(|it| it.correlation_id == correlation_id) else { return };
        self.written = self.written.max(index + 1);
    }

    /// What the next answer has to be an answer to, if one is due.
    pub fn awaited(&self) -> Option<Api> {
        self.sent.front().map(|it| it.api)
    }

    /// An answer has come: gives the request it belongs to.
    pub fn on_answer(&mut self, correlation_id: i32) -> Result<Sent<T>, Unexpected> {
        let expected = self.sent.front().map(|it| it.correlation_id);
        if expected != Some(correlation_id) || self.written == 0 {
            return Err(Unexpected { correlation_id, expected });
        }
        self.written -= 1;
        Ok(self.sent.pop_front().expect("there is an oldest request"))
    }

    /// The connection is gone: gives what was left without an answer, oldest first.
    pub fn cut(&mut self) -> Vec<Cut<T>> {
        let written = std::mem::take(&mut self.written);
        let fate = |index| if index < written { Fate::Unknown } else { Fate::NotSent };
        self.sent.drain(..).enumerate().map(|(index, it)| Cut { fate: fate(index), tag: it.tag }).collect()
    }

    /// A request whose answer is overdue. The answers behind it cannot come before it does, so the connection is to
    /// be closed.
    pub fn overdue(&self, now: Moment) -> Option<&Sent<T>> {
        self.sent.iter().find(|it| it.deadline <= now)
    }

    /// When something will be overdue.
    pub fn deadline(&self) -> Option<Moment> {
        self.sent.iter().map(|it| it.deadline).min()
    }

    /// The broker has said that it does not read for so long: what it was sent has so much longer.
    pub fn postpone(&mut self, by: Duration) {
        self.sent.iter_mut().for_each(|it| it.deadline += by);
    }

    /// How many requests wait for an answer.
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether every request is answered.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expected {
            Some(expected) => {
                write!(f, "the answer is to request {}, not to {expected}", self.correlation_id)
            }
            None => write!(f, "the answer is to request {}, and none is open", self.correlation_id),
        }
    }
}

impl std::error::Error for Unexpected {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(deadlines: &[u64]) -> Pipeline<u64> {
        let mut pipeline = Pipeline::default();
        for (expected, &deadline) in deadlines.iter().enumerate() {
            let id = pipeline.push(Api::Metadata, 9, Moment(deadline), deadline);
            assert_eq!(id, expected as i32);
        }
        pipeline
    }

    #[test]
    fn answers_come_in_the_order_of_the_requests() {
        let mut pipeline = pipeline(&[10, 11]);
        pipeline.on_write(1);
        assert_eq!(pipeline.on_answer(0).map(|it| it.tag), Ok(10));
        assert_eq!(pipeline.on_answer(1).map(|it| it.tag), Ok(11));
        assert!(pipeline.is_empty());
    }

    #[test]
    fn an_answer_out_of_order_is_refused() {
        let mut pipeline = pipeline(&[10, 11]);
        pipeline.on_write(1);
        let refused = Err(Unexpected { correlation_id: 1, expected: Some(0) });
        assert_eq!(pipeline.on_answer(1), refused);
        assert_eq!(pipeline.len(), 2);
    }

    #[test]
    fn an_answer_to_what_was_not_written_is_refused() {
        let mut pipeline = pipeline(&[10]);
        assert!(pipeline.on_answer(0).is_err());
        assert!(Pipeline::<()>::default().on_answer(0).is_err());
    }

    #[test]
    fn a_cut_tells_what_was_written_from_what_was_not() {
        let mut pipeline = pipeline(&[10, 11, 12]);
        pipeline.on_write(1);
        let (unknown, not_sent) = (Fate::Unknown, Fate::NotSent);
        let expected = [(unknown, 10), (unknown, 11), (not_sent, 12)].map(|(fate, tag)| Cut { fate, tag });
        assert_eq!(pipeline.cut(), expected);
        assert!(pipeline.is_empty());
        pipeline.push(Api::Metadata, 9, Moment(13), 13);
        assert_eq!(pipeline.cut(), [Cut { fate: not_sent, tag: 13 }]);
    }

    #[test]
    fn what_was_answered_is_not_cut() {
        let mut pipeline = pipeline(&[10, 11]);
        pipeline.on_write(1);
        assert!(pipeline.on_answer(0).is_ok());
        assert_eq!(pipeline.cut(), [Cut { fate: Fate::Unknown, tag: 11 }]);
    }

    #[test]
    fn the_earliest_deadline_counts_wherever_it_is() {
        let pipeline = pipeline(&[30, 10, 20]);
        assert_eq!(pipeline.deadline(), Some(Moment(10)));
        assert_eq!(pipeline.overdue(Moment(9)), None);
        assert_eq!(pipeline.overdue(Moment(10)).map(|it| it.correlation_id), Some(1));
    }

    #[test]
    fn a_broker_that_rests_has_longer_to_answer() {
        let mut pipeline = pipeline(&[30, 10]);
        pipeline.postpone(Duration::from_micros(5));
        assert_eq!(pipeline.deadline(), Some(Moment(15)));
        assert_eq!(pipeline.overdue(Moment(14)), None);
    }

    #[test]
    fn a_request_without_an_answer_takes_a_number_and_nothing_else() {
        let mut pipeline = pipeline(&[10]);
        assert_eq!(pipeline.next_id(), 1);
        assert_eq!(pipeline.coming_id(), 2);
        assert_eq!(pipeline.push(Api::Metadata, 9, Moment(11), 11), 2);
        assert_eq!(pipeline.len(), 2);
    }

    #[test]
    fn numbers_start_again_at_zero_and_are_never_negative() {
        let mut pipeline = Pipeline::<()> { next: i32::MAX, ..Pipeline::default() };
        assert_eq!([pipeline.next_id(), pipeline.next_id()], [i32::MAX, 0]);
    }
}
