//! Kafka's words for kinds and states of groups. Words that are not known here are kept as they are.

use std::fmt;

/// Which protocol a group speaks with its coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupType {
    /// Its members join and sync, and one of them assigns.
    Classic,
    /// The coordinator assigns (KIP-848).
    Consumer,
    /// Another: that of share groups, say.
    Other(String),
}

/// How far a group is with sharing out its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupState {
    /// It has no members.
    Empty,
    /// Everybody works.
    Stable,
    /// Classic: everybody joins.
    PreparingRebalance,
    /// Classic: one of them assigns.
    CompletingRebalance,
    /// KIP-848: the coordinator assigns.
    Assigning,
    /// KIP-848: members take over what they were assigned.
    Reconciling,
    /// It is not there.
    Dead,
    /// Another.
    Other(String),
}

impl GroupType {
    /// Kafka's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Other(word) => word,
        }
    }
}

impl GroupState {
    /// Kafka's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Empty => "Empty",
            Self::Stable => "Stable",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Dead => "Dead",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for GroupType {
    /// Case does not matter.
    fn from(word: &str) -> Self {
        let known = [Self::Classic, Self::Consumer];
        let named = known.into_iter().find(|it| it.as_str().eq_ignore_ascii_case(word));
        named.unwrap_or_else(|| Self::Other(word.to_owned()))
    }
}

impl From<&str> for GroupState {
    /// Case does not matter.
    fn from(word: &str) -> Self {
        let known = [
            Self::Empty,
            Self::Stable,
            Self::PreparingRebalance,
            Self::CompletingRebalance,
            Self::Assigning,
            Self::Reconciling,
            Self::Dead,
        ];
        let named = known.into_iter().find(|it| it.as_str().eq_ignore_ascii_case(word));
        named.unwrap_or_else(|| Self::Other(word.to_owned()))
    }
}

impl fmt::Display for GroupType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_whatever_their_case_and_unknown_ones_kept() {
        assert_eq!(GroupState::from("stable"), GroupState::Stable);
        assert_eq!(GroupState::from("PREPARINGREBALANCE"), GroupState::PreparingRebalance);
        assert_eq!(GroupState::from("NotReady").to_string(), "NotReady");
        assert_eq!(GroupType::from("Consumer"), GroupType::Consumer);
        assert_eq!(GroupType::from("Share").to_string(), "Share");
    }
}
