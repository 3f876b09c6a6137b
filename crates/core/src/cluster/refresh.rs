//! When metadata is asked for again, and for which topics.
//!
//! Who notices that something is stale says so; however many do, one question is under way at a time, and
//! questions that do not help come further and further apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use vltava_wire::messages::{MetadataRequest, MetadataRequestTopic};

use crate::{Backoff, Moment, Rng};

/// Leaders move without anybody telling; so often a client looks by itself.
const AGE_MAX: Duration = Duration::from_secs(300);

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Every topic there is.
    All,
    /// These; none of them asks for the brokers alone.
    Topics(Vec<Arc<str>>),
}

impl Ask {
    /// The question as a message. `create` lets a broker that creates topics by itself do so.
    pub fn request(&self, create: bool) -> MetadataRequest {
        let topic =
            |name: &Arc<str>| MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() };
        let topics = match self {
            Self::All => None,
            Self::Topics(topics) => Some(topics.iter().map(topic).collect()),
        };
        MetadataRequest { topics, allow_auto_topic_creation: create, ..Default::default() }
    }
}

/// When metadata is asked for.
#[derive(Debug, Default)]
pub struct Refresh {
    /// How many want each topic.
    topics: BTreeMap<Arc<str>, usize>,
    /// Topics that no question was put about yet.
    unseen: BTreeSet<Arc<str>>,
    /// How many want every topic.
    all: usize,
    backoff: Backoff,
    /// A question is under way.
    asked: bool,
    /// Something turned out to be stale since the latest question was put.
    stale: bool,
    /// Questions in a row that somebody was not content with.
    vain: u32,
    /// No further question before this, save about what is new.
    not_before: Moment,
    /// The next question that nobody has to ask for.
    by_itself: Moment,
}

impl Refresh {
    /// One more is interested in a topic.
    pub fn want(&mut self, topic: &Arc<str>) {
        let wanted = self.topics.entry(topic.clone()).or_default();
        *wanted += 1;
        if *wanted == 1 {
            self.unseen.insert(topic.clone());
        }
    }

    /// One is no longer interested in a topic; says whether nobody is.
    pub fn release(&mut self, topic: &str) -> bool {
        let Some(wanted) = self.topics.get_mut(topic) else { return false };
        *wanted -= 1;
        let nobody = *wanted == 0;
        if nobody {
            self.topics.remove(topic);
            self.unseen.remove(topic);
        }
        nobody
    }

    /// One more is interested in every topic, those to come included.
    pub fn want_all(&mut self) {
        self.all += 1;
        self.stale |= self.all == 1;
    }

    /// One is no longer interested in every topic.
    pub fn release_all(&mut self) {
        self.all = self.all.saturating_sub(1);
    }

    /// Whether anybody is interested in a topic.
    pub fn wants(&self, topic: &str) -> bool {
        self.all > 0 || self.topics.contains_key(topic)
    }

    /// What is known has proved wrong: a leader that is none, a topic that is not there, a connection that broke.
    pub fn stale(&mut self) {
        self.stale = true;
    }

    /// The next question, if one is due.
    pub fn poll(&mut self, now: Moment) -> Option<Ask> {
        if self.deadline().is_none_or(|due| now < due) {
            return None;
        }
        self.asked = true;
        self.stale = false;
        self.unseen.clear();
        Some(self.ask())
    }

    /// The latest question was answered. `complete` says that it told all that is wanted: every topic known,
    /// every partition led.
    pub fn on_answer(&mut self, now: Moment, complete: bool, rng: &mut Rng) {
        self.by_itself = now + AGE_MAX;
        self.settled(now, complete && !self.stale, rng);
        self.stale |= !complete;
    }

    /// The latest question failed, by whatever kept it from being answered.
    pub fn on_failure(&mut self, now: Moment, rng: &mut Rng) {
        self.settled(now, false, rng);
        self.stale = true;
    }

    /// When `poll` has something to ask; none while a question is under way.
    pub fn deadline(&self) -> Option<Moment> {
        match self.asked {
            true => None,
            // A new topic is asked for at once, unless questions are in vain at the moment.
            false if !self.unseen.is_empty() && self.vain == 0 => Some(Moment(0)),
            false if self.stale || !self.unseen.is_empty() => Some(self.not_before),
            false => Some(self.by_itself),
        }
    }

    fn ask(&self) -> Ask {
        match self.all {
            0 => Ask::Topics(self.topics.keys().cloned().collect()),
            _ => Ask::All,
        }
    }

    fn settled(&mut self, now: Moment, content: bool, rng: &mut Rng) {
        self.asked = false;
        self.vain = if content { 0 } else { self.vain + 1 };
        self.not_before = now + self.backoff.after(self.vain, rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLIS: u64 = 1_000;

    /// A refresh that knows of `orders` and was answered at moment 0.
    fn settled() -> (Refresh, Rng) {
        let (mut refresh, mut rng) = (Refresh::default(), Rng::new(1));
        refresh.want(&"orders".into());
        assert_eq!(refresh.poll(Moment(0)), Some(orders()));
        refresh.on_answer(Moment(0), true, &mut rng);
        (refresh, rng)
    }

    fn orders() -> Ask {
        Ask::Topics(vec!["orders".into()])
    }

    #[test]
    fn the_first_question_is_asked_at_once() {
        assert_eq!(Refresh::default().poll(Moment(0)), Some(Ask::Topics(vec![])));
    }

    #[test]
    fn one_question_is_under_way_at_a_time() {
        let mut refresh = Refresh::default();
        assert!(refresh.poll(Moment(0)).is_some());
        refresh.stale();
        assert_eq!(refresh.poll(Moment(u64::MAX)), None);
        assert_eq!(refresh.deadline(), None);
    }

    #[test]
    fn it_asks_by_itself_when_what_it_knows_is_old() {
        let (mut refresh, _) = settled();
        assert_eq!(refresh.deadline(), Some(Moment(0) + AGE_MAX));
        assert_eq!(refresh.poll(Moment(0) + AGE_MAX), Some(orders()));
    }

    #[test]
    fn what_is_stale_is_asked_for_again_after_a_short_wait() {
        let (mut refresh, _) = settled();
        refresh.stale();
        assert_eq!(refresh.poll(Moment(79 * MILLIS)), None);
        assert_eq!(refresh.poll(Moment(100 * MILLIS)), Some(orders()));
    }

    #[test]
    fn what_goes_stale_while_a_question_is_under_way_is_asked_for_again() {
        let (mut refresh, mut rng) = settled();
        refresh.stale();
        assert!(refresh.poll(Moment(100 * MILLIS)).is_some());
        refresh.stale();
        refresh.on_answer(Moment(101 * MILLIS), true, &mut rng);
        assert!(refresh.poll(Moment(201 * MILLIS)).is_some());
    }

    #[test]
    fn a_new_topic_is_asked_for_at_once() {
        let (mut refresh, _) = settled();
        refresh.want(&"returns".into());
        let both = Ask::Topics(vec!["orders".into(), "returns".into()]);
        assert_eq!(refresh.poll(Moment(1)), Some(both));
    }

    #[test]
    fn questions_in_vain_come_further_and_further_apart() {
        let (mut refresh, mut rng) = settled();
        let mut now = Moment(0);
        refresh.stale();
        let waits = [100, 100, 200, 400, 800, 1000, 1000].map(|most| {
            let due = refresh.deadline().expect("something is stale");
            let wait = due.since(now).as_millis() as u64;
            assert!((most * 8 / 10..=most).contains(&wait), "{wait} of {most} ms");
            now = due;
            assert!(refresh.poll(now).is_some());
            refresh.on_failure(now, &mut rng);
        });
        assert_eq!(waits.len(), 7);
        refresh.want(&"returns".into());
        assert_eq!(refresh.poll(now), None, "a new topic waits too while nobody answers");
    }

    #[test]
    fn an_answer_that_leaves_something_open_is_followed_by_a_question() {
        let (mut refresh, mut rng) = settled();
        refresh.stale();
        assert!(refresh.poll(Moment(100 * MILLIS)).is_some());
        refresh.on_answer(Moment(100 * MILLIS), false, &mut rng);
        assert!(refresh.poll(Moment(200 * MILLIS)).is_some());
    }

    #[test]
    fn a_topic_is_released_when_nobody_wants_it() {
        let (mut refresh, _) = settled();
        refresh.want(&"orders".into());
        assert!(!refresh.release("orders"));
        assert!(refresh.release("orders"));
        assert_eq!(refresh.poll(Moment(0) + AGE_MAX), Some(Ask::Topics(vec![])));
    }

    #[test]
    fn all_topics_are_asked_for_while_somebody_wants_all() {
        let (mut refresh, mut rng) = settled();
        refresh.want_all();
        assert_eq!(refresh.poll(Moment(100 * MILLIS)), Some(Ask::All));
        refresh.on_answer(Moment(100 * MILLIS), true, &mut rng);
        assert!(refresh.wants("returns"));
        refresh.release_all();
        assert!(refresh.wants("orders") && !refresh.wants("returns"));
        refresh.stale();
        assert_eq!(refresh.poll(Moment(200 * MILLIS)), Some(orders()));
    }

    #[test]
    fn no_topics_is_an_empty_list_and_all_is_none() {
        assert_eq!(Ask::Topics(vec![]).request(false).topics, Some(vec![]));
        assert_eq!(Ask::All.request(true).topics, None);
        assert!(!orders().request(false).allow_auto_topic_creation);
    }
}
