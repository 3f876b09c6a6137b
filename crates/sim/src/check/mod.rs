//! What must hold of every history: invariants, each a pure function from a history to what breaks it.
//!
//! They are numbered as in the literature on checking Kafka. A checker takes nothing for granted that the history does
//! not say: who lets records go on purpose has to write that down ([`What::Removed`](crate::history::What)), and so
//! has who promises that the world is calm from now on.

mod bounds;
mod facts;
mod group;
mod log;
mod positions;
mod reading;
#[cfg(test)]
mod tests;
mod time;

use std::fmt;

use crate::history::History;
use facts::Facts;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What it breaks.
    pub invariant: Invariant,
    /// The events that show it, as their places in the history.
    pub events: Vec<usize>,
    /// What is wrong, in a sentence.
    pub what: String,
}

/// Something that must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// I1: what was acknowledged is there.
    LostWrite,
    /// I2: what an idempotent producer sent is there at most once.
    Duplicate,
    /// I3: all agree on what is at an offset, and a record is where it was to go.
    InconsistentOffset,
    /// I4: what an idempotent producer sent to a partition is there in the order of sending.
    Order,
    /// I5: consumers are handed all there is, in order, as long as nothing is said to the contrary.
    PollSkip,
    /// I6: what failed for certain is not there, nor what nobody sent.
    AbortedRead,
    /// I10: who had the time to be handed everything was.
    Unseen,
    /// I12: what a group has committed never goes back.
    CommitWentBack,
    /// I16: what somebody read stays there, at its offset, through every crash.
    Vanished,
    /// I17: positions are where consumers say that they are, and move only for a cause.
    SilentReset,
    /// I18: once the world is calm, everything comes to rest.
    NotAtRest,
    /// I19: what is measured stays within its bounds, and goes back when all is closed.
    BrokenBound,
    /// I20: deadlines are kept, and what is flushed is done.
    MissedDeadline,
}

/// Every invariant, and who judges it.
const CHECKS: &[(Invariant, Judge)] = &[
    (Invariant::LostWrite, log::lost_writes),
    (Invariant::Duplicate, log::duplicates),
    (Invariant::InconsistentOffset, log::inconsistent_offsets),
    (Invariant::Order, log::out_of_order),
    (Invariant::PollSkip, reading::poll_skips),
    (Invariant::AbortedRead, log::aborted_reads),
    (Invariant::Unseen, reading::unseen),
    (Invariant::CommitWentBack, group::commits_that_went_back),
    (Invariant::Vanished, log::vanished),
    (Invariant::SilentReset, reading::silent_resets),
    (Invariant::NotAtRest, time::not_at_rest),
    (Invariant::BrokenBound, bounds::broken_bounds),
    (Invariant::MissedDeadline, time::missed_deadlines),
];

/// Everything that is wrong with a history.
pub fn check(history: &History) -> Vec<Violation> {
    let facts = Facts::of(history);
    CHECKS.iter().flat_map(|(invariant, judge)| violations(*invariant, judge(&facts))).collect()
}

/// What breaks this invariant in a history.
pub fn check_only(invariant: Invariant, history: &History) -> Vec<Violation> {
    let facts = Facts::of(history);
    let judges = CHECKS.iter().filter(|(it, _)| *it == invariant);
    judges.flat_map(|(_, judge)| violations(invariant, judge(&facts))).collect()
}

/// So many violations are told: one is mostly seen in many ways.
const TOLD_MAX: usize = 5;

/// Panics, with what is played, what is wrong and the lines that show it, if anything is.
pub fn assert_holds(history: &History) {
    let violations = check(history);
    let told: Vec<_> = violations.iter().take(TOLD_MAX).map(|it| it.told(history)).collect();
    let play = History { events: history.events.iter().take(1).cloned().collect() };
    assert!(violations.is_empty(), "{} violations in {play}{}", violations.len(), told.join("\n"));
}

/// Finds what breaks one invariant.
type Judge = fn(&Facts<'_>) -> Vec<Found>;

/// What a checker found: the events, and a sentence.
type Found = (Vec<usize>, String);

fn violations(invariant: Invariant, found: Vec<Found>) -> impl Iterator<Item = Violation> {
    found.into_iter().map(move |(events, what)| Violation { invariant, events, what })
}

impl Violation {
    /// It, and the lines that show it.
    pub fn told(&self, history: &History) -> String {
        let events = self.events.iter().map(|it| history.events[*it].clone()).collect();
        format!("{self}\n{}", History { events })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LostWrite => "I1 lost write",
            Self::Duplicate => "I2 duplicate",
            Self::InconsistentOffset => "I3 inconsistent offset",
            Self::Order => "I4 order",
            Self::PollSkip => "I5 poll skip",
            Self::AbortedRead => "I6 aborted read",
            Self::Unseen => "I10 unseen",
            Self::CommitWentBack => "I12 commit went back",
            Self::Vanished => "I16 vanished",
            Self::SilentReset => "I17 silent reset",
            Self::NotAtRest => "I18 not at rest",
            Self::BrokenBound => "I19 broken bound",
            Self::MissedDeadline => "I20 missed deadline",
        })
    }
}
