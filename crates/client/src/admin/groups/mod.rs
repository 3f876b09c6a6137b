//! Consumer groups, of both protocols: which there are, who is in them, how far they have come; and what an
//! administrator does to them.

mod committed;
mod describe;
mod list;
mod remove;
mod words;

pub use committed::CommittedOffset;
pub use describe::{GroupDescription, GroupMember};
pub use list::{GroupFilter, GroupListing};
pub use words::{GroupState, GroupType};

use vltava_wire::ErrorCode;

use crate::error::Error;

/// What a coordinator refuses, with what helps where members are in the way.
fn refused(group: &str, code: ErrorCode, doing: &str) -> Error {
    let error = Error::refused(code).doing(doing);
    let in_the_way = match code {
        // The word for commits of strangers while a group has members.
        ErrorCode::NonEmptyGroup | ErrorCode::UnknownMemberId | ErrorCode::RebalanceInProgress => true,
        ErrorCode::StaleMemberEpoch | ErrorCode::IllegalGeneration | ErrorCode::FencedInstanceId => true,
        ErrorCode::GroupSubscribedToTopic => true,
        _ => false,
    };
    match in_the_way {
        true => error
            .what(format!("group {group} has members ({code})"))
            .fix("stop its members, or wait until their sessions end"),
        false => error,
    }
}

/// The error to try again for; every other one is an answer.
fn retriable(code: i16) -> ErrorCode {
    Some(ErrorCode::from(code)).filter(|code| code.is_retriable()).unwrap_or(ErrorCode::None)
}
