//! The broker as a client sees it: requests written by hand over an in-process connection, on paused time.

mod caller;
mod session;
