//! A member of a group, whatever the protocol: what it wants done, what it is told, and its commits.
//!
//! It does not fetch, and it knows of no connection but that a call on it ended. Commits go through it, as only it
//! knows when they count. What is the classic protocol's alone is in `classic::member`.

mod commit;
mod commits;
mod config;
mod step;

pub(in crate::group) use commits::{Commits, Verdict};

pub use commit::{AssignmentId, Commit, CommitId, Refusal};
pub use config::Config;
pub use step::{Answer, Ask, CallId, Failure, Step, Ticket};

pub use super::classic::member::Member;
