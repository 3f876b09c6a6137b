//! The client's end: under which number each batch of one partition goes out, when it goes again, and what becomes
//! of it.
//!
//! Batches leave in order and keep their numbers over retries, so that the broker can tell a copy from a new batch.
//! A number that was given but will never be written is a gap that the broker does not forgive. Then the numbers
//! start again in a new epoch, which fences every copy that is still on its way. A batch takes part in that only
//! if all its copies are known not to be written; one that may be written fails, and says so, since a copy of it
//! under another number would not be known as one. One fails, too, behind which another is written already.

use std::{collections::VecDeque, time::Duration};

use vltava_wire::{ErrorCode, record::RecordError};

use super::{
    outcome::{Failure, Outcome, Reason, Written},
    stamp::{Identity, Number, Numbered},
    verdict::{Answer, Verdict},
};
use crate::{
    Backoff, Moment, Rng,
    planted::{Plant, planted},
    session::Fate,
};

/// How many batches of one partition may be unanswered. A broker remembers no more than this.
pub const IN_FLIGHT_MAX: usize = 5;

/// How batches go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// They have numbers, so that none is written twice or out of order. Without, a copy that is sent again may be
    /// written beside the first, and behind the next.
    pub(super) idempotent: bool,
    /// So many may be unanswered.
    pub(super) in_flight_max: usize,
}

/// The batches of one partition that are closed and not done, in the order they are written in.
#[derive(Debug)]
pub(super) struct Sequence<P> {
    rules: Rules,
    batches: VecDeque<Batch<P>>,
    next_key: u64,
    /// Under what the next batch goes out; none before the first, and when the identity is of no use any more.
    numbering: Option<Numbering>,
    renewal: Option<Renewal>,
    retired: Option<i64>,
    finished: VecDeque<(P, Outcome)>,
    backoff: Backoff,
}

#[derive(Debug)]
struct Batch<P> {
    key: u64,
    /// None once its owner was told what became of it.
    payload: Option<P>,
    count: u32,
    deadline: Moment,
    numbered: Option<Numbered>,
    state: State,
    /// A copy of it may be written already, or may be written yet.
    doubt: bool,
    failures: u32,
    error: Option<ErrorCode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be sent, not before this.
    Ready(Moment),
    /// To be sent when nothing is left before it: the broker missed something when it saw it last.
    Behind,
    /// Sent; `first` if nothing was left before it then.
    Sent {
        first: bool,
    },
    Written,
}

#[derive(Debug)]
struct Numbering {
    producer: Identity,
    next: Number,
    /// A batch was written under it. Before that one goes out at a time: Kafka takes any number from a producer that
    /// it does not know, so a second batch could overtake a first that is refused for the moment.
    proven: bool,
}

/// The numbers have to start again, as soon as nothing is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    InNewEpoch,
    AsSomebodyElse,
}

/// A part of a batch that was not taken as a whole.
#[derive(Debug)]
pub(super) struct Part<P> {
    pub(super) payload: P,
    pub(super) count: u32,
    /// Why it is not to be sent again.
    pub(super) refused: Option<Reason>,
}

/// What there is to do.
#[derive(Debug)]
pub(super) enum Todo<'a, P> {
    /// Send this, under this number.
    Send {
        key: u64,
        /// None if batches are not numbered.
        numbered: Option<Numbered>,
        payload: &'a mut P,
    },
    /// Find an identity, other than the one that is retired: there is something to send.
    Identify,
    Nothing,
}

impl<P> Sequence<P> {
    /// No batches.
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            batches: VecDeque::new(),
            next_key: 0,
            numbering: None,
            renewal: None,
            retired: None,
            finished: VecDeque::new(),
            backoff: Backoff::default(),
        }
    }

    /// Queues a batch of `count` records behind every earlier one.
    pub(super) fn push(&mut self, payload: P, count: u32, deadline: Moment) {
        self.batches.push_back(Batch {
            key: self.next_key,
            payload: Some(payload),
            count,
            deadline,
            numbered: None,
            state: State::Ready(Moment::default()),
            doubt: false,
            failures: 0,
            error: None,
        });
        self.next_key += 1;
    }

    /// Whether a further batch could be sent at once: while not, it is better left open.
    pub(super) fn has_room(&mut self) -> bool {
        self.renew();
        self.batches.len() < self.window() && self.renewal.is_none()
    }

    /// Whether there is a batch that may go out now.
    pub(super) fn is_ready(&mut self, now: Moment) -> bool {
        self.renew();
        self.ready(now).is_some()
    }

    /// The next batch to send, if one may go out now. A partition that has no numbers yet takes `identity`.
    pub(super) fn poll(&mut self, now: Moment, identity: Option<Identity>) -> Todo<'_, P> {
        self.renew();
        let Some(index) = self.ready(now) else { return Todo::Nothing };
        let numbered = match self.rules.idempotent {
            true => self.number(index, identity),
            false => None,
        };
        if self.rules.idempotent && numbered.is_none() {
            return Todo::Identify;
        }
        let batch = &mut self.batches[index];
        batch.numbered = numbered;
        batch.state = State::Sent { first: index == 0 };
        let payload = batch.payload.as_mut().expect("a batch that is ready is not given up");
        Todo::Send { key: batch.key, numbered, payload }
    }

    /// A batch is ready to be sent, unless it was given up meanwhile: then it is not sent.
    pub(super) fn on_packed(&mut self, key: u64) -> Option<&mut P> {
        let index = self.sent(key)?;
        if self.batches[index].payload.is_none() {
            self.batches[index].state = State::Ready(Moment::default());
            self.settle();
            return None;
        }
        self.batches[index].payload.as_mut()
    }

    /// The broker answered to a copy of a batch.
    pub(super) fn on_answer(&mut self, now: Moment, key: u64, answer: Answer, rng: &mut Rng) -> Verdict {
        let verdict = Verdict::from(answer.error);
        let Some(index) = self.sent(key) else { return verdict };
        let State::Sent { first } = self.batches[index].state else { unreachable!("it is sent") };
        if answer.error != ErrorCode::None {
            self.batches[index].error = Some(answer.error);
        }
        match verdict {
            Verdict::Written => self.written(index, Some(&answer)),
            Verdict::Duplicate => self.written(index, None),
            Verdict::Retry { unwritten, .. } => self.again(now, index, !unwritten, rng),
            Verdict::Gap | Verdict::Fenced if !self.rules.idempotent => {
                // Nothing was numbered, so the broker speaks of something else.
                self.give_up(index, Reason::Refused(answer.error, answer.message));
            }
            Verdict::Gap if first => {
                self.again(now, index, false, rng);
                self.renewal.get_or_insert(Renewal::InNewEpoch);
            }
            Verdict::Gap => self.batches[index].state = State::Behind,
            Verdict::Fenced => {
                self.again(now, index, false, rng);
                self.renewal = Some(Renewal::AsSomebodyElse);
            }
            Verdict::TooLarge | Verdict::Refused { .. } => {
                self.batches[index].doubt |= verdict == Verdict::Refused { unwritten: false };
                self.give_up(index, Reason::Refused(answer.error, answer.message));
            }
            Verdict::Fatal => {
                self.batches[index].state = State::Ready(Moment::default());
                self.fail(answer.error);
            }
        }
        self.settle();
        verdict
    }

    /// A batch that is sent, unless it was given up meanwhile.
    pub(super) fn payload(&self, key: u64) -> Option<&P> {
        self.batches[self.sent(key)?].payload.as_ref()
    }

    /// The broker did not take a batch as a whole: it goes on in parts, in the same place and, unless some are
    /// refused, under the same numbers.
    pub(super) fn divide(&mut self, key: u64, parts: impl FnOnce(P) -> Vec<Part<P>>) {
        let Some(index) = self.sent(key) else { return };
        let Some(whole) = self.batches.remove(index) else { return };
        let mut numbered = whole.numbered;
        let parts = whole.payload.map_or_else(Vec::new, parts);
        if whole.numbered.is_some() && parts.iter().any(|it| it.refused.is_some()) {
            self.renewal.get_or_insert(Renewal::InNewEpoch);
        }
        let mut at = index;
        for Part { payload, count, refused } in parts {
            if let Some(reason) = refused {
                let failure = Failure { reason, maybe_written: whole.doubt };
                self.finished.push_back((payload, Err(failure)));
                continue;
            }
            let number = numbered.map(|it| Numbered { count, ..it });
            numbered = number.map(|it| Numbered { first: it.next(), ..it });
            let (key, state) = (self.next_key, State::Ready(Moment::default()));
            self.next_key += 1;
            self.batches
                .insert(at, Batch { key, payload: Some(payload), count, numbered: number, state, ..whole });
            if !planted(Plant::PartsReversed) {
                at += 1;
            }
        }
        self.settle();
    }

    /// The connection broke before an answer to a copy of a batch came.
    pub(super) fn on_cut(&mut self, now: Moment, key: u64, fate: Fate, rng: &mut Rng) {
        let Some(index) = self.sent(key) else { return };
        self.again(now, index, fate == Fate::Unknown, rng);
        self.settle();
    }

    /// A batch could not be packed, and so was not sent.
    pub(super) fn on_unsendable(&mut self, key: u64, error: RecordError) {
        let Some(index) = self.sent(key) else { return };
        self.give_up(index, Reason::Encoding(error));
        self.settle();
    }

    /// Gives up what is overdue, and what is left behind if the numbers start again. What is in flight then keeps its
    /// place until its answer comes.
    pub(super) fn expire(&mut self, now: Moment) {
        // A record may have waited before it was pushed, so the first batch is not always due first.
        let is_due = |it: &Batch<P>| it.payload.is_some() && it.deadline <= now;
        while let Some(index) = self.batches.iter().position(is_due) {
            let is_sent = matches!(self.batches[index].state, State::Sent { .. });
            if is_sent && planted(Plant::DeadlineIgnored) {
                break;
            }
            let error = self.batches[index].error;
            self.give_up(index, Reason::Expired(error));
        }
        self.settle();
        self.renew();
    }

    /// Gives up everything.
    pub(super) fn fail(&mut self, error: ErrorCode) {
        self.give_up_all(&Reason::Fatal(error));
    }

    /// Gives up everything, unless there are numbers to go on with.
    pub(super) fn on_no_identity(&mut self) {
        if self.numbering.is_none() {
            self.give_up_all(&Reason::Anonymous);
        }
    }

    /// Gives up everything that is not done; what comes later goes on.
    pub(super) fn purge(&mut self) {
        self.give_up_all(&Reason::Purged);
    }

    /// The next batch that is done, and how.
    pub(super) fn finished(&mut self) -> Option<(P, Outcome)> {
        self.finished.pop_front()
    }

    /// When `poll` and `expire` may have something to do.
    pub(super) fn deadlines(&self) -> [Option<Moment>; 2] {
        let expiry = self.batches.iter().filter(|it| it.payload.is_some()).map(|it| it.deadline).min();
        let due = self.next().and_then(|it| match self.batches[it].state {
            State::Ready(at) => Some(at),
            _ => None,
        });
        [expiry, due]
    }

    /// Whether every batch is done and nothing is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// What is waiting to be done, in order.
    pub(super) fn payloads(&self) -> impl Iterator<Item = &P> {
        self.batches.iter().filter_map(|it| it.payload.as_ref())
    }

    /// The id under which nothing can be written any more, if its owner still has it.
    pub(super) fn retired(&self) -> Option<i64> {
        self.retired
    }

    fn index(&self, key: u64) -> Option<usize> {
        self.batches.iter().position(|it| it.key == key)
    }

    fn sent(&self, key: u64) -> Option<usize> {
        self.index(key).filter(|it| matches!(self.batches[*it].state, State::Sent { .. }))
    }

    /// The next batch in order that is to be sent. It is never passed over: what is behind it waits too.
    fn next(&self) -> Option<usize> {
        let waits = |it: &Batch<P>| matches!(it.state, State::Ready(_) | State::Behind);
        let next = self.batches.iter().take(self.window()).position(waits);
        next.filter(|_| self.renewal.is_none())
    }

    /// How many batches may be unanswered.
    fn window(&self) -> usize {
        let alone = self.rules.idempotent && self.numbering.as_ref().is_none_or(|it| !it.proven);
        if alone { 1 } else { self.rules.in_flight_max }
    }

    /// The next batch, if it may go out now.
    fn ready(&self, now: Moment) -> Option<usize> {
        let index = self.next()?;
        let may_go = match self.batches[index].state {
            State::Ready(at) => at <= now,
            _ => index == 0,
        };
        may_go.then_some(index)
    }

    /// The number of a batch, which it keeps, or gets.
    fn number(&mut self, index: usize, identity: Option<Identity>) -> Option<Numbered> {
        let Batch { numbered, count, .. } = self.batches[index];
        if numbered.is_some() && !planted(Plant::RetryRenumbered) {
            return numbered;
        }
        if self.numbering.is_none() {
            let producer = identity.filter(|it| Some(it.id) != self.retired)?;
            self.numbering = Some(Numbering { producer, next: Number::default(), proven: false });
        }
        let numbering = self.numbering.as_mut()?;
        let numbered = Numbered { producer: numbering.producer, first: numbering.next, count };
        numbering.next = numbered.next();
        Some(numbered)
    }

    fn written(&mut self, index: usize, answer: Option<&Answer>) {
        let batch = &mut self.batches[index];
        batch.state = State::Written;
        if let Some(numbering) = &mut self.numbering {
            numbering.proven |= batch.numbered.is_some_and(|it| it.producer == numbering.producer);
        }
        let known = |field: i64| (field >= 0).then_some(field);
        let written = Written {
            base_offset: answer.and_then(|it| known(it.base_offset)),
            log_append_time: answer.and_then(|it| known(it.log_append_time)),
        };
        self.finished.extend(batch.payload.take().map(|it| (it, Ok(written))));
    }

    fn again(&mut self, now: Moment, index: usize, doubt: bool, rng: &mut Rng) {
        let batch = &mut self.batches[index];
        batch.failures += 1;
        batch.doubt |= doubt;
        batch.state = State::Ready(now + self.backoff.after(batch.failures, rng));
        if planted(Plant::RetryForgotten) {
            batch.state = State::Ready(now + Duration::from_secs(86_400));
        }
    }

    /// Tells the owner that a batch is given up. If it has a number, that is a gap, so numbers start again.
    fn give_up(&mut self, index: usize, reason: Reason) {
        let batch = &mut self.batches[index];
        let in_flight = matches!(batch.state, State::Sent { .. });
        let answered = matches!(reason, Reason::Refused(..) | Reason::Encoding(_));
        let maybe_written = (batch.doubt || (in_flight && !answered)) && !planted(Plant::FailedInDoubt);
        let mut outcome = Err(Failure { reason, maybe_written });
        if planted(Plant::DeliveredInDoubt) && maybe_written {
            outcome = Ok(Written { base_offset: None, log_append_time: None });
        }
        self.finished.extend(batch.payload.take().map(|it| (it, outcome)));
        if let Some(numbered) = batch.numbered {
            match &mut self.numbering {
                Some(it) if planted(Plant::SequenceReused) => it.next = numbered.first,
                _ => drop(self.renewal.get_or_insert(Renewal::InNewEpoch)),
            }
        }
        if answered {
            batch.state = State::Ready(Moment::default());
        }
    }

    fn give_up_all(&mut self, reason: &Reason) {
        while let Some(index) = self.batches.iter().position(|it| it.payload.is_some()) {
            self.give_up(index, reason.clone());
        }
        self.settle();
    }

    /// Lets go of what is done and no longer in the way.
    fn settle(&mut self) {
        let gone =
            |it: &Batch<P>| it.payload.is_none() && matches!(it.state, State::Ready(_) | State::Behind);
        self.batches.retain(|it| !gone(it));
        while self.batches.front().is_some_and(|it| it.state == State::Written) {
            self.batches.pop_front();
        }
    }

    /// Starts the numbers again, if they have to and nothing is in flight.
    fn renew(&mut self) {
        if self.batches.iter().any(|it| matches!(it.state, State::Sent { .. })) {
            return;
        }
        let Some(renewal) = self.renewal.take() else { return };
        while let Some((index, reason)) = self.left_behind() {
            self.give_up(index, reason);
            self.renewal = None;
        }
        self.batches.retain(|it| it.payload.is_some());
        for batch in &mut self.batches {
            batch.numbered = None;
            if batch.state == State::Behind {
                batch.state = State::Ready(Moment::default());
            }
        }
        self.numbering = self.numbering.take().and_then(|it| it.renewed(renewal, &mut self.retired));
    }

    /// A batch that cannot go out under another number, and why.
    fn left_behind(&self) -> Option<(usize, Reason)> {
        let written = self.batches.iter().rposition(|it| it.state == State::Written);
        let mut waiting = self.batches.iter().enumerate().filter(|(_, it)| it.payload.is_some());
        waiting.find_map(|(index, it)| match it.doubt {
            true => Some((index, Reason::Orphaned)),
            false => written.filter(|written| index < *written).map(|_| (index, Reason::Overtaken)),
        })
    }
}

impl Numbering {
    /// The numbers from 0 in the next epoch, if there is one under this identity.
    fn renewed(self, renewal: Renewal, retired: &mut Option<i64>) -> Option<Self> {
        let Identity { id, epoch } = self.producer;
        match epoch.checked_add(i16::from(!planted(Plant::EpochNotBumped))) {
            // The last epoch is left alone: brokers keep it for themselves.
            Some(epoch) if epoch < i16::MAX && renewal == Renewal::InNewEpoch => {
                Some(Self { producer: Identity { id, epoch }, next: Number::default(), proven: false })
            }
            _ => {
                *retired = Some(id);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_000_000);
    const DEADLINE: Moment = Moment(9_000_000);
    const ME: Identity = Identity { id: 7, epoch: 0 };
    const WRITTEN: ErrorCode = ErrorCode::None;
    const GAP: ErrorCode = ErrorCode::OutOfOrderSequenceNumber;

    /// Batches named by letters, of ten records each, and what the world does to them.
    struct Talk {
        sequence: Sequence<char>,
        now: Moment,
        rng: Rng,
    }

    /// A producer that the broker knows.
    fn talk(batches: &str) -> Talk {
        let mut talk = stranger(batches);
        let numbering = Numbering { producer: ME, next: Number::default(), proven: true };
        talk.sequence.numbering = Some(numbering);
        talk
    }

    fn stranger(batches: &str) -> Talk {
        let rules = Rules { idempotent: true, in_flight_max: IN_FLIGHT_MAX };
        let mut talk = Talk { sequence: Sequence::new(rules), now: NOW, rng: Rng::new(1) };
        batches.chars().for_each(|it| talk.sequence.push(it, 10, DEADLINE));
        talk
    }

    impl Talk {
        /// Everything that goes out now: name, epoch, number.
        fn sends(&mut self) -> Vec<(char, i16, i32)> {
            let mut sent = Vec::new();
            while let Todo::Send { numbered, payload, .. } = self.sequence.poll(self.now, Some(ME)) {
                let (epoch, first) = numbered.map_or((-1, -1), |it| (it.producer.epoch, it.first.field()));
                sent.push((*payload, epoch, first));
            }
            sent
        }

        fn answered(&mut self, key: u64, error: ErrorCode) -> Verdict {
            let answer = Answer { base_offset: 100, ..Answer::refused(error) };
            self.sequence.on_answer(self.now, key, answer, &mut self.rng)
        }

        fn cut(&mut self, key: u64) {
            self.sequence.on_cut(self.now, key, Fate::Unknown, &mut self.rng);
        }

        /// What is done: name, and how it failed, if it did.
        fn finished(&mut self) -> Vec<(char, Option<Failure>)> {
            std::iter::from_fn(|| self.sequence.finished()).map(|(it, outcome)| (it, outcome.err())).collect()
        }

        fn later(&mut self) {
            self.now += Duration::from_secs(1);
        }
    }

    fn part(payload: char, count: u32, refused: Option<Reason>) -> Part<char> {
        Part { payload, count, refused }
    }

    fn failed(name: char, reason: Reason, maybe_written: bool) -> (char, Option<Failure>) {
        (name, Some(Failure { reason, maybe_written }))
    }

    #[test]
    fn five_batches_go_out_in_order_and_the_sixth_waits() {
        let mut talk = talk("abcdef");
        let numbers = [('a', 0, 0), ('b', 0, 10), ('c', 0, 20), ('d', 0, 30), ('e', 0, 40)];
        assert_eq!(talk.sends(), numbers);
        talk.answered(1, WRITTEN);
        assert_eq!(talk.sends(), [], "the broker may yet be asked about the first");
        talk.answered(0, WRITTEN);
        assert_eq!(talk.sends(), [('f', 0, 50)]);
        assert_eq!(talk.finished(), [('b', None), ('a', None)]);
    }

    #[test]
    fn without_an_identity_nothing_goes_out() {
        let mut talk = stranger("a");
        assert!(matches!(talk.sequence.poll(NOW, None), Todo::Identify));
        assert_eq!(talk.sends(), [('a', 0, 0)]);
    }

    #[test]
    fn the_first_batch_goes_alone_until_it_is_written() {
        let mut talk = stranger("abc");
        assert_eq!(talk.sends(), [('a', 0, 0)]);
        talk.answered(0, ErrorCode::UnknownTopicOrPartition);
        talk.later();
        assert_eq!(talk.sends(), [('a', 0, 0)], "none overtakes it where nobody knows the producer");
        talk.answered(0, WRITTEN);
        assert_eq!(talk.sends(), [('b', 0, 10), ('c', 0, 20)]);
    }

    #[test]
    fn a_batch_keeps_its_number_over_retries() {
        let mut talk = talk("ab");
        talk.sends();
        talk.answered(0, ErrorCode::NotEnoughReplicas);
        talk.cut(1);
        assert_eq!(talk.sends(), [], "there is a pause");
        talk.later();
        assert_eq!(talk.sends(), [('a', 0, 0), ('b', 0, 10)]);
    }

    #[test]
    fn none_overtakes_a_batch_that_waits_to_be_sent_again() {
        let mut talk = talk("abc");
        talk.sends();
        talk.sequence.push('d', 10, DEADLINE);
        talk.answered(0, ErrorCode::NotEnoughReplicas);
        assert_eq!(talk.sends(), []);
    }

    #[test]
    fn a_batch_that_met_a_gap_waits_until_what_is_before_it_is_written() {
        let mut talk = talk("ab");
        talk.sends();
        talk.answered(0, ErrorCode::NotEnoughReplicas);
        talk.answered(1, GAP);
        talk.later();
        assert_eq!(talk.sends(), [('a', 0, 0)]);
        talk.answered(0, WRITTEN);
        assert_eq!(talk.sends(), [('b', 0, 10)]);
    }

    #[test]
    fn a_broker_that_has_forgotten_the_producer_is_met_in_a_new_epoch() {
        let mut talk = talk("abc");
        talk.sends();
        talk.answered(0, ErrorCode::UnknownProducerId);
        assert_eq!(talk.sends(), [], "others are in flight");
        talk.answered(1, GAP);
        talk.answered(2, GAP);
        talk.later();
        assert_eq!(talk.sends(), [('a', 1, 0)]);
        talk.answered(0, WRITTEN);
        assert_eq!(talk.sends(), [('b', 1, 10), ('c', 1, 20)]);
        assert_eq!(talk.finished(), [('a', None)]);
    }

    #[test]
    fn what_may_be_written_is_not_sent_under_another_number() {
        let mut talk = talk("ab");
        talk.sends();
        talk.cut(0);
        talk.cut(1);
        talk.later();
        talk.sends();
        talk.answered(0, ErrorCode::UnknownProducerId);
        talk.answered(1, GAP);
        talk.later();
        assert_eq!(talk.sends(), []);
        assert_eq!(talk.finished(), ['a', 'b'].map(|it| failed(it, Reason::Orphaned, true)));
    }

    #[test]
    fn what_was_overtaken_is_not_written_out_of_order() {
        for (error, reason, maybe_written) in [
            (ErrorCode::CorruptMessage, Reason::Overtaken, false),
            (ErrorCode::NotEnoughReplicas, Reason::Orphaned, true),
        ] {
            let mut talk = talk("abc");
            talk.sends();
            talk.answered(0, error);
            talk.answered(1, WRITTEN);
            talk.answered(2, GAP);
            talk.later();
            assert_eq!(talk.sends(), [('a', 0, 0)]);
            talk.answered(0, GAP);
            talk.later();
            assert_eq!(talk.sends(), [('c', 1, 0)], "{error}");
            assert_eq!(talk.finished(), [('b', None), failed('a', reason, maybe_written)], "{error}");
        }
    }

    #[test]
    fn a_refused_batch_leaves_no_gap_for_those_behind_it() {
        let mut talk = talk("ab");
        talk.sends();
        talk.answered(0, ErrorCode::InvalidRecord);
        assert_eq!(talk.finished(), [failed('a', Reason::Refused(ErrorCode::InvalidRecord, None), false)]);
        talk.answered(1, GAP);
        assert_eq!(talk.sends(), [('b', 1, 0)]);
    }

    #[test]
    fn a_batch_in_parts_keeps_its_numbers_and_its_place() {
        let mut talk = talk("abc");
        talk.sends();
        talk.sequence.divide(0, |_| vec![part('x', 4, None), part('y', 6, None)]);
        assert_eq!(talk.sends(), [('x', 0, 0), ('y', 0, 4)]);
        talk.answered(1, GAP);
        talk.answered(2, GAP);
        talk.answered(3, WRITTEN);
        assert_eq!(talk.sends(), [], "the second part is under way");
        talk.answered(4, WRITTEN);
        assert_eq!(talk.sends(), [('b', 0, 10)]);
        talk.answered(1, WRITTEN);
        assert_eq!(talk.sends(), [('c', 0, 20)]);
        assert_eq!(talk.finished(), [('x', None), ('y', None), ('b', None)]);
    }

    #[test]
    fn a_part_that_is_refused_leaves_no_gap() {
        let mut talk = talk("ab");
        talk.sends();
        let refused = Reason::Refused(ErrorCode::InvalidRecord, Some("no key".to_owned()));
        talk.sequence
            .divide(0, |_| vec![part('x', 4, None), part('-', 1, Some(refused.clone())), part('y', 5, None)]);
        assert_eq!(talk.finished(), [failed('-', refused, false)]);
        assert_eq!(talk.sends(), [], "the next batch is under way");
        talk.answered(1, GAP);
        assert_eq!(talk.sends(), [('x', 1, 0)]);
        talk.answered(2, WRITTEN);
        assert_eq!(talk.sends(), [('y', 1, 4), ('b', 1, 9)]);
    }

    #[test]
    fn parts_of_what_may_be_written_do_not_go_out_under_another_number() {
        let mut talk = talk("a");
        talk.sends();
        talk.cut(0);
        talk.later();
        talk.sends();
        talk.sequence.divide(0, |_| vec![part('x', 4, None), part('y', 6, None)]);
        assert_eq!(talk.sends(), [('x', 0, 0), ('y', 0, 4)]);
        // The broker has the whole.
        talk.answered(1, GAP);
        talk.answered(2, GAP);
        talk.later();
        assert_eq!(talk.sends(), []);
        assert_eq!(talk.finished(), ['x', 'y'].map(|it| failed(it, Reason::Orphaned, true)));
    }

    #[test]
    fn a_batch_that_was_given_up_has_no_parts() {
        let mut talk = talk("ab");
        talk.sends();
        talk.sequence.expire(DEADLINE);
        talk.sequence.divide(0, |_| panic!("nobody waits for it"));
        talk.answered(1, GAP);
        assert!(talk.sequence.is_empty());
    }

    #[test]
    fn what_was_never_sent_expires_for_certain_and_leaves_no_gap() {
        let mut talk = talk("abcdef");
        talk.sends();
        (0..5).for_each(|it| assert_eq!(talk.answered(it, WRITTEN), Verdict::Written));
        talk.finished();
        talk.sequence.expire(DEADLINE);
        assert_eq!(talk.finished(), [failed('f', Reason::Expired(None), false)]);
        talk.sequence.push('g', 10, Moment(u64::MAX));
        assert_eq!(talk.sends(), [('g', 0, 50)]);
    }

    #[test]
    fn what_expires_in_flight_may_be_written_and_the_next_starts_again_behind_its_answer() {
        let mut talk = talk("a");
        talk.sends();
        talk.sequence.push('b', 10, Moment(u64::MAX));
        talk.sequence.expire(DEADLINE);
        assert_eq!(talk.finished(), [failed('a', Reason::Expired(None), true)]);
        assert_eq!(talk.sends(), []);
        talk.answered(0, WRITTEN);
        assert_eq!(talk.finished(), []);
        assert_eq!(talk.sends(), [('b', 1, 0)]);
    }

    #[test]
    fn who_was_fenced_comes_back_as_somebody_else() {
        let mut talk = talk("a");
        talk.sends();
        talk.answered(0, ErrorCode::InvalidProducerEpoch);
        talk.later();
        assert!(matches!(talk.sequence.poll(talk.now, Some(ME)), Todo::Identify), "not as the one it was");
        assert_eq!(talk.sequence.retired(), Some(ME.id));
        let other = Some(Identity { id: 8, epoch: 0 });
        let todo = talk.sequence.poll(talk.now, other);
        let Todo::Send { numbered: Some(numbered), .. } = todo else { panic!("{todo:?} sends nothing") };
        assert_eq!((numbered.producer, numbered.first), (Identity { id: 8, epoch: 0 }, Number::default()));
    }

    #[test]
    fn behind_the_last_epoch_there_is_another_identity() {
        let last = Numbering {
            producer: Identity { id: 7, epoch: i16::MAX - 1 },
            next: Number::default(),
            proven: true,
        };
        let mut retired = None;
        assert!(last.renewed(Renewal::InNewEpoch, &mut retired).is_none());
        assert_eq!(retired, Some(7));
    }

    #[test]
    fn an_error_that_ends_the_producer_ends_every_batch() {
        let mut talk = talk("abcdef");
        talk.sends();
        let error = ErrorCode::ClusterAuthorizationFailed;
        assert_eq!(talk.answered(0, error), Verdict::Fatal);
        let finished = talk.finished();
        assert_eq!(finished.len(), 6);
        assert!(finished.iter().all(|it| it.1.as_ref().is_some_and(|it| it.reason == Reason::Fatal(error))));
        (1..5).for_each(|it| talk.cut(it));
        assert!(talk.sequence.is_empty());
    }

    #[test]
    fn without_numbers_nothing_is_waited_for_and_nothing_is_in_the_way() {
        let mut talk = stranger("abcd");
        talk.sequence.rules = Rules { idempotent: false, in_flight_max: 3 };
        assert_eq!(talk.sends(), [('a', -1, -1), ('b', -1, -1), ('c', -1, -1)], "no identity is asked for");
        talk.cut(0);
        talk.answered(1, ErrorCode::InvalidRecord);
        talk.answered(2, GAP);
        talk.later();
        assert_eq!(talk.sends(), [('a', -1, -1), ('d', -1, -1)]);
        talk.answered(0, WRITTEN);
        let refused = |error| Reason::Refused(error, None);
        let expected = [
            failed('b', refused(ErrorCode::InvalidRecord), false),
            failed('c', refused(GAP), false),
            ('a', None),
        ];
        assert_eq!(talk.finished(), expected);
    }

    #[test]
    fn with_one_in_flight_the_order_holds_without_numbers() {
        let mut talk = stranger("ab");
        talk.sequence.rules = Rules { idempotent: false, in_flight_max: 1 };
        assert_eq!(talk.sends(), [('a', -1, -1)]);
        talk.cut(0);
        talk.later();
        assert_eq!(talk.sends(), [('a', -1, -1)]);
        talk.answered(0, WRITTEN);
        assert_eq!(talk.sends(), [('b', -1, -1)]);
    }

    #[test]
    fn what_is_purged_in_flight_may_be_written_and_what_comes_later_goes_on() {
        let mut talk = talk("ab");
        let Todo::Send { .. } = talk.sequence.poll(NOW, Some(ME)) else { panic!("there is one to send") };
        talk.sequence.purge();
        let purged = [failed('a', Reason::Purged, true), failed('b', Reason::Purged, false)];
        assert_eq!(talk.finished(), purged);
        talk.sequence.push('c', 10, DEADLINE);
        assert_eq!(talk.sends(), [], "the first is still under way");
        talk.answered(0, WRITTEN);
        assert_eq!(talk.sends(), [('c', 1, 0)]);
    }

    #[test]
    fn an_answer_to_what_is_not_in_flight_changes_nothing() {
        let mut talk = talk("a");
        talk.answered(0, WRITTEN);
        talk.answered(9, WRITTEN);
        assert_eq!(talk.finished(), []);
        assert_eq!(talk.sends(), [('a', 0, 0)]);
    }
}
