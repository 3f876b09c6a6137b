//! How partitions are shared out among the members of a group: by the leader in the classic protocol, by the
//! coordinator in KIP-848's. What the members then do with them, and when they give them back, is not decided here.

#[cfg(test)]
mod golden;
mod range;
mod round_robin;
mod sticky;
mod topics;
mod uniform;

use std::{collections::BTreeSet, fmt, sync::Arc};

use bytes::Bytes;

pub use range::Range;
pub use round_robin::RoundRobin;
pub use sticky::{CooperativeSticky, Sticky};
pub use topics::{Racks, Topics};
pub use uniform::Uniform;

use crate::TopicPartition;

/// A way of sharing partitions out. Its own state is nobody's business: all it may know comes in as arguments, and
/// the same arguments must give the same answer, as whichever member leads asks its own.
///
/// An own one is offered to the group beside or instead of those of this module. Every member must know it by the
/// same name, or the group settles on another that all know.
pub trait Assignor: Send + Sync {
    /// What the group calls it. Kafka's own are `range`, `roundrobin`, `sticky` and `cooperative-sticky`.
    fn name(&self) -> &str;

    /// Whether members may keep what they have while the group rebalances (KIP-429). Such an assignor must leave out
    /// what another member has not given back yet; the group rebalances once more when it has.
    ///
    /// A group of members that all keep everything and an assignor that does not take care would work on a partition
    /// twice, so this is off by default.
    fn is_cooperative(&self) -> bool {
        false
    }

    /// What a member sends to the leader beside its subscription, when it joins: `held` is what the member was given
    /// last, in this generation, even if it has given it back since; nothing and -1 if it was never in the group.
    /// Comes back as [`Subscriber::user_data`].
    fn user_data(&self, held: &BTreeSet<TopicPartition>, generation: i32) -> Option<Bytes> {
        let _ = (held, generation);
        None
    }

    /// What each subscriber gets, in their order; whoever is missing at the end of the answer gets nothing.
    ///
    /// No partition may be in two shares. Topics that somebody wants may be missing from `topics`: they do not
    /// exist, or not yet. What subscribers claim to own is what they say: it may be gone, or claimed twice.
    fn assign(&self, topics: &Topics, subscribers: &[Subscriber]) -> Vec<Vec<TopicPartition>>;
}

impl fmt::Debug for dyn Assignor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A member that wants partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Its id within the group.
    pub member_id: String,
    /// Its name if it is a static member, which keeps it over restarts while its id changes.
    pub instance_id: Option<String>,
    /// The topics it wants.
    pub topics: BTreeSet<String>,
    /// The rack it is in; such a member would rather have partitions with a replica there.
    pub rack: Option<Arc<str>>,
    /// What it says it has and has not given back, in its order. In KIP-848's protocol: what it was to have so far.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it was given that; -1 where it does not say.
    pub generation: i32,
    /// What its assignor sent along, see [`Assignor::user_data`].
    pub user_data: Option<Bytes>,
}

impl Default for Subscriber {
    fn default() -> Self {
        Self {
            member_id: String::new(),
            instance_id: None,
            topics: BTreeSet::new(),
            rack: None,
            owned: Vec::new(),
            generation: -1,
            user_data: None,
        }
    }
}

impl Subscriber {
    /// The rack it is in, where it names one.
    fn rack(&self) -> Option<&str> {
        self.rack.as_deref().filter(|rack| !rack.is_empty())
    }
}

/// Places in `subscribers`, in the order in which Java has them take turns. Static members come first, by name, so
/// that new ids do not shift what the others get.
fn in_order(subscribers: &[Subscriber]) -> Vec<usize> {
    let mut ordered: Vec<usize> = (0..subscribers.len()).collect();
    ordered.sort_by_key(|&it| {
        let it = &subscribers[it];
        (it.instance_id.is_none(), it.instance_id.as_deref(), &*it.member_id)
    });
    ordered
}

/// The number of a partition at this place in its topic.
fn number(place: usize) -> i32 {
    i32::try_from(place).expect("a topic has fewer partitions than numbers for them")
}
