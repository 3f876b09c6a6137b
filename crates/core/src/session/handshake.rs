//! The first question on a connection, and what its answer settles: the version of every API.
//!
//! Nobody configures a version: of each API the highest is taken that both ends speak. A broker that does not know
//! the question's version answers in version 0, and is asked again in one that it knows (KIP-511).

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use vltava_wire::{
    Api, DecodeError, ErrorCode,
    frame::response_body,
    messages::{ApiVersionsRequest, ApiVersionsResponse},
};

/// Allocated at most for an answer: it has two numbers for each of some hundred APIs.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The client's end of the first exchange.
#[derive(Debug)]
pub struct Handshake {
    software: Software,
    /// The version to ask in next, or the one that was asked in.
    version: i16,
    state: State,
}

#[derive(Debug)]
struct Software {
    name: String,
    version: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ToAsk,
    Asked,
    /// The broker refused a version; it is not to refuse twice.
    ToAskAgain,
    AskedAgain,
}

/// Which versions a broker speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    ranges: BTreeMap<i16, (i16, i16)>,
}

/// An API that the two ends have no version of in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoCommonVersion {
    /// The API.
    pub api: Api,
    /// What the broker speaks, from and to; none if it does not have the API at all.
    pub broker: Option<(i16, i16)>,
}

/// Why a connection is of no use.
#[derive(Debug)]
pub enum HandshakeError {
    /// The answer is not one: perhaps the other end is no Kafka broker, or expects TLS.
    Unreadable(DecodeError),
    /// The broker refuses.
    Refused(ErrorCode),
    /// The broker refused every version of the question.
    NoVersion,
}

impl Handshake {
    /// Introduces the client by name and version, which brokers show in their metrics. Characters that brokers would
    /// refuse are replaced.
    pub fn new(name: &str, version: &str) -> Self {
        let software = Software { name: accepted(name), version: accepted(version) };
        Self { software, version: *Api::ApiVersions.versions().end(), state: State::ToAsk }
    }

    /// The next question and the version to ask it in, if one is to be asked.
    pub fn poll(&mut self) -> Option<(i16, ApiVersionsRequest)> {
        self.state = match self.state {
            State::ToAsk => State::Asked,
            State::ToAskAgain => State::AskedAgain,
            State::Asked | State::AskedAgain => return None,
        };
        let request = match self.version {
            ..3 => ApiVersionsRequest::default(),
            _ => ApiVersionsRequest {
                client_software_name: self.software.name.clone(),
                client_software_version: self.software.version.clone(),
            },
        };
        Some((self.version, request))
    }

    /// Takes the answer, a frame without its length. None means that `poll` has another question.
    pub fn on_answer(&mut self, frame: Bytes) -> Result<Option<Versions>, HandshakeError> {
        // The error comes first in every version, behind a header that is four bytes long in every version.
        if frame.get(4..6) == Some(&ErrorCode::UnsupportedVersion.code().to_be_bytes()) {
            return self.on_refusal(frame).map(|()| None);
        }
        let answer = response_body::<ApiVersionsRequest>(frame, self.version, ANSWER_BYTES_MAX)
            .map_err(HandshakeError::Unreadable)?;
        match answer.error_code.into() {
            ErrorCode::None => Ok(Some(Versions::from(answer))),
            code => Err(HandshakeError::Refused(code)),
        }
    }

    /// Asks again in a version that the broker says it knows. Some do not say it as they should, in version 0; that
    /// is also the one that everybody knows.
    fn on_refusal(&mut self, frame: Bytes) -> Result<(), HandshakeError> {
        if self.state != State::Asked || self.version == 0 {
            return Err(HandshakeError::NoVersion);
        }
        let answer = response_body::<ApiVersionsRequest>(frame, 0, ANSWER_BYTES_MAX).ok();
        self.version = answer.and_then(|it| Versions::from(it).highest(Api::ApiVersions)).unwrap_or(0);
        self.state = State::ToAskAgain;
        Ok(())
    }
}

/// What brokers accept as a name or version: letters, digits, dots and dashes, the first and last no sign.
fn accepted(text: &str) -> String {
    let known = |it: char| it.is_ascii_alphanumeric() || it == '.';
    let text: String = text.chars().map(|it| if known(it) { it } else { '-' }).collect();
    match text.trim_matches(['.', '-']) {
        "" => "unknown".to_owned(),
        text => text.to_owned(),
    }
}

impl Versions {
    /// The version in which to use an API: the highest that both ends speak.
    pub fn of(&self, api: Api) -> Result<i16, NoCommonVersion> {
        self.highest(api).ok_or(NoCommonVersion { api, broker: self.broker(api) })
    }

    /// What the broker speaks of an API, from and to.
    pub fn broker(&self, api: Api) -> Option<(i16, i16)> {
        self.ranges.get(&api.key()).copied()
    }

    fn highest(&self, api: Api) -> Option<i16> {
        let (least, most) = self.broker(api)?;
        let ours = api.versions();
        let common = most.min(*ours.end());
        (common >= least && ours.contains(&common)).then_some(common)
    }
}

impl From<ApiVersionsResponse> for Versions {
    fn from(answer: ApiVersionsResponse) -> Self {
        let range = |it: vltava_wire::messages::ApiVersion| (it.api_key, (it.min_version, it.max_version));
        Self { ranges: answer.api_keys.into_iter().map(range).collect() }
    }
}

impl fmt::Display for NoCommonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ours = self.api.versions();
        let (api, first, last) = (self.api, ours.start(), ours.end());
        match self.broker {
            Some((least, most)) => {
                write!(f, "the broker speaks {api:?} {least} to {most}, this client {first} to {last}")
            }
            None => write!(f, "the broker does not serve {api:?}"),
        }
    }
}

impl std::error::Error for NoCommonVersion {}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(_) => {
                write!(f, "the answer to ApiVersions makes no sense: is this a Kafka broker?")
            }
            Self::Refused(code) => write!(f, "the broker refused ApiVersions with {code}"),
            Self::NoVersion => write!(f, "the broker refused every version of ApiVersions"),
        }
    }
}

impl std::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(error) => Some(error),
            Self::Refused(_) | Self::NoVersion => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use vltava_wire::{frame::response, messages::ApiVersion};

    use super::*;
    use crate::session::greeting;

    fn frame(version: i16, answer: &ApiVersionsResponse) -> Bytes {
        let whole = response(Api::ApiVersions, version, 0, answer).expect("the answer can be written");
        Bytes::from(whole.into_segments().concat()).slice(4..)
    }

    fn list(ranges: &[(Api, i16, i16)]) -> Vec<ApiVersion> {
        let entry = |&(api, min_version, max_version): &(Api, i16, i16)| ApiVersion {
            api_key: api.key(),
            min_version,
            max_version,
        };
        ranges.iter().map(entry).collect()
    }

    fn versions(ranges: &[(Api, i16, i16)]) -> Versions {
        Versions::from(ApiVersionsResponse { api_keys: list(ranges), ..Default::default() })
    }

    #[test]
    fn both_ends_agree_on_the_highest_version_of_everything() {
        let mut handshake = Handshake::new("vltava", "0.1.0");
        let (version, request) = handshake.poll().expect("there is a first question");
        assert_eq!(handshake.poll(), None, "one question at a time");
        let answer = greeting::answer(Api::ALL, version, &request);
        let versions =
            handshake.on_answer(frame(version, &answer)).expect("it is readable").expect("it is the last");
        for &api in Api::ALL {
            assert_eq!(versions.of(api), Ok(*greeting::advertised(api).end()), "{api:?}");
        }
    }

    #[test]
    fn a_broker_that_refuses_the_version_is_asked_in_one_that_it_knows() {
        let mut handshake = Handshake::new("vltava", "0.1.0");
        assert_eq!(handshake.poll().map(|it| it.0), Some(4));
        let refusal = ApiVersionsResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            api_keys: list(&[(Api::ApiVersions, 0, 2)]),
            ..Default::default()
        };
        assert!(handshake.on_answer(frame(0, &refusal)).expect("it is readable").is_none());
        let (version, request) = handshake.poll().expect("there is a second question");
        assert_eq!((version, request.client_software_name.as_str()), (2, ""));
        let answer = greeting::answer(Api::ALL, version, &request);
        assert!(handshake.on_answer(frame(2, &answer)).expect("it is readable").is_some());
    }

    #[test]
    fn a_broker_whose_refusal_makes_no_sense_is_asked_in_version_zero() {
        let mut handshake = Handshake::new("vltava", "0.1.0");
        assert_eq!(handshake.poll().map(|it| it.0), Some(4));
        // As librdkafka's mock refuses: compactly, as nobody does in version 0.
        let refusal = [0, 0, 0, 0, 0, 35, 1, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0];
        assert!(handshake.on_answer(Bytes::copy_from_slice(&refusal)).expect("it is a refusal").is_none());
        assert_eq!(handshake.poll().map(|it| it.0), Some(0));
        let again = handshake.on_answer(Bytes::copy_from_slice(&refusal));
        assert!(matches!(again, Err(HandshakeError::NoVersion)), "{again:?}");
    }

    #[test]
    fn a_broker_that_refuses_without_a_list_is_asked_in_version_zero() {
        let mut handshake = Handshake::new("vltava", "0.1.0");
        handshake.poll();
        let refusal =
            ApiVersionsResponse { error_code: ErrorCode::UnsupportedVersion.code(), ..Default::default() };
        assert!(handshake.on_answer(frame(0, &refusal)).expect("it is readable").is_none());
        assert_eq!(handshake.poll().map(|it| it.0), Some(0));
        let again = handshake.on_answer(frame(0, &refusal));
        assert!(matches!(again, Err(HandshakeError::NoVersion)), "it does not ask for ever");
    }

    #[test]
    fn the_greeting_to_the_future_is_understood() {
        let mut handshake = Handshake::new("vltava", "0.1.0");
        handshake.poll();
        let answer = greeting::from_the_future(Api::ALL);
        assert!(handshake.on_answer(frame(0, &answer)).expect("it is readable").is_none());
        assert_eq!(handshake.poll().map(|it| it.0), Some(4));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bytes in [&b""[..], b"\0\0\0", b"HTTP/1.1 400 Bad Request", b"\0\0\0\0\0\0\xff\xff\xff\xff\x0f"] {
            let mut handshake = Handshake::new("vltava", "0.1.0");
            handshake.poll();
            let answer = handshake.on_answer(Bytes::from_static(bytes));
            assert!(matches!(answer, Err(HandshakeError::Unreadable(_))), "{bytes:?}: {answer:?}");
        }
    }

    #[test]
    fn any_name_is_made_one_that_brokers_accept() {
        let cases =
            [("vltava", "vltava"), ("my app/1", "my-app-1"), ("-x-", "x"), ("", "unknown"), ("ř", "unknown")];
        for (name, expected) in cases {
            assert_eq!(accepted(name), expected);
            let (version, request) = Handshake::new(name, name).poll().expect("there is a first question");
            assert_eq!(greeting::answer(Api::ALL, version, &request).error_code, 0);
        }
    }

    #[test]
    fn without_a_common_version_the_error_says_what_either_speaks() {
        let versions = versions(&[(Api::Fetch, 0, 3), (Api::Produce, 99, 100)]);
        let text = |api| versions.of(api).expect_err("there is no common version").to_string();
        assert_eq!(text(Api::Fetch), "the broker speaks Fetch 0 to 3, this client 4 to 18");
        assert_eq!(text(Api::Produce), "the broker speaks Produce 99 to 100, this client 3 to 13");
        assert_eq!(text(Api::JoinGroup), "the broker does not serve JoinGroup");
    }
}
