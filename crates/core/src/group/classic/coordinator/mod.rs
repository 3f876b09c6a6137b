//! The broker's end of the classic group protocol: one group as a machine. All groups are `group::coordinator`.

mod asks;
mod convert;
mod group;
mod kept;
mod member;
mod rebalance;

pub(in crate::group) use convert::Share;
pub(in crate::group) use group::{Group, ID_REQUIRED_SINCE, millis, rebalance_timeout};
pub(in crate::group) use kept::as_millis;
