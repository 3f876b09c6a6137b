//! Clients that know nothing of us, against our broker: librdkafka (crate `rdkafka`) and Debian's kcat. Our
//! client and librdkafka read what the other wrote.
//!
//! With `VLTAVA_KAFKA=host:port,…` they talk to that cluster instead: what they see there is what they must see here.

mod ground;
mod kcat;
mod librdkafka;
mod ours;
