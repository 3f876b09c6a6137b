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
    /// For a call of the control plane in all, retries included.
    pub call_timeout: Duration,
    /// Between attempts of a call, and between attempts to reach a broker.
    pub backoff: Backoff,
    /// No answer may be larger: a length beyond it ends the connection.
    pub answer_bytes_max: usize,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            client_id: "vltava".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(60),
            backoff: Backoff::default(),
            answer_bytes_max: 256 << 20,
        }
    }
}
