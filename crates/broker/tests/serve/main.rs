//! The broker as a client sees it: requests written by hand over an in-process connection, on paused time.

mod caller;
mod commits;
mod configs;
mod coordinators;
mod faults;
mod faults_everywhere;
mod faults_of_disk;
mod faults_on_the_way;
mod fetch;
mod fetch_sessions;
mod group_upkeep;
mod groups;
mod memory;
mod next_groups;
mod nodes;
mod produce;
mod restart;
mod session;
mod topics;
mod trimming;
