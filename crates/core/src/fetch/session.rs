//! The client's end of a fetch session: what the broker already knows need not be said again (KIP-227).
//!
//! A broker that keeps no session answers with the id 0; then every request is a full one, which is as good.

use std::{collections::BTreeMap, sync::Arc};

use vltava_wire::{
    ErrorCode, Uuid,
    messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic},
};

use crate::cluster::TopicPartition;

/// What is wanted of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Zero where brokers are too old for topic ids.
    pub topic_id: Uuid,
    /// The next record to read.
    pub offset: i64,
    /// Whom the client takes for the leader, or -1.
    pub leader_epoch: i32,
    /// Which leader wrote what was read last, or -1.
    pub last_epoch: i32,
    /// Bytes at most, save that one batch always comes.
    pub bytes_max: i32,
}

/// A session with one broker.
#[derive(Debug, Default)]
pub struct Session {
    /// Zero while there is none.
    id: i32,
    /// Of the next request: 0 asks for a new session.
    epoch: i32,
    /// What the broker knows, if there is a session; what the latest request said.
    known: BTreeMap<TopicPartition, Wanted>,
    /// Of the latest request's topics.
    names: BTreeMap<Uuid, Arc<str>>,
    /// Whether the latest request named topics by name; a session knows them one way or the other.
    by_name: bool,
    /// It is to be begun anew, though nothing is known to be wrong with it.
    is_doubted: bool,
}

impl Session {
    /// The next request for these partitions, in their order, all others being of no interest at the moment. Topics
    /// are named by name and by id, of which the version takes one: `by_name` says that it will be the name.
    pub fn request(
        &mut self,
        wanted: impl IntoIterator<Item = (TopicPartition, Wanted)>,
        by_name: bool,
    ) -> FetchRequest {
        if std::mem::take(&mut self.is_doubted) || by_name != self.by_name {
            self.reset();
        }
        self.by_name = by_name;
        let mut request =
            FetchRequest { session_id: self.id, session_epoch: self.epoch, ..Default::default() };
        let mut known = BTreeMap::new();
        self.names.clear();
        for (partition, it) in wanted {
            if self.id == 0 || self.known.get(&partition) != Some(&it) {
                topic(&mut request.topics, &partition, it.topic_id)
                    .partitions
                    .push(it.entry(partition.partition));
            }
            self.names.entry(it.topic_id).or_insert_with(|| partition.topic.clone());
            known.insert(partition, it);
        }
        let kept = |partition: &TopicPartition, id| known.get(partition).is_some_and(|it| it.topic_id == id);
        for (partition, it) in self.known.iter().filter(|it| self.id != 0 && !kept(it.0, it.1.topic_id)) {
            forgotten(&mut request.forgotten_topics_data, partition, it.topic_id);
        }
        self.known = known;
        request
    }

    /// Whether the latest request went on with a session.
    pub fn is_begun(&self) -> bool {
        self.id != 0
    }

    /// Has the next request say everything, in a new session: whatever the broker takes the session to be, it may be
    /// wrong.
    pub fn renew(&mut self) {
        self.is_doubted = true;
    }

    /// Takes the answer to the latest request. An error means that there was no answer to it, and no session is left.
    pub fn on_answer(&mut self, answer: &FetchResponse) -> Result<(), ErrorCode> {
        let error = ErrorCode::from(answer.error_code);
        if error != ErrorCode::None {
            self.reset();
            return Err(error);
        }
        self.id = answer.session_id;
        self.epoch = match (self.id, self.epoch) {
            (0, _) => 0,
            (_, i32::MAX) => 1,
            (_, epoch) => epoch + 1,
        };
        Ok(())
    }

    /// No answer will come to the latest request, so what the broker knows is not known: the next one is a full one.
    pub fn reset(&mut self) {
        (self.id, self.epoch) = (0, 0);
    }

    /// The partition that an answer names, by name or by id.
    pub fn partition(&self, name: &str, id: Uuid, number: i32) -> Option<TopicPartition> {
        let topic = match name {
            "" => self.names.get(&id)?.clone(),
            name => name.into(),
        };
        Some(TopicPartition { topic, partition: number })
    }
}

impl Wanted {
    fn entry(&self, partition: i32) -> FetchPartition {
        FetchPartition {
            partition,
            current_leader_epoch: self.leader_epoch,
            fetch_offset: self.offset,
            last_fetched_epoch: self.last_epoch,
            partition_max_bytes: self.bytes_max,
            ..Default::default()
        }
    }
}

/// The topic's entry of a request: the latest, as long as partitions are of the same topic.
fn topic<'a>(topics: &'a mut Vec<FetchTopic>, partition: &TopicPartition, id: Uuid) -> &'a mut FetchTopic {
    if topics.last().is_none_or(|it| it.topic != *partition.topic) {
        topics.push(FetchTopic { topic: partition.topic.to_string(), topic_id: id, ..Default::default() });
    }
    topics.last_mut().expect("it was pushed above")
}

fn forgotten(topics: &mut Vec<ForgottenTopic>, partition: &TopicPartition, id: Uuid) {
    if topics.last().is_none_or(|it| it.topic != *partition.topic || it.topic_id != id) {
        topics.push(ForgottenTopic {
            topic: partition.topic.to_string(),
            topic_id: id,
            ..Default::default()
        });
    }
    topics.last_mut().expect("it was pushed above").partitions.push(partition.partition);
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_5: Wanted =
        Wanted { topic_id: Uuid(9), offset: 5, leader_epoch: 2, last_epoch: 1, bytes_max: 1000 };

    fn wanted(all: &[(i32, Wanted)]) -> BTreeMap<TopicPartition, Wanted> {
        all.iter().map(|(number, it)| (TopicPartition::new("orders", *number), *it)).collect()
    }

    fn answer(session_id: i32, error: ErrorCode) -> FetchResponse {
        FetchResponse { session_id, error_code: error.code(), ..Default::default() }
    }

    /// A session whose broker knows of partitions 0 and 1.
    fn established() -> Session {
        let mut session = Session::default();
        let request = session.request(wanted(&[(0, AT_5), (1, AT_5)]), false);
        assert_eq!((request.session_id, request.session_epoch, numbers(&request).len()), (0, 0, 2));
        assert_eq!(session.on_answer(&answer(77, ErrorCode::None)), Ok(()));
        session
    }

    fn numbers(request: &FetchRequest) -> Vec<i32> {
        request.topics.iter().flat_map(|it| &it.partitions).map(|it| it.partition).collect()
    }

    fn forgotten_numbers(request: &FetchRequest) -> Vec<i32> {
        request.forgotten_topics_data.iter().flat_map(|it| it.partitions.clone()).collect()
    }

    #[test]
    fn only_what_changed_is_said_again() {
        let mut session = established();
        let request = session.request(wanted(&[(0, AT_5), (1, Wanted { offset: 6, ..AT_5 })]), false);
        assert_eq!((request.session_id, request.session_epoch), (77, 1));
        assert_eq!((numbers(&request), forgotten_numbers(&request)), (vec![1], vec![]));
    }

    #[test]
    fn what_is_of_no_interest_at_the_moment_is_taken_back() {
        let mut session = established();
        let request = session.request(wanted(&[(1, AT_5)]), false);
        assert_eq!((numbers(&request), forgotten_numbers(&request)), (vec![], vec![0]));
        assert_eq!(session.on_answer(&answer(77, ErrorCode::None)), Ok(()));
        let request = session.request(wanted(&[(0, AT_5), (1, AT_5)]), false);
        assert_eq!((request.session_epoch, numbers(&request)), (2, vec![0]), "and told again");
    }

    #[test]
    fn a_recreated_topic_is_forgotten_under_its_earlier_id() {
        let mut session = established();
        let recreated = Wanted { topic_id: Uuid(10), ..AT_5 };
        let request = session.request(wanted(&[(0, recreated), (1, recreated)]), false);
        assert_eq!(request.topics.iter().map(|it| it.topic_id).collect::<Vec<_>>(), [Uuid(10)]);
        let forgotten = request.forgotten_topics_data;
        assert_eq!(
            forgotten.iter().map(|it| (it.topic_id, it.partitions.len())).collect::<Vec<_>>(),
            [(Uuid(9), 2)]
        );
    }

    #[test]
    fn without_a_session_everything_is_said_every_time() {
        let mut session = Session::default();
        for _ in 0..3 {
            let request = session.request(wanted(&[(0, AT_5), (1, AT_5)]), false);
            assert_eq!((request.session_id, request.session_epoch, numbers(&request)), (0, 0, vec![0, 1]));
            assert_eq!(session.on_answer(&answer(0, ErrorCode::None)), Ok(()));
        }
        assert_eq!(forgotten_numbers(&session.request(wanted(&[(1, AT_5)]), false)), Vec::<i32>::new());
    }

    #[test]
    fn a_session_that_the_broker_dropped_is_begun_again() {
        for error in [ErrorCode::FetchSessionIdNotFound, ErrorCode::InvalidFetchSessionEpoch] {
            let mut session = established();
            session.request(wanted(&[(0, AT_5)]), false);
            assert_eq!(session.on_answer(&answer(0, error)), Err(error));
            let request = session.request(wanted(&[(0, AT_5), (1, AT_5)]), false);
            assert_eq!((request.session_id, request.session_epoch, numbers(&request)), (0, 0, vec![0, 1]));
        }
    }

    #[test]
    fn after_a_cut_everything_is_said_again() {
        let mut session = established();
        session.request(wanted(&[(0, Wanted { offset: 9, ..AT_5 })]), false);
        session.reset();
        let request = session.request(wanted(&[(0, Wanted { offset: 9, ..AT_5 })]), false);
        assert_eq!((request.session_id, request.session_epoch, numbers(&request)), (0, 0, vec![0]));
    }

    #[test]
    fn partitions_are_asked_for_in_the_order_in_which_they_are_named() {
        let orders = |number| (TopicPartition::new("orders", number), AT_5);
        let returns = (TopicPartition::new("returns", 0), Wanted { topic_id: Uuid(10), ..AT_5 });
        let request = Session::default().request([orders(1), returns, orders(0)], false);
        assert_eq!(numbers(&request), [1, 0, 0]);
        assert_eq!(request.topics.iter().map(|it| it.topic_id).collect::<Vec<_>>(), [9, 10, 9].map(Uuid));
    }

    #[test]
    fn a_session_knows_topics_by_name_or_by_id_but_not_both() {
        let mut session = established();
        let request = session.request(wanted(&[(0, AT_5)]), true);
        assert_eq!((request.session_id, request.session_epoch, numbers(&request)), (0, 0, vec![0]));
    }

    #[test]
    fn a_session_that_is_doubted_is_begun_anew() {
        let mut session = established();
        session.renew();
        let request = session.request(wanted(&[(0, AT_5)]), false);
        assert_eq!((request.session_id, request.session_epoch, numbers(&request)), (0, 0, vec![0]));
        assert_eq!(session.on_answer(&answer(78, ErrorCode::None)), Ok(()));
        assert_eq!(session.request(wanted(&[(0, AT_5)]), false).session_id, 78, "once");
    }

    #[test]
    fn epochs_go_on_at_one_after_the_last() {
        let mut session = established();
        session.epoch = i32::MAX;
        assert_eq!(session.on_answer(&answer(77, ErrorCode::None)), Ok(()));
        assert_eq!(session.epoch, 1);
    }

    #[test]
    fn an_answer_names_its_partition_by_name_or_by_id() {
        let session = established();
        let orders = Some(TopicPartition::new("orders", 1));
        assert_eq!(session.partition("orders", Uuid::ZERO, 1), orders);
        assert_eq!(session.partition("", Uuid(9), 1), orders);
        assert_eq!(session.partition("", Uuid(8), 1), None);
    }
}
