//! The classic group protocol: members join, one of them assigns, all sync, and each change begins anew.

pub(in crate::group) mod coordinator;
mod member;
pub mod protocol;

pub(in crate::group) use member::Member;
