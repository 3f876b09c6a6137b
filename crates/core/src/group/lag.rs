//! How a group keeps up with a partition, judged without thresholds by several looks at what it has committed: the
//! rules of LinkedIn's Burrow.
//!
//! Burrow sees every commit, an onlooker sees the last one only. So whether a consumer that stands still has stopped
//! or commits the same again is told by whether anybody works on the partition.

use std::{collections::VecDeque, fmt, time::Duration};

use crate::Moment;

/// No window has more looks; the oldest go.
const LOOKS_MAX: usize = 256;

/// Consumers commit every five seconds unless told otherwise: who did not move for less need not stand still.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What is seen of a partition at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: Moment,
    /// What the group has committed last, if anything.
    pub committed: Option<i64>,
    /// The offset behind the last record.
    pub end: i64,
    /// Whether a member of the group has the partition.
    pub is_owned: bool,
}

/// How a group keeps up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It has done everything, lately at least, or comes closer.
    Ok,
    /// It works, and falls behind.
    Warn,
    /// It does not work.
    Err(Trouble),
}

/// What is wrong with a group that does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// There are records, and somebody to work on them, and no progress.
    Stall,
    /// There are records, and nobody works on them.
    Stop,
    /// It was turned back to an earlier offset.
    Rewind,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Err(Trouble::Stall) => "ERR stall",
            Self::Err(Trouble::Stop) => "ERR stop",
            Self::Err(Trouble::Rewind) => "ERR rewind",
        })
    }
}

impl Look {
    /// How many records are not done; none if the group never committed. A topic that was deleted and created again may
    /// end before what was committed.
    pub fn lag(&self) -> Option<i64> {
        self.committed.map(|committed| self.end.saturating_sub(committed).max(0))
    }
}

/// The latest looks at a partition.
#[derive(Debug, Clone)]
pub struct Window {
    span: Duration,
    looks: VecDeque<Look>,
}

impl Window {
    /// A window that remembers for so long.
    pub fn new(span: Duration) -> Self {
        Self { span, looks: VecDeque::new() }
    }

    /// Takes a look in, which is later than those before, and forgets what is too old.
    pub fn push(&mut self, look: Look) {
        self.looks.push_back(look);
        // One that is older stays, so that the looks cover the whole span.
        let covered =
            |looks: &VecDeque<Look>| looks.get(1).is_some_and(|it| look.at.since(it.at) >= self.span);
        while covered(&self.looks) || self.looks.len() > LOOKS_MAX {
            self.looks.pop_front();
        }
    }

    /// The last look.
    pub fn last(&self) -> Option<&Look> {
        self.looks.back()
    }

    /// What the looks say; none if they are too few to say anything.
    pub fn status(&self) -> Option<Status> {
        let (first, last) = (self.looks.front()?, self.looks.back()?);
        if last.lag()? == 0 {
            return Some(Status::Ok);
        }
        let has_moved = self.pairs().any(|(before, after)| before.committed < after.committed);
        if !has_moved && self.looks.iter().all(|it| !it.is_owned) {
            return Some(Status::Err(Trouble::Stop));
        }
        if self.pairs().any(|(before, after)| after.committed < before.committed) {
            return Some(Status::Err(Trouble::Rewind));
        }
        if self.looks.iter().any(|it| it.lag() == Some(0)) {
            return Some(Status::Ok);
        }
        match has_moved {
            true => Some(if self.falls_behind() { Status::Warn } else { Status::Ok }),
            false if last.at.since(first.at) >= PATIENCE => Some(Status::Err(Trouble::Stall)),
            false => None,
        }
    }

    /// How many records a second the lag grows by, or shrinks by if that is below zero; none of a single look.
    pub fn growth(&self) -> Option<f64> {
        let (first, last) = (self.looks.front()?, self.looks.back()?);
        let seconds = last.at.since(first.at).as_secs_f64();
        (seconds > 0.0).then_some((last.lag()? - first.lag()?) as f64 / seconds)
    }

    /// The lag has not shrunk from any look to the next, and has grown in all.
    fn falls_behind(&self) -> bool {
        let lag = |look: Option<&Look>| look.and_then(Look::lag);
        let never_shrank = self.pairs().all(|(before, after)| before.lag() <= after.lag());
        never_shrank && lag(self.looks.front()) < lag(self.looks.back())
    }

    fn pairs(&self) -> impl Iterator<Item = (&Look, &Look)> {
        self.looks.iter().zip(self.looks.iter().skip(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look every `seconds`, at what was committed and where the partition ended then.
    fn window(is_owned: bool, seconds: u64, looks: &[(i64, i64)]) -> Window {
        let mut window = Window::new(Duration::from_secs(60));
        for (index, &(committed, end)) in looks.iter().enumerate() {
            let at = Moment(1_000_000 * seconds * index as u64);
            window.push(Look { at, committed: Some(committed), end, is_owned });
        }
        window
    }

    #[test]
    fn a_partition_is_judged_as_burrow_does() {
        use {Status::*, Trouble::*};
        for (name, looks, expected) in [
            ("nothing to do", &[(7, 7)][..], Some(Ok)),
            ("a single look at who works says nothing", &[(5, 7)], None),
            ("all done by now", &[(5, 7), (5, 7), (7, 7)], Some(Ok)),
            ("it was done within the window", &[(7, 7), (7, 9), (7, 12)], Some(Ok)),
            ("it comes closer", &[(5, 90), (50, 95), (80, 100)], Some(Ok)),
            ("it keeps its distance", &[(5, 10), (6, 11), (7, 12)], Some(Ok)),
            ("it falls behind", &[(5, 10), (6, 12), (7, 14)], Some(Warn)),
            ("it caught up for a while", &[(5, 10), (9, 12), (10, 30)], Some(Ok)),
            ("it stands still, not for long yet", &[(5, 10), (5, 11)], None),
            ("it stands still", &[(5, 10), (5, 11), (5, 12)], Some(Err(Stall))),
            ("it went back", &[(5, 10), (2, 11), (8, 12)], Some(Err(Rewind))),
        ] {
            assert_eq!(window(true, 5, looks).status(), expected, "{name}");
        }
    }

    #[test]
    fn where_nobody_works_one_look_is_enough_unless_somebody_commits_from_outside() {
        assert_eq!(window(false, 5, &[(5, 10)]).status(), Some(Status::Err(Trouble::Stop)));
        assert_eq!(window(false, 5, &[(10, 10)]).status(), Some(Status::Ok));
        assert_eq!(window(false, 5, &[(5, 10), (6, 11), (8, 12)]).status(), Some(Status::Ok));
    }

    #[test]
    fn a_group_that_never_committed_is_not_judged() {
        let mut window = Window::new(Duration::from_secs(60));
        window.push(Look { at: Moment(0), committed: None, end: 10, is_owned: false });
        assert_eq!((window.status(), window.growth()), (None, None));
    }

    #[test]
    fn what_is_out_of_the_window_counts_no_more() {
        let rewound = window(true, 30, &[(50, 60), (2, 60), (20, 60), (30, 60), (40, 60)]);
        assert_eq!(rewound.status(), Some(Status::Ok), "it went back two minutes ago");
        let rewound = window(true, 30, &[(50, 60), (2, 60), (20, 60)]);
        assert_eq!(rewound.status(), Some(Status::Err(Trouble::Rewind)));
    }

    #[test]
    fn growth_is_told_a_second() {
        assert_eq!(window(true, 5, &[(5, 10), (6, 71)]).growth(), Some(12.0));
        assert_eq!(window(true, 5, &[(5, 10)]).growth(), None);
    }

    #[test]
    fn a_partition_that_was_made_anew_has_no_lag() {
        assert_eq!(window(true, 5, &[(50, 3)]).status(), Some(Status::Ok));
    }

    #[test]
    fn a_window_is_bounded_however_often_one_looks() {
        let mut window = Window::new(Duration::from_secs(60));
        for at in 0..10_000 {
            window.push(Look { at: Moment(at), committed: Some(1), end: 2, is_owned: true });
        }
        assert_eq!(window.looks.len(), LOOKS_MAX);
    }
}
