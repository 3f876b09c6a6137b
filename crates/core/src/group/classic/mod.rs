//! The classic group protocol: members join, one of them assigns, all sync, and each change begins anew.

pub(in crate::group) mod coordinator;
pub(in crate::group) mod member;
pub mod protocol;
