//! The consumer's end of the classic group protocol, eager: whoever rejoins has first given back all it had.

mod answers;
mod machine;
#[cfg(test)]
mod tests;

pub use machine::Member;
