//! A member of a group, whatever the protocol: what it wants done, what it is told, and its commits.
//!
//! It does not fetch, and it knows of no connection but that a call on it ended. Commits go through it, as only it
//! knows when they count. What is the classic protocol's alone is in `classic::member`, what is the consumer
//! protocol's (KIP-848) in `next::member`; both stand on `ground`.

mod commit;
mod commits;
mod config;
mod ground;
mod machine;
mod step;

pub(in crate::group) use commits::{Commits, Verdict};
pub(in crate::group) use ground::Ground;
pub(in crate::group) use machine::Rules;

pub use commit::{AssignmentId, Commit, CommitId, Refusal};
pub use config::{Config, Parting, Protocol};
pub use machine::Member;
pub use step::{Answer, Ask, CallId, Failure, Reason, Step, Ticket};
