//! Where the requests of each API name what can fail, and where their responses tell it: a file for each shape.

mod configs;
mod fetch;
mod metadata;
mod offset_fetch;
mod partitions;
mod topics;
mod whole;

use vltava_core::fetch::sessions;
use vltava_wire::{
    ErrorCode, Request, Uuid,
    messages::{FetchRequest, fetch::FetchTopic},
};

use super::rules::Part;
use crate::node::Node;

/// Asked about each part of a request, says which error it is to be told.
pub(crate) type Judge<'a> = &'a mut dyn FnMut(Part) -> Option<ErrorCode>;

/// A request of an API that is served: every one has its place for errors.
pub(crate) trait Target: Request + Clone {
    /// Takes out all that is to be refused, and says what is answered to it. Asks about every part exactly once, also
    /// where it is meant without its name, and changes nothing where no part is to be refused.
    fn refuse(&mut self, at: At<'_>, judge: Judge<'_>) -> Option<Refused<Self::Response>>;

    /// Puts what is answered to refused parts into a response, in place of what it says of them.
    fn tell(response: &mut Self::Response, refused: Self::Response);

    /// Where a response asks to rest, in milliseconds.
    fn throttle_time_ms(response: &mut Self::Response) -> &mut i32;

    /// Whether it is to be answered at all.
    fn is_answered(&self) -> bool {
        true
    }

    /// The version in which this response is written.
    fn version_of(_response: &Self::Response, version: i16) -> i16 {
        version
    }
}

/// What is answered to the parts of a request that are refused.
pub(crate) struct Refused<R> {
    pub(crate) response: R,
    /// Whether the request has nothing else to say.
    pub(crate) is_all: bool,
}

/// Where, and in which version, a request is served: to find out what it names.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) node: &'a Node,
    pub(crate) version: i16,
}

impl At<'_> {
    /// The name of a topic that goes by name or by id. Empty if nothing has the id.
    fn name(self, name: &str, id: Uuid) -> String {
        match id {
            Uuid::ZERO => name.to_owned(),
            id => self.node.log.topic_with_id(id).map_or_else(String::new, |topic| topic.name.to_string()),
        }
    }

    /// How many partitions a topic has; none if it does not exist.
    fn partitions(self, name: &str) -> i32 {
        self.node.log.topic(name).map_or(0, |topic| topic.partitions())
    }

    /// All that a fetch is about, with what its session says.
    fn fetched(self, request: &FetchRequest) -> Vec<FetchTopic> {
        self.node.fetch_sessions.preview(request)
    }
}

/// Whether an error is of a fetch session, and so of a whole response.
pub(crate) use sessions::is_of_session;

/// Takes refused partitions out of topics, and topics of which none is left. What is answered to them is made by
/// `refused`, from a topic and its partitions with their errors.
fn take<T, P, A>(
    topics: &mut Vec<T>,
    name: impl Fn(&T) -> String,
    partitions: impl Fn(&mut T) -> &mut Vec<P>,
    index: impl Fn(&P) -> i32,
    judge: Judge<'_>,
    refused: impl Fn(&T, Vec<(i32, i16)>) -> A,
) -> Option<(Vec<A>, bool)> {
    let mut answers = Vec::new();
    topics.retain_mut(|topic| {
        let name = name(topic);
        let mut taken = Vec::new();
        let all = partitions(topic);
        all.retain(|partition| {
            let index = index(partition);
            let code = judge(Part::new(name.clone(), index));
            taken.extend(code.map(|code| (index, code.code())));
            code.is_none()
        });
        let is_left = taken.is_empty() || !all.is_empty();
        if !taken.is_empty() {
            answers.push(refused(topic, taken));
        }
        is_left
    });
    (!answers.is_empty()).then_some((answers, topics.is_empty()))
}

/// Puts answers among others: in place of the one about the same, or behind all.
fn put<A, K: PartialEq>(
    told: &mut Vec<A>,
    answers: Vec<A>,
    key: impl Fn(&A) -> K,
    merge: impl Fn(&mut A, A),
) {
    for answer in answers {
        match told.iter_mut().find(|it| key(it) == key(&answer)) {
            Some(same) => merge(same, answer),
            None => told.push(answer),
        }
    }
}

/// Puts topics with partitions among others.
fn put_partitions<T, P, K: PartialEq>(
    told: &mut Vec<T>,
    answers: Vec<T>,
    key: impl Fn(&T) -> K,
    partitions: impl Fn(&mut T) -> &mut Vec<P>,
    index: impl Fn(&P) -> i32,
) {
    put(told, answers, key, |same, mut answer| {
        let answers = std::mem::take(partitions(&mut answer));
        put(partitions(same), answers, &index, |same, answer| *same = answer);
    });
}

fn replace<T>(place: &mut T, value: T) {
    *place = value;
}
