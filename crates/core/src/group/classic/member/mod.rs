//! The consumer's end of the classic group protocol. Whoever rejoins has first given back all it had, unless the
//! group's assignor is cooperative (KIP-429): then only what moves is given back, and the member joins once more.
//!
//! A group may hold members of both habits. As in Java, a member keeps its partitions only if all that it offers is
//! cooperative: any other might be chosen while it does.

mod answers;
mod join;
mod machine;
#[cfg(test)]
mod tests;

pub(in crate::group) use machine::Member;
