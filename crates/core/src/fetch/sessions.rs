//! The broker's end of fetch sessions: it remembers what clients want, and tells them only what is new (KIP-227).
//!
//! A session begins with a request that says everything, and its response. From then on a request says what has
//! changed, and a response has the partitions of which there is something to tell. There are so many sessions and no
//! more: where none is to be had, the id 0 says so, and the client says everything every time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        FetchRequest, FetchResponse,
        fetch::{FetchPartition, FetchTopic, FetchableTopicResponse, PartitionData},
    },
};

use crate::{Moment, Rng};

/// The epoch of a request outside of any session; it also ends one.
const FINAL: i32 = -1;

/// The epoch of a request that asks for a session.
const INITIAL: i32 = 0;

/// No topic has a longer name; what is longer is not remembered.
const NAME_BYTES_MAX: usize = 249;

/// How much is remembered.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sessions at a time.
    pub sessions: usize,
    /// Partitions in all sessions together.
    pub partitions: usize,
    /// A session that was not used for so long may have to make room for another, and one that is older than this
    /// for one with more partitions.
    pub protected: Duration,
}

impl Default for Limits {
    /// Kafka's, and some ten MB of memory.
    fn default() -> Self {
        Self { sessions: 1_000, partitions: 50_000, protected: Duration::from_secs(120) }
    }
}

/// The sessions of a broker.
#[derive(Debug, Default)]
pub struct Sessions {
    limits: Limits,
    sessions: BTreeMap<i32, Session>,
    /// Of all sessions.
    partitions: usize,
}

/// What is to become of a response.
#[derive(Debug)]
pub enum Handle {
    /// It says everything, outside of any session.
    Alone,
    /// It says everything, and begins a session about these partitions.
    Begins {
        /// What the request said.
        topics: Vec<FetchTopic>,
        /// Whether topics go by their ids.
        by_id: bool,
    },
    /// It says what is new in a session.
    GoesOn {
        /// The session.
        id: i32,
        /// The epoch that the next request will have.
        epoch: i32,
    },
}

#[derive(Debug, Clone)]
struct Session {
    by_id: bool,
    /// Of the next request.
    epoch: i32,
    wanted: BTreeMap<Key, Wanted>,
    /// By turn: who got something goes to the end, so that nobody is left out for ever.
    turns: BTreeMap<u64, Key>,
    next_turn: u64,
    begun: Moment,
    used: Moment,
}

/// A partition, its topic known by name or by id.
type Key = (Topic, i32);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Name(Arc<str>),
    Id(Uuid),
}

#[derive(Debug, Clone)]
struct Wanted {
    asked: FetchPartition,
    turn: u64,
    /// High watermark and beginning of the log, as the client knows them.
    told: Option<(i64, i64)>,
}

impl Sessions {
    /// No session yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes a request, and completes it: from then on it names all that is wanted, in the order in which it is to be
    /// read. An error is all that is answered.
    pub fn on_request(
        &mut self,
        now: Moment,
        by_id: bool,
        request: &mut FetchRequest,
    ) -> Result<Handle, ErrorCode> {
        let id = request.session_id;
        match request.session_epoch {
            FINAL => {
                self.remove(id);
                Ok(Handle::Alone)
            }
            INITIAL if !can_be_remembered(&request.topics) => {
                self.remove(id);
                Ok(Handle::Alone)
            }
            INITIAL => {
                self.remove(id);
                Ok(Handle::Begins { topics: request.topics.clone(), by_id })
            }
            epoch => self.go_on(now, id, epoch, by_id, request),
        }
    }

    /// What a request is about, all that its session adds included. It is not taken.
    pub fn preview(&self, request: &FetchRequest) -> Vec<FetchTopic> {
        match self.sessions.get(&request.session_id) {
            Some(session) if request.session_epoch == session.epoch => {
                let mut session = session.clone();
                session.change(&mut request.clone());
                session.topics()
            }
            _ => request.topics.clone(),
        }
    }

    fn go_on(
        &mut self,
        now: Moment,
        id: i32,
        epoch: i32,
        by_id: bool,
        request: &mut FetchRequest,
    ) -> Result<Handle, ErrorCode> {
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        let fits = can_be_remembered(&request.topics);
        let before = session.wanted.len();
        session.change(request);
        let after = session.wanted.len();
        session.used = now;
        session.epoch = next(epoch);
        let epoch = session.epoch;
        request.topics = session.topics();
        self.partitions = self.partitions + after - before;
        if after == 0 || !fits || self.partitions > self.limits.partitions {
            // Nothing is left to remember, or there is no room to: the client is told everything, and the id 0.
            self.remove(id);
            return Ok(Handle::Alone);
        }
        Ok(Handle::GoesOn { id, epoch })
    }

    /// Takes the response, which has all that was wanted, and leaves out what need not be said.
    pub fn on_response(
        &mut self,
        now: Moment,
        chance: &mut Rng,
        handle: Handle,
        mut response: FetchResponse,
    ) -> FetchResponse {
        match handle {
            Handle::Alone => response,
            Handle::Begins { topics, by_id } => {
                let mut session = Session::new(now, by_id, topics);
                session.tell(&mut response.responses, false);
                response.session_id = self.begin(now, chance, session);
                response
            }
            Handle::GoesOn { id, epoch } => match self.sessions.get_mut(&id) {
                Some(session) if session.epoch == epoch => {
                    session.tell(&mut response.responses, true);
                    FetchResponse { session_id: id, ..response }
                }
                // It went on without this response, or had to make room.
                Some(_) => refused(ErrorCode::InvalidFetchSessionEpoch),
                None => refused(ErrorCode::FetchSessionIdNotFound),
            },
        }
    }

    /// The id of a session that begins, or 0 if there is no room.
    fn begin(&mut self, now: Moment, chance: &mut Rng, session: Session) -> i32 {
        let size = session.wanted.len();
        if size == 0 || !self.make_room(now, size) {
            return 0;
        }
        let id = loop {
            let id = chance.bits() as i32 & i32::MAX;
            if id != 0 && !self.sessions.contains_key(&id) {
                break id;
            }
        };
        self.partitions += size;
        self.sessions.insert(id, session);
        id
    }

    fn make_room(&mut self, now: Moment, size: usize) -> bool {
        let Limits { sessions, partitions, protected } = self.limits;
        if size > partitions {
            return false;
        }
        while self.sessions.len() >= sessions || self.partitions + size > partitions {
            let idle = self.sessions.iter().min_by_key(|(_, it)| it.used);
            let idle = idle.filter(|(_, it)| now.since(it.used) > protected);
            let old = self.sessions.iter().filter(|(_, it)| now.since(it.begun) > protected);
            let smaller =
                || old.min_by_key(|(_, it)| it.wanted.len()).filter(|(_, it)| it.wanted.len() < size);
            let Some((&id, _)) = idle.or_else(smaller) else { return false };
            self.remove(id);
        }
        true
    }

    fn remove(&mut self, id: i32) {
        if let Some(gone) = self.sessions.remove(&id) {
            self.partitions -= gone.wanted.len();
        }
    }
}

impl Session {
    fn new(now: Moment, by_id: bool, topics: Vec<FetchTopic>) -> Self {
        let mut session = Self {
            by_id,
            epoch: next(INITIAL),
            wanted: BTreeMap::new(),
            turns: BTreeMap::new(),
            next_turn: 0,
            begun: now,
            used: now,
        };
        topics.into_iter().for_each(|topic| session.want(topic));
        session
    }

    fn topic(&self, name: &str, id: Uuid) -> Topic {
        if self.by_id { Topic::Id(id) } else { Topic::Name(name.into()) }
    }

    /// Takes what a request says of other partitions, or otherwise of the same.
    fn change(&mut self, request: &mut FetchRequest) {
        for gone in std::mem::take(&mut request.forgotten_topics_data) {
            let topic = self.topic(&gone.topic, gone.topic_id);
            for partition in gone.partitions {
                if let Some(gone) = self.wanted.remove(&(topic.clone(), partition)) {
                    self.turns.remove(&gone.turn);
                }
            }
        }
        std::mem::take(&mut request.topics).into_iter().for_each(|topic| self.want(topic));
    }

    fn want(&mut self, topic: FetchTopic) {
        let name = self.topic(&topic.topic, topic.topic_id);
        for asked in topic.partitions {
            let key = (name.clone(), asked.partition);
            if let Some(wanted) = self.wanted.get_mut(&key) {
                wanted.asked = asked;
                continue;
            }
            let turn = self.next_turn;
            self.next_turn += 1;
            self.turns.insert(turn, key.clone());
            self.wanted.insert(key, Wanted { asked, turn, told: None });
        }
    }

    /// All that is wanted, in order of turn.
    fn topics(&self) -> Vec<FetchTopic> {
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut last = None;
        for key in self.turns.values() {
            if last != Some(&key.0) {
                let (topic, topic_id) = match &key.0 {
                    Topic::Name(name) => (name.to_string(), Uuid::ZERO),
                    Topic::Id(id) => (String::new(), *id),
                };
                topics.push(FetchTopic { topic, topic_id, partitions: Vec::new() });
                last = Some(&key.0);
            }
            let topic = topics.last_mut().expect("it was pushed");
            topic.partitions.push(self.wanted[key].asked.clone());
        }
        topics
    }

    /// Takes note of what the client is told, and leaves out what it knows, if it knows something.
    fn tell(&mut self, responses: &mut Vec<FetchableTopicResponse>, leave_out: bool) {
        for topic in &mut *responses {
            let name = self.topic(&topic.topic, topic.topic_id);
            topic.partitions.retain(|data| self.is_news(&name, data) || !leave_out);
        }
        responses.retain(|topic| !topic.partitions.is_empty());
    }

    fn is_news(&mut self, topic: &Topic, data: &PartitionData) -> bool {
        let key = (topic.clone(), data.partition_index);
        let Some(wanted) = self.wanted.get_mut(&key) else { return false };
        let failed = data.error_code != ErrorCode::None.code();
        let has_records = data.records.as_ref().is_some_and(|it| !it.is_empty());
        let diverges = data.diverging_epoch.epoch >= 0;
        // After an error the client may have dropped what it knew.
        let now = (!failed).then_some((data.high_watermark, data.log_start_offset));
        let differs = wanted.told != now;
        wanted.told = now;
        if has_records {
            self.turns.remove(&wanted.turn);
            wanted.turn = self.next_turn;
            self.next_turn += 1;
            self.turns.insert(wanted.turn, key);
        }
        failed || has_records || diverges || differs
    }
}

/// Whether an error is one of sessions, which a response as a whole is told.
pub fn is_of_session(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::FetchSessionIdNotFound
            | ErrorCode::InvalidFetchSessionEpoch
            | ErrorCode::FetchSessionTopicIdError
    )
}

fn can_be_remembered(topics: &[FetchTopic]) -> bool {
    topics.iter().all(|it| it.topic.len() <= NAME_BYTES_MAX)
}

/// The epoch after this one.
fn next(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

fn refused(code: ErrorCode) -> FetchResponse {
    FetchResponse { error_code: code.code(), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use vltava_wire::messages::fetch::ForgottenTopic;

    use super::*;
    use crate::{
        cluster::TopicPartition,
        fetch::{Session as Client, Wanted as ClientWants},
    };

    const START: Moment = Moment(1_000_000);

    /// What a client asks of partitions of `orders`: which, and from where on.
    type Asked = BTreeMap<i32, i64>;

    fn request_of(client: &mut Client, asked: &Asked) -> FetchRequest {
        let wanted = |(&partition, &offset): (&i32, &i64)| {
            let wants =
                ClientWants { topic_id: Uuid(7), offset, leader_epoch: -1, last_epoch: -1, bytes_max: 1 };
            (TopicPartition::new("orders", partition), wants)
        };
        client.request(asked.iter().map(wanted), false)
    }

    /// A request that says all of this.
    fn whole(partitions: impl IntoIterator<Item = i32>) -> FetchRequest {
        request_of(&mut Client::default(), &partitions.into_iter().map(|it| (it, 0)).collect())
    }

    fn asked_by(request: &FetchRequest) -> Asked {
        let all = request.topics.iter().flat_map(|topic| &topic.partitions);
        all.map(|it| (it.partition, it.fetch_offset)).collect()
    }

    /// A response with these high watermarks, and records where that is said.
    fn response(
        request: &FetchRequest,
        high_watermark: impl Fn(i32) -> i64,
        records: &BTreeSet<i32>,
    ) -> FetchResponse {
        let data = |asked: &FetchPartition| PartitionData {
            partition_index: asked.partition,
            high_watermark: high_watermark(asked.partition),
            records: Some(if records.contains(&asked.partition) { "records".into() } else { "".into() }),
            ..Default::default()
        };
        let topic = |topic: &FetchTopic| FetchableTopicResponse {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(data).collect(),
        };
        FetchResponse { responses: request.topics.iter().map(topic).collect(), ..Default::default() }
    }

    fn told(response: &FetchResponse) -> Vec<i32> {
        response.responses.iter().flat_map(|topic| &topic.partitions).map(|it| it.partition_index).collect()
    }

    /// Begins a session about these partitions at a time; says its id, or 0.
    fn begun(sessions: &mut Sessions, now: Moment, partitions: std::ops::Range<i32>) -> i32 {
        let mut request = whole(partitions);
        let handle = sessions.on_request(now, false, &mut request).expect("it begins one");
        let answer = response(&request, |_| 0, &BTreeSet::new());
        sessions.on_response(now, &mut Rng::new(now.0 ^ 5), handle, answer).session_id
    }

    fn incremental(id: i32, epoch: i32) -> FetchRequest {
        FetchRequest { session_id: id, session_epoch: epoch, ..Default::default() }
    }

    #[test]
    fn what_a_request_is_about_is_known_before_it_is_taken() {
        let mut sessions = Sessions::default();
        let id = begun(&mut sessions, START, 0..3);
        let mut request = FetchRequest { session_id: id, session_epoch: 1, ..whole([7]) };
        let gone = ForgottenTopic { topic: "orders".to_owned(), partitions: vec![1], ..Default::default() };
        request.forgotten_topics_data = vec![gone];
        let preview = FetchRequest { topics: sessions.preview(&request), ..Default::default() };
        assert_eq!(asked_by(&preview).into_keys().collect::<Vec<_>>(), [0, 2, 7]);
        sessions.on_request(START, false, &mut request).expect("nothing was taken before");
        assert_eq!(asked_by(&request), asked_by(&preview));
        let late = FetchRequest { session_id: id, session_epoch: 1, ..whole([9]) };
        assert_eq!(sessions.preview(&late), late.topics, "the session has gone on, so this is all there is");
    }

    #[test]
    fn only_partitions_with_news_are_told_and_those_with_records_come_last_next_time() {
        let (mut sessions, mut chance) = (Sessions::default(), Rng::new(1));
        let id = begun(&mut sessions, START, 0..4);
        let mut go_on = |epoch, high_watermark: fn(i32) -> i64, records: &[i32]| {
            let mut request = incremental(id, epoch);
            let handle = sessions.on_request(START, false, &mut request).expect("it goes on");
            let order: Vec<_> =
                request.topics.iter().flat_map(|it| &it.partitions).map(|it| it.partition).collect();
            let answer = response(&request, high_watermark, &records.iter().copied().collect());
            (order, told(&sessions.on_response(START, &mut chance, handle, answer)))
        };
        assert_eq!(go_on(1, |_| 0, &[]), (vec![0, 1, 2, 3], vec![]));
        assert_eq!(go_on(2, |it| i64::from(it == 2), &[]), (vec![0, 1, 2, 3], vec![2]), "its end has moved");
        assert_eq!(go_on(3, |it| i64::from(it == 2), &[1]), (vec![0, 1, 2, 3], vec![1]));
        assert_eq!(go_on(4, |it| i64::from(it == 2), &[0]), (vec![0, 2, 3, 1], vec![0]));
        assert_eq!(go_on(5, |it| i64::from(it == 2), &[]), (vec![2, 3, 1, 0], vec![]));
    }

    #[test]
    fn an_error_is_told_every_time_and_what_follows_it_too() {
        let (mut sessions, mut chance) = (Sessions::default(), Rng::new(1));
        let id = begun(&mut sessions, START, 0..1);
        for (epoch, code, expected) in [(1, 6, 1), (2, 6, 1), (3, 0, 1), (4, 0, 0)] {
            let mut request = incremental(id, epoch);
            let handle = sessions.on_request(START, false, &mut request).unwrap();
            let mut answer = response(&request, |_| 0, &BTreeSet::new());
            answer.responses[0].partitions[0].error_code = code;
            let answer = sessions.on_response(START, &mut chance, handle, answer);
            assert_eq!(told(&answer).len(), expected, "epoch {epoch}");
        }
    }

    #[test]
    fn a_request_that_fits_no_session_is_refused() {
        let mut sessions = Sessions::default();
        let id = begun(&mut sessions, START, 0..2);
        let mut refused =
            |id, epoch, by_id| sessions.on_request(START, by_id, &mut incremental(id, epoch)).err();
        assert_eq!(refused(id ^ 1, 1, false), Some(ErrorCode::FetchSessionIdNotFound));
        assert_eq!(refused(id, 2, false), Some(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(refused(id, -7, false), Some(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(refused(id, 1, true), Some(ErrorCode::FetchSessionTopicIdError));
        assert_eq!(refused(id, 1, false), None, "it is as it was");
    }

    #[test]
    fn a_session_ends_when_it_is_told_to_or_nothing_is_wanted_any_more() {
        let mut sessions = Sessions::default();
        let id = begun(&mut sessions, START, 0..2);
        assert!(matches!(sessions.on_request(START, false, &mut incremental(id, FINAL)), Ok(Handle::Alone)));
        assert_eq!((sessions.sessions.len(), sessions.partitions), (0, 0));
        let id = begun(&mut sessions, START, 0..2);
        let forgotten = vltava_wire::messages::fetch::ForgottenTopic {
            topic: "orders".into(),
            partitions: vec![0, 1],
            ..Default::default()
        };
        let mut request = FetchRequest { forgotten_topics_data: vec![forgotten], ..incremental(id, 1) };
        assert!(matches!(sessions.on_request(START, false, &mut request), Ok(Handle::Alone)));
        assert_eq!((sessions.sessions.len(), sessions.partitions), (0, 0));
    }

    #[test]
    fn a_response_to_a_session_that_went_on_or_away_says_so() {
        let mut sessions = Sessions::default();
        let mut chance = Rng::new(3);
        let id = begun(&mut sessions, START, 0..2);
        let late = sessions.on_request(START, false, &mut incremental(id, 1)).unwrap();
        let later = sessions.on_request(START, false, &mut incremental(id, 2)).unwrap();
        let answer = sessions.on_response(START, &mut chance, late, FetchResponse::default());
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::InvalidFetchSessionEpoch);
        sessions.remove(id);
        let answer = sessions.on_response(START, &mut chance, later, FetchResponse::default());
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::FetchSessionIdNotFound);
    }

    #[test]
    fn epochs_go_on_at_one_after_the_last() {
        assert_eq!((next(0), next(7), next(i32::MAX)), (1, 8, 1));
    }

    #[test]
    fn where_there_is_no_room_idle_sessions_go_then_small_ones_and_young_ones_stay() {
        let limits = Limits { sessions: 2, partitions: 10, protected: Duration::from_secs(1) };
        let mut sessions = Sessions::new(limits);
        let after = |seconds| START + Duration::from_secs(seconds);
        let first = begun(&mut sessions, START, 0..3);
        let second = begun(&mut sessions, START, 0..2);
        assert!(first != 0 && second != 0 && first != second);
        assert_eq!(begun(&mut sessions, after(1), 0..3), 0, "both are young");
        sessions.on_request(after(5), false, &mut incremental(first, 1)).unwrap();
        let third = begun(&mut sessions, after(5), 0..4);
        assert!(third != 0 && !sessions.sessions.contains_key(&second), "the idle one made room");
        assert_eq!(begun(&mut sessions, after(5), 0..2), 0, "no other is smaller");
        assert_ne!(begun(&mut sessions, after(5), 0..5), 0, "the old one with fewer partitions made room");
        assert!(!sessions.sessions.contains_key(&first));
        assert_eq!(begun(&mut sessions, after(90), 0..11), 0, "it is larger than all may be");
        assert_ne!(begun(&mut sessions, after(90), 0..10), 0, "all made room");
        assert_eq!((sessions.sessions.len(), sessions.partitions), (1, 10));
    }

    #[test]
    fn a_session_that_grows_beyond_what_there_is_room_for_ends() {
        let limits = Limits { sessions: 2, partitions: 5, protected: Duration::from_secs(1) };
        let mut sessions = Sessions::new(limits);
        let id = begun(&mut sessions, START, 0..3);
        let mut request = FetchRequest { session_id: id, session_epoch: 1, ..whole(3..9) };
        assert!(matches!(sessions.on_request(START, false, &mut request), Ok(Handle::Alone)));
        assert_eq!(asked_by(&request).len(), 9, "it is served all the same");
        assert_eq!((sessions.sessions.len(), sessions.partitions), (0, 0));
    }

    #[test]
    fn a_name_that_no_topic_has_is_not_remembered() {
        let mut sessions = Sessions::default();
        let id = begun(&mut sessions, START, 0..2);
        let long = |mut request: FetchRequest| {
            request.topics[0].topic = "x".repeat(NAME_BYTES_MAX + 1);
            request
        };
        let mut whole_request = long(whole(0..2));
        assert!(matches!(sessions.on_request(START, false, &mut whole_request), Ok(Handle::Alone)));
        let mut request = FetchRequest { session_id: id, session_epoch: 1, ..long(whole(5..6)) };
        assert!(matches!(sessions.on_request(START, false, &mut request), Ok(Handle::Alone)));
        assert_eq!(asked_by(&request).len(), 3, "it is served all the same");
        assert_eq!((sessions.sessions.len(), sessions.partitions), (0, 0));
    }

    /// A client, what it wants, and what it knows of the partitions' ends.
    #[derive(Default)]
    struct Reader {
        session: Client,
        wants: Asked,
        knows: BTreeMap<i32, i64>,
    }

    /// Both ends over a link that loses requests and responses, with fewer sessions than clients.
    #[test]
    fn both_ends_agree_on_what_is_wanted_and_what_is_known_whatever_is_lost() {
        let mut shortened = 0;
        for seed in 0..300 {
            let mut chance = Rng::new(seed);
            let limits = Limits { sessions: 2, partitions: 12, protected: Duration::from_millis(20) };
            let mut sessions = Sessions::new(limits);
            let mut readers: Vec<Reader> = (0..3).map(|_| Reader::default()).collect();
            let mut ends = [0i64; 8];
            for step in 0..200 {
                let now = START + Duration::from_millis(step * 5);
                ends[chance.below(8) as usize] += chance.below(2) as i64;
                let reader = &mut readers[chance.below(3) as usize];
                shortened += talk(&mut sessions, reader, &ends, now, &mut chance, seed);
            }
            let counted: usize = sessions.sessions.values().map(|it| it.wanted.len()).sum();
            assert_eq!(sessions.partitions, counted, "seed {seed}");
            assert!(counted <= limits.partitions && sessions.sessions.len() <= limits.sessions);
        }
        assert!(shortened > 1_000, "sessions were of use {shortened} times");
    }

    /// One request and its response, if they arrive. Says by how many partitions the response was shorter.
    fn talk(
        sessions: &mut Sessions,
        reader: &mut Reader,
        ends: &[i64],
        now: Moment,
        chance: &mut Rng,
        seed: u64,
    ) -> usize {
        let partition = chance.below(8) as i32;
        match chance.below(4) {
            0 => drop(reader.wants.remove(&partition)),
            1 => drop(reader.wants.insert(partition, chance.below(100) as i64)),
            _ => (),
        }
        let mut request = request_of(&mut reader.session, &reader.wants);
        if chance.chance(10) {
            reader.session.reset();
            return 0;
        }
        let answer = match sessions.on_request(now, false, &mut request) {
            Err(code) => refused(code),
            Ok(handle) => {
                assert_eq!(asked_by(&request), reader.wants, "seed {seed}: they disagree on what is wanted");
                let records = reader.wants.keys().copied().filter(|_| chance.chance(20)).collect();
                let answer = response(&request, |it| ends[it as usize], &records);
                sessions.on_response(now, chance, handle, answer)
            }
        };
        if chance.chance(10) {
            reader.session.reset();
            return 0;
        }
        if reader.session.on_answer(&answer).is_err() {
            return 0;
        }
        let all = answer.responses.iter().flat_map(|topic| &topic.partitions);
        reader.knows.extend(all.map(|it| (it.partition_index, it.high_watermark)));
        for partition in reader.wants.keys() {
            let known = reader.knows.get(partition);
            assert_eq!(known, Some(&ends[*partition as usize]), "seed {seed}: {partition} was not told");
        }
        reader.wants.len() - told(&answer).len()
    }
}
