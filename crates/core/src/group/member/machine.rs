//! One member of one group. It speaks the protocol that it was told to, or that its coordinator has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use vltava_wire::{ErrorCode, Uuid};

use super::{
    Answer, Ask, AssignmentId, CallId, Commit, CommitId, Config, Failure, Ground, Parting, Protocol, Reason,
    Step, Ticket, Verdict,
};
use crate::{
    Moment, Rng, TopicPartition,
    group::{assign::Topics, classic, next},
};

/// From this version of ConsumerGroupHeartbeat on members name themselves, and the protocol is more than a preview.
const NEXT_SINCE: i16 = 1;

/// One member of one group.
#[derive(Debug)]
pub struct Member {
    ground: Ground,
    /// None until a coordinator was found.
    rules: Option<Box<dyn Rules>>,
}

/// What a protocol decides for a member that stands on common ground.
pub(in crate::group) trait Rules: fmt::Debug + Send {
    /// A broker answered, other than about the coordinator and commits. What nobody waits for is passed over.
    fn on_answer(&mut self, ground: &mut Ground, now: Moment, call: CallId, answer: Answer);
    /// A call came to nothing; from then on it may be tried again.
    fn on_broken(&mut self, ground: &mut Ground, now: Moment, call: CallId, again: Moment);
    /// What an answer to a commit said of the membership.
    fn on_verdict(&mut self, ground: &mut Ground, now: Moment, verdict: Verdict);
    /// The membership is over without notice, and everything is lost: begins to join from then on.
    fn lose(&mut self, ground: &mut Ground, at: Moment, reason: Reason);
    /// What is said in parting; nothing by who comes back or goes without a word.
    fn goodbye(&self, ground: &Ground, parting: Parting) -> Option<Ask>;
    /// What there is of the topics that were asked for.
    fn on_topics(&mut self, _ground: &mut Ground, _topics: &Topics) {}
    /// The names of topics that were asked for.
    fn on_names(&mut self, _names: &BTreeMap<Uuid, Arc<str>>) {}
    /// Other topics are wanted.
    fn on_subscription(&mut self) {}
    /// Does what is due. A member that leaves only lives on for its last commits.
    fn go_on(&mut self, ground: &mut Ground, now: Moment);
    /// Whether commits would be taken now.
    fn may_commit(&self, ground: &Ground) -> bool;
    /// When something is due.
    fn deadline(&self, ground: &Ground) -> Option<Moment>;
    /// Whether the coordinator will have none of this protocol, though it may of the other.
    fn is_refused(&self) -> bool {
        false
    }
    /// Whether this is the consumer protocol.
    fn is_next(&self) -> bool {
        false
    }
}

impl Member {
    /// A member that begins to join at the first `poll`.
    pub fn new(config: Config, rng: Rng) -> Self {
        Self { ground: Ground::new(config, rng), rules: None }
    }

    /// The group's name for the member, and its generation or member epoch, while it is in one.
    pub fn identity(&self) -> Option<(&str, i32)> {
        let Ground { member_id, epoch, .. } = &self.ground;
        (*epoch >= 0).then_some((&**member_id, *epoch))
    }

    /// Whether the coordinator shares out (KIP-848); none while that is not known.
    pub fn is_next(&self) -> Option<bool> {
        self.rules.as_ref().map(|rules| rules.is_next())
    }

    /// One of its partitions is read again from further back, since its log is another: commits of what was read
    /// before do not count any more, and the next may be lower. Gives the number under which it goes on, and what is
    /// stored of it, as far as it was committed under the one before. None if it is not the member's.
    pub fn start_over(&mut self, partition: &TopicPartition) -> Option<(AssignmentId, Option<i64>)> {
        self.ground.start_over(partition)
    }

    /// Asks for commits; a `Committed` with this id follows.
    pub fn commit(&mut self, id: CommitId, commits: Vec<Commit>) {
        self.ground.commits().push(id, commits);
    }

    /// Wants other topics from now on.
    pub fn subscribe(&mut self, topics: BTreeSet<String>) {
        if self.ground.config.topics == topics {
            return;
        }
        self.ground.config.topics = topics;
        if let Some(rules) = &mut self.rules {
            rules.on_subscription();
        }
    }

    /// What there is: the answer to `Count`, and whenever metadata came. A leader whose topics have changed has the
    /// group share out anew.
    pub fn on_topics(&mut self, topics: &Topics) {
        if let Some(rules) = &mut self.rules {
            rules.on_topics(&mut self.ground, topics);
        }
    }

    /// What topics are called: the answer to `Resolve`.
    pub fn on_names(&mut self, names: &BTreeMap<Uuid, Arc<str>>) {
        if let Some(rules) = &mut self.rules {
            rules.on_names(names);
        }
    }

    /// What was revoked is at rest, and all that is to be committed has been asked for.
    pub fn on_ticket(&mut self, ticket: Ticket) {
        self.ground.on_ticket(ticket);
    }

    /// Its owner is stuck: everything is lost, and the group is left until `on_back`.
    pub fn on_away(&mut self, now: Moment) {
        let Self { ground, rules: Some(rules) } = self else { return };
        if ground.is_away || ground.is_leaving() || ground.is_over() {
            return;
        }
        ground.is_away = true;
        let goodbye = rules.goodbye(ground, Parting::Usual).filter(|_| ground.epoch >= 0);
        rules.lose(ground, now, Reason::Away);
        if let Some(ask) = goodbye {
            ground.call(ask, ground.config.request_timeout);
            ground.member_id.clear();
        }
    }

    /// Its owner gets on again.
    pub fn on_back(&mut self) {
        self.ground.is_away = false;
    }

    /// Leaves the group, after the commits that were asked for or at the deadline; `Left` follows.
    pub fn leave(&mut self, deadline: Moment, parting: Parting) {
        self.ground.leave(deadline, parting);
    }

    /// What a broker said to a call. One that nobody waits for any more is passed over.
    pub fn on_answer(&mut self, now: Moment, call: CallId, answer: Answer) {
        let Self { ground, rules } = self;
        if ground.is_over() {
            return;
        }
        match (answer, rules) {
            (Answer::Coordinator { found, next }, _) => {
                if self.ground.on_found(now, call, &found) {
                    self.choose(next);
                }
            }
            (Answer::Commit(response), Some(rules)) => {
                let verdict = ground.on_committed(now, call, &response);
                rules.on_verdict(ground, now, verdict);
            }
            (answer, Some(rules)) => {
                rules.on_answer(ground, now, call, answer);
                if rules.is_refused() {
                    self.choose(None);
                }
            }
            (_, None) => (),
        }
    }

    /// A call came to nothing: refused, cut, or out of time. Nobody knows whether it was acted upon.
    pub fn on_broken(&mut self, now: Moment, call: CallId) {
        if self.ground.is_over() {
            return;
        }
        let again = self.ground.on_broken(now, call);
        if let Some(rules) = &mut self.rules {
            rules.on_broken(&mut self.ground, now, call, again);
        }
    }

    /// What to do next. Call it until there is nothing, after every other call and at `deadline`.
    pub fn poll(&mut self, now: Moment) -> Option<Step> {
        let ground = &mut self.ground;
        ground.report_commits();
        if ground.steps.is_empty() && !ground.is_over() {
            ground.find_coordinator(now);
            match &mut self.rules {
                Some(rules) => go_on(ground, &mut **rules, now),
                None if ground.is_leaving() => ground.end(),
                None => (),
            }
            ground.report_commits();
        }
        self.ground.steps.pop_front()
    }

    /// When `poll` has something to do that nobody asked for.
    pub fn deadline(&self) -> Option<Moment> {
        if self.ground.is_over() {
            return None;
        }
        let may_commit = self.rules.as_ref().is_some_and(|rules| rules.may_commit(&self.ground));
        let rules = self.rules.as_ref().filter(|_| !self.ground.is_away);
        let rules = rules.and_then(|rules| rules.deadline(&self.ground));
        [self.ground.deadline(may_commit), rules].into_iter().flatten().min()
    }

    /// A coordinator was found that has the consumer protocol up to this version: goes on with what was spoken
    /// before if it can, or else with the other, and with nothing in hand.
    fn choose(&mut self, next: Option<i16>) {
        let has_next = next.is_some_and(|version| version >= NEXT_SINCE);
        let Config { protocol, assignors, regex, .. } = &self.ground.config;
        let is_next = match protocol {
            Protocol::Classic => false,
            Protocol::Consumer => true,
            Protocol::Auto => has_next && (assignors.is_empty() || regex.is_some()),
        };
        if (is_next && !has_next) || (!is_next && regex.is_some()) {
            let code = ErrorCode::UnsupportedVersion;
            return self
                .ground
                .fail(Failure::Refused { asked: "taking part in the consumer protocol", code });
        }
        match self.is_next() {
            // Who is in a group already does not change horses because there is another coordinator.
            Some(before) if before == is_next || (is_next && self.identity().is_some()) => return,
            _ => (),
        }
        self.ground.begin_anew();
        self.rules = Some(match is_next {
            true => Box::new(next::Member::new(&mut self.ground.rng)),
            false => Box::new(classic::Member::default()),
        });
    }
}

fn go_on(ground: &mut Ground, rules: &mut dyn Rules, now: Moment) {
    if ground.is_forgotten(now) {
        rules.lose(ground, now, Reason::Unheard);
    }
    if let Some(parting) = ground.parts(now) {
        match rules.goodbye(ground, parting) {
            Some(ask) => ground.say_goodbye(ask),
            None => ground.end(),
        }
    }
    if ground.is_over() || ground.is_away {
        return;
    }
    rules.go_on(ground, now);
    if !ground.is_over() && rules.may_commit(ground) {
        ground.send_commits(now);
    }
}
