//! The classic group protocol: members join, one of them assigns, all sync, and each change begins anew.

mod coordinator;
pub(in crate::group) mod member;
pub mod protocol;

pub use coordinator::{Answer, Groups, Join, Limits, Reply, Token};
