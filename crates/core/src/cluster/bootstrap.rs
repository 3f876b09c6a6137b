//! Whom metadata is asked of: a broker that is known or, when those do not answer or do not know their cluster any
//! more, an address that was configured (KIP-899, KIP-1102). All that are known may have been replaced.
//!
//! When questions are put is not decided here, so going back to the beginning is no faster a loop than going on.

use super::{
    ids::NodeId,
    route::{Route, Target},
    view::View,
};
use crate::Rng;

/// Whom to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// A broker that is known.
    Known(NodeId),
    /// The address that was configured in this place. Its name is to be resolved anew.
    Configured(usize),
}

/// Who is asked for metadata.
#[derive(Debug)]
pub struct Bootstrap {
    /// How many addresses were configured, at least one.
    configured: usize,
    next: usize,
    /// Questions in a row that nobody answered.
    unanswered: u32,
    /// A broker has sent us back to where we began.
    sent_back: bool,
}

impl Bootstrap {
    /// For so many addresses, at least one.
    pub fn new(configured: usize) -> Self {
        assert!(configured > 0, "there is an address to begin with");
        Self { configured, next: 0, unanswered: 0, sent_back: false }
    }

    /// Whom to ask next: what is known comes first, and every other time if it does not answer.
    pub fn poll(&mut self, route: &Route, view: &View, rng: &mut Rng) -> Whom {
        let known = !self.sent_back && self.unanswered.is_multiple_of(2);
        if known && let Ok(node) = route.to(&Target::Any, view, rng) {
            return Whom::Known(node);
        }
        let turn = self.next;
        self.next = (turn + 1) % self.configured;
        Whom::Configured(turn)
    }

    /// Whoever was asked has told of the cluster.
    pub fn on_answer(&mut self) {
        self.unanswered = 0;
        self.sent_back = false;
    }

    /// Whoever was asked has not answered, or said nothing that is of use.
    pub fn on_failure(&mut self) {
        self.unanswered = self.unanswered.saturating_add(1);
    }

    /// Whoever was asked has said `REBOOTSTRAP_REQUIRED`.
    pub fn on_sent_back(&mut self) {
        self.sent_back = true;
    }

    /// Whether the latest question was answered.
    pub fn is_answered(&self) -> bool {
        self.unanswered == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(brokers: i32) -> View {
        let mut view = View::default();
        (1..=brokers).for_each(|it| view.on_broker(it, "host".into(), 9092, None));
        view
    }

    fn ask(bootstrap: &mut Bootstrap, view: &View) -> Whom {
        bootstrap.poll(&Route::default(), view, &mut Rng::new(1))
    }

    fn failing(bootstrap: &mut Bootstrap, view: &View, questions: usize) -> Vec<Whom> {
        let mut one = || {
            let whom = ask(bootstrap, view);
            bootstrap.on_failure();
            whom
        };
        (0..questions).map(|_| one()).collect()
    }

    #[test]
    fn without_a_broker_that_is_known_every_address_has_its_turn() {
        let asked = failing(&mut Bootstrap::new(3), &View::default(), 4);
        assert_eq!(asked, [0, 1, 2, 0].map(Whom::Configured));
    }

    #[test]
    fn what_is_known_is_asked_as_long_as_it_answers() {
        let mut bootstrap = Bootstrap::new(2);
        for _ in 0..5 {
            assert_eq!(ask(&mut bootstrap, &cluster(1)), Whom::Known(NodeId(1)));
            bootstrap.on_answer();
        }
    }

    #[test]
    fn who_does_not_answer_has_a_configured_address_asked_every_other_time() {
        let asked = failing(&mut Bootstrap::new(2), &cluster(1), 5);
        let known = Whom::Known(NodeId(1));
        assert_eq!(asked, [known, Whom::Configured(0), known, Whom::Configured(1), known]);
    }

    #[test]
    fn who_is_sent_back_asks_what_was_configured_until_one_answers() {
        let (mut bootstrap, view) = (Bootstrap::new(2), cluster(3));
        bootstrap.on_sent_back();
        assert_eq!(failing(&mut bootstrap, &view, 3), [0, 1, 0].map(Whom::Configured));
        bootstrap.on_answer();
        assert!(matches!(ask(&mut bootstrap, &view), Whom::Known(_)));
    }
}
