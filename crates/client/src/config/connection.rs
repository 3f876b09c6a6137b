//! How brokers are reached and how long they are waited for.

use std::time::Duration;

use vltava_core::Backoff;

/// How brokers are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// What the client calls itself; brokers log it and set quotas by it.
    pub client_id: String,
    /// For resolving a name, opening the connection and agreeing on versions.
    pub connect_timeout: Duration,
    /// A connection that leaves a request unanswered for longer is given up.
    pub request_timeout: Duration,
    /// A connection that was not used for so long is closed, and opened again when it is needed: before the broker
    /// does so (`connections.max.idle.ms`, ten minutes there).
    pub idle_max: Duration,
    /// For a call of the control plane in all, retries included.
    pub call_timeout: Duration,
    /// Between attempts of a call, and between attempts to reach a broker.
    pub backoff: Backoff,
    /// No answer to a fetch may be larger: a length beyond it ends the connection. Other answers have limits of
    /// their own, as far as they are lower.
    pub answer_bytes_max: usize,
    /// What all connections of the client together hold of answers that are being read. One that finds no room does
    /// not read until there is some. A quarter of it is for what answers are decoded into; an answer that is longer
    /// than the rest ends the connection.
    pub answer_memory_bytes: usize,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            client_id: "vltava".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            idle_max: Duration::from_secs(9 * 60),
            call_timeout: Duration::from_secs(60),
            backoff: Backoff::default(),
            answer_bytes_max: 256 << 20,
            answer_memory_bytes: 512 << 20,
        }
    }
}
