//! The consumer's end of the consumer protocol (KIP-848). All is said by one request: that the member is there, what
//! it wants, what it has. The coordinator answers with what it is to have, and never names what another still has:
//! so what is new is taken at once, and what is gone is given back first and then left out of what the member has.

mod answers;
mod machine;
mod said;
#[cfg(test)]
mod tests;

pub(in crate::group) use machine::Member;
