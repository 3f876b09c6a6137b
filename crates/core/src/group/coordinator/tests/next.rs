//! Members of KIP-848.

use std::{collections::BTreeSet, time::Duration};

use vltava_wire::{
    ErrorCode, Uuid,
    messages::next_group::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions},
};

use super::{
    super::{Answer, Beat, Token, Topic},
    Desk,
};

/// How long a member may be silent.
const NEXT_SESSION: u64 = 45_000;
/// How long it may take to give partitions back.
const PATIENCE: i32 = 20_000;

/// A member that does as it is told.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) id: String,
    instance: Option<String>,
    pub(super) topics: Vec<String>,
    regex: Option<String>,
    pub(super) epoch: i32,
    pub(super) holds: BTreeSet<(u128, i32)>,
    /// What it was told last to have, and does not have yet.
    told: Option<BTreeSet<(u128, i32)>>,
    /// Whether it missed an answer, and says everything again.
    pub(super) is_unsure: bool,
}

impl Worker {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            instance: None,
            topics: vec!["t".to_owned()],
            regex: None,
            epoch: 0,
            holds: BTreeSet::new(),
            told: None,
            is_unsure: false,
        }
    }

    pub(super) fn named(id: &str, instance: &str) -> Self {
        Self { instance: Some(instance.to_owned()), ..Self::new(id) }
    }

    fn wanting(id: &str, topics: &[&str]) -> Self {
        Self { topics: topics.iter().map(|it| (*it).to_owned()).collect(), ..Self::new(id) }
    }

    pub(super) fn matching(id: &str, regex: &str) -> Self {
        Self { topics: Vec::new(), regex: Some(regex.to_owned()), ..Self::new(id) }
    }

    /// All that there is to say, as in the first heartbeat.
    pub(super) fn whole(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            rebalance_timeout_ms: PATIENCE,
            subscribed_topic_names: Some(self.topics.clone()),
            subscribed_topic_regex: self.regex.clone(),
            ..self.short()
        }
    }

    /// What is said when nothing but what it holds may have changed.
    pub(super) fn short(&self) -> ConsumerGroupHeartbeatRequest {
        let mut held: Vec<TopicPartitions> = Vec::new();
        for (topic, partition) in &self.holds {
            held.push(TopicPartitions { topic_id: Uuid(*topic), partitions: vec![*partition] });
        }
        ConsumerGroupHeartbeatRequest {
            group_id: "g".to_owned(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            instance_id: self.instance.clone(),
            topic_partitions: Some(held),
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }

    fn next(&self) -> ConsumerGroupHeartbeatRequest {
        if self.epoch == 0 || self.is_unsure { self.whole() } else { self.short() }
    }

    /// It was told, and gives back and takes what it was told to.
    pub(super) fn obey(&mut self) {
        if let Some(told) = self.told.take() {
            self.holds = told;
        }
    }
}

impl Desk {
    pub(super) fn sharing(partitions: i32) -> Self {
        let mut desk = Self::new();
        desk.topic("t", 1, partitions);
        desk
    }

    pub(super) fn topic(&mut self, name: &str, id: u128, partitions: i32) {
        self.groups.on_topic(name, Some(Topic { id: Uuid(id), partitions }));
    }

    pub(super) fn send(&mut self, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        let response = self.send_only(request);
        assert!(self.answers().is_empty(), "heartbeats are answered at once");
        response
    }

    fn send_only(&mut self, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        self.answers();
        let (client_id, client_host) = ("app".to_owned(), "10.0.0.7".to_owned());
        let beat = Beat { version: 1, client_id, client_host, request };
        self.groups.on_next_heartbeat(self.now, beat)
    }

    /// A heartbeat that sends others away who waited to join.
    pub(super) fn beat_with_answers(&mut self, worker: &mut Worker) -> Vec<(Token, ErrorCode)> {
        let response = self.send_only(worker.whole());
        assert_eq!(response.error_code, 0);
        let code = |(token, answer)| match answer {
            Answer::Join(response) => (token, ErrorCode::from(response.error_code)),
            Answer::Sync(response) => (token, ErrorCode::from(response.error_code)),
        };
        self.answers().into_iter().map(code).collect()
    }

    /// The worker says what it holds, all else with it if it joins, and hears what it is to have.
    pub(super) fn beat(&mut self, worker: &mut Worker) -> ErrorCode {
        let request = worker.next();
        worker.is_unsure = false;
        self.hear(worker, request)
    }

    /// The worker is heard of, and hears nothing. What it was told before it may not take any more: the coordinator
    /// may have given it to another, as the worker does not hold it. It says everything again, and is told.
    pub(super) fn beat_unheard(&mut self, worker: &mut Worker) {
        self.send(worker.next());
        worker.is_unsure = true;
        worker.told = None;
    }

    pub(super) fn leave(&mut self, worker: &Worker) {
        self.send(ConsumerGroupHeartbeatRequest { member_epoch: -1, ..worker.short() });
    }

    fn hear(&mut self, worker: &mut Worker, request: ConsumerGroupHeartbeatRequest) -> ErrorCode {
        let response = self.send(request);
        if response.error_code == 0 {
            worker.epoch = response.member_epoch;
        }
        if let Some(assignment) = response.assignment {
            let topic = |it: TopicPartitions| {
                it.partitions.into_iter().map(move |partition| (it.topic_id.0, partition)).collect::<Vec<_>>()
            };
            worker.told = Some(assignment.topic_partitions.into_iter().flat_map(topic).collect());
        }
        ErrorCode::from(response.error_code)
    }

    /// Heartbeats all round until nothing changes any more.
    pub(super) fn settle(&mut self, workers: &mut [&mut Worker]) {
        self.beats(workers);
        assert_eq!(self.groups.describe_next("g").group_state, "Stable");
    }

    pub(super) fn beats(&mut self, workers: &mut [&mut Worker]) {
        for _ in 0..6 {
            for worker in workers.iter_mut() {
                assert_eq!(self.beat(worker), ErrorCode::None, "{worker:?}");
                worker.obey();
            }
        }
    }

    pub(super) fn epoch(&self) -> i32 {
        self.groups.describe_next("g").group_epoch
    }

    pub(super) fn code(&mut self, request: ConsumerGroupHeartbeatRequest) -> ErrorCode {
        ErrorCode::from(self.send(request).error_code)
    }
}

fn partitions(worker: &Worker) -> Vec<i32> {
    worker.holds.iter().map(|(_, partition)| *partition).collect()
}

#[test]
fn who_is_alone_gets_everything_with_the_first_heartbeat() {
    let mut desk = Desk::sharing(3);
    let response = desk.send(Worker::new("a").whole());
    assert_eq!((response.error_code, response.member_epoch, response.heartbeat_interval_ms), (0, 1, 5_000));
    let told = response.assignment.expect("who joins is told").topic_partitions;
    assert_eq!(told, [TopicPartitions { topic_id: Uuid(1), partitions: vec![0, 1, 2] }]);
    let described = desk.groups.describe_next("g");
    assert_eq!(
        (&*described.group_state, described.group_epoch, described.assignment_epoch),
        ("Stable", 1, 1)
    );
    assert_eq!(described.members[0].assignment.topic_partitions[0].topic_name, "t");
}

#[test]
fn a_partition_is_given_on_only_when_it_was_given_back() {
    let mut desk = Desk::sharing(2);
    let (mut a, mut b) = (Worker::new("a"), Worker::new("b"));
    desk.settle(&mut [&mut a]);
    assert_eq!(desk.beat(&mut b), ErrorCode::None);
    assert_eq!((b.epoch, b.told.clone()), (2, Some(BTreeSet::new())), "all is held by the other");

    assert_eq!(desk.beat(&mut a), ErrorCode::None);
    assert_eq!(
        (a.epoch, a.told.as_ref().map(BTreeSet::len)),
        (1, Some(1)),
        "it stays until it has given back"
    );
    assert_eq!(desk.beat(&mut b), ErrorCode::None);
    assert_eq!(b.told, Some(BTreeSet::new()), "not yet");

    a.obey();
    assert_eq!((desk.beat(&mut a), a.epoch), (ErrorCode::None, 2));
    assert_eq!((desk.beat(&mut b), b.epoch), (ErrorCode::None, 2));
    b.obey();
    assert_eq!([partitions(&a), partitions(&b)].concat().len(), 2);
    assert!(a.holds.is_disjoint(&b.holds) && !b.holds.is_empty());
}

#[test]
fn who_does_not_give_back_in_time_is_out() {
    let mut desk = Desk::sharing(2);
    let (mut a, mut b) = (Worker::new("a"), Worker::new("b"));
    desk.settle(&mut [&mut a]);
    desk.beat(&mut b);
    desk.beat(&mut a);
    for _ in 0..PATIENCE / 5_000 {
        assert_eq!(desk.code(a.short()), ErrorCode::None, "it lives, and holds on");
        desk.pass(5_000);
        desk.answers();
    }
    assert_eq!(desk.code(a.short()), ErrorCode::UnknownMemberId);
    desk.settle(&mut [&mut b]);
    assert_eq!(partitions(&b), [0, 1]);
}

#[test]
fn a_silent_member_is_out_when_its_session_ends() {
    let mut desk = Desk::sharing(2);
    let (mut a, mut b) = (Worker::new("a"), Worker::new("b"));
    desk.settle(&mut [&mut a, &mut b]);
    desk.pass(NEXT_SESSION - 1);
    assert_eq!(desk.beat(&mut b), ErrorCode::None);
    desk.pass(1);
    desk.settle(&mut [&mut b]);
    assert_eq!(partitions(&b), [0, 1]);
    assert_eq!(desk.code(a.short()), ErrorCode::UnknownMemberId);
}

#[test]
fn who_leaves_sets_all_it_held_free() {
    let mut desk = Desk::sharing(2);
    let (mut a, mut b) = (Worker::new("a"), Worker::new("b"));
    desk.settle(&mut [&mut a, &mut b]);
    let left = desk.send(ConsumerGroupHeartbeatRequest { member_epoch: -1, ..a.short() });
    assert_eq!((left.error_code, left.member_epoch), (0, -1));
    assert_eq!(desk.beat(&mut b), ErrorCode::None);
    b.obey();
    assert_eq!(partitions(&b), [0, 1]);
    assert_eq!(
        desk.code(ConsumerGroupHeartbeatRequest { member_epoch: -1, ..a.short() }),
        ErrorCode::UnknownMemberId
    );
}

#[test]
fn an_answer_that_was_lost_is_given_again_to_who_holds_no_more_than_it_may() {
    let mut desk = Desk::sharing(4);
    let mut a = Worker::new("a");
    desk.settle(&mut [&mut a]);
    let behind = a.clone();
    desk.topic("t", 1, 5);
    desk.settle(&mut [&mut a]);
    assert_eq!((behind.epoch, a.epoch), (1, 2));

    let response = desk.send(ConsumerGroupHeartbeatRequest { ..behind.whole() });
    assert_eq!((response.error_code, response.member_epoch), (0, 2));
    assert!(response.assignment.is_some(), "who says everything is told everything");
    let silent = ConsumerGroupHeartbeatRequest { topic_partitions: None, ..behind.short() };
    assert_eq!(desk.code(silent), ErrorCode::FencedMemberEpoch);
    let mut greedy = behind.clone();
    greedy.holds.insert((7, 7));
    assert_eq!(desk.code(greedy.short()), ErrorCode::FencedMemberEpoch);
    desk.topic("t", 1, 6);
    desk.settle(&mut [&mut a]);
    assert_eq!(desk.code(behind.short()), ErrorCode::FencedMemberEpoch, "two epochs behind");
}

#[test]
fn who_was_fenced_joins_again_and_is_told_what_it_may_have() {
    let mut desk = Desk::sharing(3);
    let mut a = Worker::new("a");
    desk.settle(&mut [&mut a]);
    for partitions in 4..7 {
        desk.topic("t", 1, partitions);
        desk.settle(&mut [&mut a]);
    }
    let mut again = Worker::new("a");
    desk.settle(&mut [&mut again]);
    assert_eq!((again.epoch, again.holds), (a.epoch, a.holds));
}

#[test]
fn a_heartbeat_that_brings_nothing_new_is_answered_without_an_assignment() {
    let mut desk = Desk::sharing(3);
    let mut a = Worker::new("a");
    desk.settle(&mut [&mut a]);
    assert_eq!(desk.send(a.short()).assignment, None);
    let bare = ConsumerGroupHeartbeatRequest { topic_partitions: None, ..a.short() };
    assert_eq!(desk.send(bare).assignment, None);
    assert!(desk.send(a.whole()).assignment.is_some());
}

#[test]
fn a_static_member_comes_back_to_what_it_had_and_nobody_notices() {
    let mut desk = Desk::sharing(2);
    let (mut a, mut b) = (Worker::named("a1", "one"), Worker::new("b"));
    desk.settle(&mut [&mut a, &mut b]);
    let epoch = desk.epoch();
    assert_eq!(desk.code(Worker::named("a2", "one").whole()), ErrorCode::UnreleasedInstanceId);

    let away = desk.send(ConsumerGroupHeartbeatRequest { member_epoch: -2, ..a.short() });
    assert_eq!((away.error_code, away.member_epoch), (0, -2));
    desk.beats(&mut [&mut b]);
    assert_eq!(partitions(&b).len(), 1, "what is away is kept for it");
    assert_eq!(desk.code(a.short()), ErrorCode::FencedMemberEpoch);

    let mut back = Worker::named("a2", "one");
    desk.settle(&mut [&mut back, &mut b]);
    assert_eq!((desk.epoch(), &back.holds), (epoch, &a.holds));
    assert_eq!(desk.code(a.short()), ErrorCode::FencedInstanceId);
    assert_eq!(
        desk.code(ConsumerGroupHeartbeatRequest { member_epoch: -1, ..a.short() }),
        ErrorCode::FencedInstanceId
    );
}

#[test]
fn a_static_member_that_stays_away_is_out_when_its_session_ends() {
    let mut desk = Desk::sharing(2);
    let (mut a, mut b) = (Worker::named("a1", "one"), Worker::new("b"));
    desk.settle(&mut [&mut a, &mut b]);
    desk.send(ConsumerGroupHeartbeatRequest { member_epoch: -2, ..a.short() });
    desk.pass(NEXT_SESSION / 2);
    desk.beats(&mut [&mut b]);
    desk.pass(NEXT_SESSION / 2);
    desk.settle(&mut [&mut b]);
    assert_eq!(partitions(&b), [0, 1]);
    assert_eq!(
        desk.code(Worker::named("a2", "one").short()),
        ErrorCode::InvalidRequest,
        "epoch 0 says what it wants"
    );
}

#[test]
fn a_static_member_whose_join_was_not_answered_joins_again_as_itself() {
    let mut desk = Desk::sharing(2);
    let a = Worker::named("a1", "one");
    assert_eq!(desk.code(a.whole()), ErrorCode::None);
    assert_eq!(desk.code(a.whole()), ErrorCode::None);
    let renamed = Worker { instance: Some("two".to_owned()), ..a };
    assert_eq!(desk.code(renamed.whole()), ErrorCode::InvalidRequest);
}

#[test]
fn topics_that_come_grow_and_go_are_shared_out_with_the_next_heartbeat() {
    let mut desk = Desk::new();
    let mut a = Worker::wanting("a", &["t", "u"]);
    desk.settle(&mut [&mut a]);
    assert_eq!((a.epoch, a.holds.len()), (1, 0));
    desk.topic("t", 1, 1);
    desk.topic("unwanted", 9, 4);
    desk.settle(&mut [&mut a]);
    assert_eq!(a.holds, BTreeSet::from([(1, 0)]));
    let epoch = desk.epoch();
    desk.topic("unwanted", 9, 5);
    desk.settle(&mut [&mut a]);
    assert_eq!(desk.epoch(), epoch, "nobody wants it");
    desk.topic("t", 1, 2);
    desk.topic("u", 2, 1);
    desk.settle(&mut [&mut a]);
    assert_eq!(a.holds, BTreeSet::from([(1, 0), (1, 1), (2, 0)]));
    desk.topic("t", 3, 1);
    desk.groups.on_topic("u", None);
    desk.settle(&mut [&mut a]);
    assert_eq!(a.holds, BTreeSet::from([(3, 0)]), "made anew it is another topic");
}

#[test]
fn a_pattern_takes_in_topics_as_they_come() {
    let mut desk = Desk::sharing(1);
    let mut a = Worker::matching("a", "t|orders-.*");
    desk.settle(&mut [&mut a]);
    assert_eq!(a.holds, BTreeSet::from([(1, 0)]));
    desk.topic("orders-eu", 2, 1);
    desk.topic("reorders-eu", 3, 1);
    desk.settle(&mut [&mut a]);
    assert_eq!(a.holds, BTreeSet::from([(1, 0), (2, 0)]));
    let none = ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some(String::new()), ..a.short() };
    assert_eq!(desk.hear(&mut a, none), ErrorCode::None, "an empty pattern is none");
    desk.settle(&mut [&mut a]);
    assert!(a.holds.is_empty());
    assert_eq!(desk.code(Worker::matching("b", "(").whole()), ErrorCode::InvalidRegularExpression);
}

#[test]
fn each_member_has_only_what_it_wants() {
    let mut desk = Desk::sharing(2);
    desk.topic("u", 2, 2);
    let (mut a, mut b) = (Worker::wanting("a", &["t"]), Worker::wanting("b", &["t", "u"]));
    desk.settle(&mut [&mut a, &mut b]);
    assert!(a.holds.iter().all(|(topic, _)| *topic == 1));
    assert_eq!(a.holds.len() + b.holds.len(), 4);
    a.topics = vec!["u".to_owned()];
    let other = a.whole();
    assert_eq!(desk.hear(&mut a, other), ErrorCode::None);
    desk.settle(&mut [&mut a, &mut b]);
    assert!(a.holds.iter().all(|(topic, _)| *topic == 2));
    assert_eq!(a.holds.len() + b.holds.len(), 4);
}

#[test]
fn nobody_has_to_be_asked_for_groups_to_come_to_rest() {
    let mut desk = Desk::sharing(1);
    let mut a = Worker::new("a");
    desk.settle(&mut [&mut a]);
    assert_eq!(desk.groups.deadline(), Some(desk.now + Duration::from_millis(NEXT_SESSION)));
    desk.pass(NEXT_SESSION);
    desk.answers();
    assert_eq!(desk.groups.deadline(), None);
    assert_eq!(desk.groups.describe_next("g").group_state, "Empty");
}

#[test]
fn who_never_read_where_it_was_led_is_told_until_it_says_that_it_is_there() {
    let mut desk = Desk::sharing(2);
    let (mut a, mut b) = (Worker::new("a"), Worker::new("b"));
    desk.settle(&mut [&mut a]);
    b.epoch = desk.send(b.whole()).member_epoch;
    desk.beats(&mut [&mut a]);
    // It had sent this before, and given it up: it is served late, and nobody reads the answer.
    let late = desk.send(Worker::new("b").whole());
    assert_eq!((late.member_epoch, late.assignment.map(|it| it.topic_partitions.len())), (b.epoch, Some(1)));
    let rests = ConsumerGroupHeartbeatRequest { topic_partitions: None, ..b.short() };
    for _ in 0..2 {
        assert!(desk.send(rests.clone()).assignment.is_some());
    }
    desk.hear(&mut b, rests.clone());
    b.obey();
    assert_eq!(b.holds.len(), 1);
    assert_eq!(desk.send(b.short()).assignment, None);
    assert_eq!(desk.send(rests).assignment, None);
}
