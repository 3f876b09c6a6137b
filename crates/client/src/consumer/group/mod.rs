//! A member of a consumer group at work: one task that owns both the membership and what is fetched, so that
//! "revoked" and "stop fetching" cannot race.
//!
//! What a member does is decided in `core::group::member`; here it is done.

mod assigning;
mod calls;
mod committed;
mod driver;
mod lookout;
mod outbox;
mod settings;

pub(super) use committed::{Asking, Committed};
pub(super) use driver::Driver;
pub(super) use settings::Settings;
