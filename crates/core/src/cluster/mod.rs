//! What a client knows of its cluster: who is there, who leads what, when to ask again, and where a request goes.
//!
//! Talking to brokers is not done here: `refresh` says when metadata is wanted, `bootstrap` of whom, `view` takes what
//! came.

mod bootstrap;
mod ids;
mod refresh;
mod route;
mod view;

pub use bootstrap::{Bootstrap, Whom};
pub use ids::{NodeId, TopicPartition};
pub use refresh::{Ask, Refresh};
pub use route::{Route, Target, Unroutable};
pub use view::{Broker, Leader, Partition, Topic, View};
