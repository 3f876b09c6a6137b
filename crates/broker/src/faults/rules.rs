//! Which faults a request meets: rules in the order in which they were added, and seeded chance. A machine: it
//! neither waits nor sends, and knows of no connection.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use vltava_core::Rng;
use vltava_wire::{Api, ErrorCode};

/// Topics that a rule is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Topics {
    /// Whatever topics a request names.
    #[default]
    All,
    /// The topic of this name, also where a request goes by its id.
    Named(String),
}

impl From<&str> for Topics {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

impl From<String> for Topics {
    fn from(name: String) -> Self {
        Self::Named(name)
    }
}

/// Something that a request names and its response may tell an error of: a partition, a topic, or, where both are
/// missing, the request as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    /// Empty for what is no topic, and for a topic that is not known by its id.
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
}

impl Part {
    pub(crate) fn new(topic: impl Into<String>, partition: impl Into<Option<i32>>) -> Self {
        Self { topic: topic.into(), partition: partition.into() }
    }

    /// The request as a whole.
    pub(crate) fn whole() -> Self {
        Self::new("", None)
    }
}

/// Errors, by what they are told of.
pub(crate) type Errors = BTreeMap<Part, ErrorCode>;

/// Which requests a rule is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// Any, unless said.
    pub(crate) api: Option<Api>,
    pub(crate) topics: Topics,
    pub(crate) partition: Option<i32>,
    pub(crate) client_id: Option<String>,
    pub(crate) node: Option<i32>,
}

impl Scope {
    fn covers(&self, asked: &Asked<'_>) -> bool {
        let narrow = self.topics != Topics::All || self.partition.is_some();
        self.api.is_none_or(|api| api == asked.api)
            && self.node.is_none_or(|node| node == asked.node)
            && self.client_id.as_deref().is_none_or(|id| id == asked.client_id)
            && (!narrow || asked.parts.iter().any(|part| self.covers_part(part)))
    }

    fn covers_part(&self, part: &Part) -> bool {
        let topic = match &self.topics {
            Topics::All => true,
            Topics::Named(name) => *name == part.topic,
        };
        topic && (self.partition.is_none() || self.partition == part.partition)
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum What {
    /// The request arrives so much later.
    DelayRequest(Duration),
    /// The request is the last that arrives, or not even that.
    EndRequest(End),
    /// It is refused, or carried out and refused all the same.
    Error(ErrorCode, Effect),
    /// This node leads what it is about before it has any effect.
    MoveLeader(i32),
    /// The client is told to rest, and made to.
    Throttle(Duration),
    /// The reply leaves so much later.
    DelayReply(Duration),
    /// The reply is the last that leaves, or not even that.
    EndReply(End),
}

impl What {
    /// Whether it happens before the request has any effect.
    fn is_on_the_way_there(self) -> bool {
        matches!(self, Self::DelayRequest(_) | Self::EndRequest(_))
    }

    /// Whether it happens to parts of a request rather than to all of it.
    fn is_of_parts(self) -> bool {
        matches!(self, Self::Error(..) | Self::MoveLeader(_))
    }

    /// Whether it takes a reply to happen to.
    fn needs_a_reply(self) -> bool {
        matches!(self, Self::DelayReply(_) | Self::EndReply(_))
    }
}

/// Whether a request that is answered with an error is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Refused,
    Done,
}

/// How one way of a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing arrives any more, and nobody is told.
    Silence,
    /// After so many bytes the connection is closed.
    Cut(usize),
}

/// How often a rule strikes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Often {
    Times(u64),
    Always,
    Ratio(f64),
}

impl Often {
    fn strikes(&mut self, chance: &mut Rng) -> bool {
        match self {
            Self::Times(0) => false,
            Self::Times(left) => {
                *left -= 1;
                true
            }
            Self::Always => true,
            // The upper 53 bits are as many as a float tells apart.
            Self::Ratio(ratio) => ((chance.bits() >> 11) as f64) < *ratio * (1_u64 << 53) as f64,
        }
    }

    fn is_spent(self) -> bool {
        matches!(self, Self::Times(0))
    }
}

/// A request as rules see it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) api: Api,
    pub(crate) client_id: &'a str,
    pub(crate) node: i32,
    pub(crate) parts: &'a BTreeSet<Part>,
    /// Whether it is to be answered at all.
    pub(crate) is_answered: bool,
}

/// All that a request meets.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Strikes {
    pub(crate) way_there: Way,
    /// Who leads from here on.
    pub(crate) leaders: BTreeMap<Part, i32>,
    /// Of what is refused and has no effect.
    pub(crate) refused: Errors,
    /// Of what is carried out, and told to have failed.
    pub(crate) denied: Errors,
    pub(crate) throttle: Option<Duration>,
    pub(crate) way_back: Way,
}

/// What happens to one way of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) delay: Option<Duration>,
    pub(crate) end: Option<End>,
}

impl Strikes {
    /// Takes what a rule does, unless another rule does it already.
    fn add(&mut self, what: What, hit: impl Iterator<Item = Part>) {
        match what {
            What::DelayRequest(time) => self.way_there.delay = Some(time),
            What::EndRequest(end) => self.way_there.end = Some(end),
            What::Throttle(time) => self.throttle = Some(time),
            What::DelayReply(time) => self.way_back.delay = Some(time),
            What::EndReply(end) => self.way_back.end = Some(end),
            What::MoveLeader(to) => self.leaders.extend(hit.map(|part| (part, to))),
            What::Error(code, Effect::Refused) => self.refused.extend(hit.map(|part| (part, code))),
            What::Error(code, Effect::Done) => self.denied.extend(hit.map(|part| (part, code))),
        }
    }

    fn is_taken(&self, what: What) -> bool {
        match what {
            What::DelayRequest(_) => self.way_there.delay.is_some(),
            What::EndRequest(_) => self.way_there.end.is_some(),
            What::Throttle(_) => self.throttle.is_some(),
            What::DelayReply(_) => self.way_back.delay.is_some(),
            What::EndReply(_) => self.way_back.end.is_some(),
            What::Error(..) | What::MoveLeader(_) => false,
        }
    }

    /// Whether a part can meet this, and does not meet the like already.
    fn is_open_to(&self, what: What, part: &Part) -> bool {
        match what {
            What::MoveLeader(_) => part.partition.is_some() && !self.leaders.contains_key(part),
            _ => !self.refused.contains_key(part) && !self.denied.contains_key(part),
        }
    }
}

/// All rules, in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Rules {
    rules: BTreeMap<u64, Rule>,
    next_id: u64,
    chance: Rng,
}

#[derive(Debug)]
struct Rule {
    scope: Scope,
    what: What,
    often: Often,
    /// How often it struck, for whoever added it.
    struck: Arc<AtomicU64>,
}

impl Rules {
    pub(crate) fn new(chance: Rng) -> Self {
        Self { rules: BTreeMap::new(), next_id: 0, chance }
    }

    /// Adds a rule behind all others; says how it is called, and where its strikes are counted.
    pub(crate) fn add(&mut self, scope: Scope, what: What, often: Often) -> (u64, Arc<AtomicU64>) {
        let id = self.next_id;
        self.next_id += 1;
        let struck = Arc::new(AtomicU64::new(0));
        if !often.is_spent() {
            self.rules.insert(id, Rule { scope, what, often, struck: struck.clone() });
        }
        (id, struck)
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.rules.remove(&id);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Decides what a request meets. Of the rules that would do the same to it, the first strikes; an error is of the
    /// same kind only where it is told of the same part, and a move where it is of the same partition.
    pub(crate) fn on_request(&mut self, asked: &Asked<'_>) -> Strikes {
        let mut strikes = Strikes::default();
        self.strike(asked, &mut strikes, What::is_on_the_way_there);
        if strikes.way_there.end.is_none() {
            self.strike(asked, &mut strikes, |what| !what.is_on_the_way_there());
        }
        self.rules.retain(|_, rule| !rule.often.is_spent());
        strikes
    }

    fn strike(&mut self, asked: &Asked<'_>, strikes: &mut Strikes, is_due: impl Fn(What) -> bool) {
        for rule in self.rules.values_mut() {
            let what = rule.what;
            let possible = is_due(what) && (asked.is_answered || !what.needs_a_reply());
            if !possible || strikes.is_taken(what) || !rule.scope.covers(asked) {
                continue;
            }
            let hit = |part: &&Part| rule.scope.covers_part(part) && strikes.is_open_to(what, part);
            let hit: Vec<Part> = match what.is_of_parts() {
                true => asked.parts.iter().filter(hit).cloned().collect(),
                false => Vec::new(),
            };
            if what.is_of_parts() && hit.is_empty() {
                continue;
            }
            if rule.often.strikes(&mut self.chance) {
                rule.struck.fetch_add(1, Ordering::Relaxed);
                strikes.add(what, hit.into_iter());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: What = What::Error(ErrorCode::NotLeaderOrFollower, Effect::Refused);

    fn rules() -> Rules {
        Rules::new(Rng::new(7))
    }

    fn at(topic: &str, partition: i32) -> Part {
        Part::new(topic, partition)
    }

    fn produce(topic: &str) -> Scope {
        Scope { api: Some(Api::Produce), topics: topic.into(), ..Scope::default() }
    }

    fn asked(parts: &BTreeSet<Part>) -> Asked<'_> {
        Asked { api: Api::Produce, client_id: "app", node: 1, parts, is_answered: true }
    }

    /// What a request about partitions 0 and 1 of `orders` meets.
    fn meet(rules: &mut Rules) -> Strikes {
        rules.on_request(&asked(&BTreeSet::from([at("orders", 0), at("orders", 1)])))
    }

    #[test]
    fn a_rule_strikes_where_all_that_it_says_is_so() {
        let one = |change: fn(&mut Scope)| {
            let mut scope = produce("orders");
            change(&mut scope);
            let mut rules = rules();
            rules.add(scope, REFUSED, Often::Always);
            meet(&mut rules).refused.into_keys().map(|part| part.partition.unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(one(|_| ()), [0, 1]);
        assert_eq!(one(|it| it.api = None), [0, 1]);
        assert_eq!(one(|it| it.topics = Topics::All), [0, 1]);
        assert_eq!(one(|it| it.partition = Some(1)), [1]);
        assert_eq!(one(|it| (it.client_id, it.node) = (Some("app".to_owned()), Some(1))), [0, 1]);
        assert!(one(|it| it.api = Some(Api::Fetch)).is_empty());
        assert!(one(|it| it.topics = "others".into()).is_empty());
        assert!(one(|it| it.partition = Some(2)).is_empty());
        assert!(one(|it| it.client_id = Some("another".to_owned())).is_empty());
        assert!(one(|it| it.node = Some(2)).is_empty());
    }

    #[test]
    fn a_rule_strikes_as_often_as_was_said_and_is_gone_then() {
        let mut rules = rules();
        let (_, struck) = rules.add(produce("orders"), REFUSED, Often::Times(2));
        let (_, never) = rules.add(produce("orders"), What::DelayRequest(Duration::ZERO), Often::Times(0));
        for time in 1..=5 {
            assert_eq!(!meet(&mut rules).refused.is_empty(), time <= 2);
            assert_eq!(struck.load(Ordering::Relaxed), time.min(2));
            assert_eq!(rules.is_empty(), time >= 2);
        }
        assert_eq!(never.load(Ordering::Relaxed), 0);
        let (id, _) = rules.add(produce("orders"), REFUSED, Often::Always);
        assert!(!meet(&mut rules).refused.is_empty());
        rules.remove(id);
        assert_eq!(meet(&mut rules), Strikes::default());
    }

    #[test]
    fn a_ratio_is_kept_and_the_same_seed_strikes_the_same() {
        let run = |seed, ratio| {
            let mut rules = Rules::new(Rng::new(seed));
            rules.add(produce("orders"), REFUSED, Often::Ratio(ratio));
            (0..10_000).map(|_| meet(&mut rules) != Strikes::default()).collect::<Vec<_>>()
        };
        let count = |strikes: &[bool]| strikes.iter().filter(|it| **it).count();
        for seed in 0..20 {
            let strikes = run(seed, 0.3);
            assert!((2_800..3_200).contains(&count(&strikes)), "seed {seed}: {}", count(&strikes));
            assert_eq!(strikes, run(seed, 0.3), "seed {seed}");
        }
        assert_ne!(run(1, 0.3), run(2, 0.3));
        assert_eq!((count(&run(1, 0.0)), count(&run(1, 1.0))), (0, 10_000));
    }

    #[test]
    fn rules_that_would_do_the_same_take_turns_and_others_strike_together() {
        let mut rules = rules();
        let second = Duration::from_secs(1);
        let other = What::Error(ErrorCode::RequestTimedOut, Effect::Done);
        for (what, times) in
            [(REFUSED, 1), (other, 1), (What::DelayReply(second), 1), (What::DelayReply(second * 2), 1)]
        {
            rules.add(produce("orders"), what, Often::Times(times));
        }
        let first = meet(&mut rules);
        assert_eq!((first.refused.len(), first.denied.len()), (2, 0));
        assert_eq!(first.way_back.delay, Some(second));
        let then = meet(&mut rules);
        assert_eq!((then.refused.len(), then.denied.len()), (0, 2));
        assert_eq!(then.way_back.delay, Some(second * 2));
        assert!(rules.is_empty());
    }

    #[test]
    fn errors_of_different_partitions_are_told_together() {
        let mut rules = rules();
        let only = Scope { partition: Some(1), ..produce("orders") };
        rules.add(only, What::Error(ErrorCode::KafkaStorageError, Effect::Refused), Often::Always);
        rules.add(produce("orders"), REFUSED, Often::Always);
        let expected = [
            (at("orders", 0), ErrorCode::NotLeaderOrFollower),
            (at("orders", 1), ErrorCode::KafkaStorageError),
        ];
        assert_eq!(meet(&mut rules).refused, Errors::from(expected));
    }

    #[test]
    fn what_does_not_arrive_meets_nothing_more_and_without_a_reply_none_is_lost() {
        let mut rules = rules();
        let (_, refused) = rules.add(produce("orders"), REFUSED, Often::Always);
        let (_, lost) = rules.add(produce("orders"), What::EndReply(End::Silence), Often::Always);
        rules.add(produce("orders"), What::EndRequest(End::Cut(0)), Often::Times(1));
        let expected =
            Strikes { way_there: Way { delay: None, end: Some(End::Cut(0)) }, ..Strikes::default() };
        assert_eq!(meet(&mut rules), expected);
        assert_eq!(refused.load(Ordering::Relaxed), 0);
        let unanswered = BTreeSet::from([at("orders", 0)]);
        let strikes = rules.on_request(&Asked { is_answered: false, ..asked(&unanswered) });
        assert_eq!((strikes.refused.len(), strikes.way_back), (1, Way::default()));
        assert_eq!(lost.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_leader_moves_once_at_a_request_and_only_where_there_is_a_partition() {
        let mut rules = rules();
        for (to, expected) in [(2, 1), (3, 0)] {
            let scope = Scope { partition: Some(1), ..produce("orders") };
            let (_, struck) = rules.add(scope, What::MoveLeader(to), Often::Always);
            let strikes = meet(&mut rules);
            assert_eq!(strikes.leaders, BTreeMap::from([(at("orders", 1), 2)]));
            assert_eq!(struck.load(Ordering::Relaxed), expected, "the first that was added moves it");
        }
        let topic = BTreeSet::from([Part::new("orders", None)]);
        rules.add(produce("orders"), What::MoveLeader(2), Often::Always);
        assert_eq!(rules.on_request(&asked(&topic)), Strikes::default());
    }

    #[test]
    fn an_error_needs_something_to_be_told_of() {
        let mut rules = rules();
        let (_, struck) = rules.add(produce("orders"), REFUSED, Often::Always);
        rules.add(Scope::default(), REFUSED, Often::Always);
        assert_eq!(rules.on_request(&asked(&BTreeSet::new())), Strikes::default());
        assert_eq!(struck.load(Ordering::Relaxed), 0);
    }
}
