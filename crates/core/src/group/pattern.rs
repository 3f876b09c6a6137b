//! Topics by a regular expression: what a member of the classic protocol picks by itself, and a coordinator of
//! KIP-848's for its members. The syntax is that of RE2, which has no look-around and no back references, and so
//! takes a time that only grows with the length of a name.

use std::{fmt, sync::Arc};

use regex::bytes::{Regex, RegexBuilder};

/// No pattern may take more memory than this when it is compiled: members send theirs to the coordinator.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Topics whose whole name is as an expression says.
#[derive(Clone)]
pub struct Pattern {
    text: Arc<str>,
    regex: Regex,
}

impl Pattern {
    /// Reads an expression: `orders-.*` means the topics that begin with `orders-`.
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        let bad = |error: regex::Error| BadPattern { text: text.to_owned(), why: error.to_string() };
        // On its own first: what closes more than it opens would make sense within other parentheses.
        compile(text).map_err(bad)?;
        let regex = compile(&format!(r"\A(?:{text})\z")).map_err(bad)?;
        Ok(Self { text: text.into(), regex })
    }

    /// The expression as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is the name of such a topic.
    pub fn matches(&self, topic: &str) -> bool {
        self.regex.is_match(topic.as_bytes())
    }
}

/// Names of topics are ASCII.
fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).unicode(false).size_limit(COMPILED_BYTES_MAX).build()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

/// An expression that makes no sense, or would take too much memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern {
    text: String,
    why: String,
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no regular expression: {}", self.text, self.why)
    }
}

impl std::error::Error for BadPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_name_has_to_match() {
        for (pattern, topic, expected) in [
            ("orders-.*", "orders-eu", true),
            ("orders-.*", "old-orders-eu", false),
            ("orders", "orders-eu", false),
            ("orders|refunds", "refunds", true),
            ("orders|refunds", "orders-eu", false),
            ("orders|refunds", "eu-refunds", false),
            (r"^\w+\.\d$", "orders.1", true),
            (".*", "", true),
        ] {
            let it = Pattern::new(pattern).expect("it makes sense");
            assert_eq!(it.matches(topic), expected, "{pattern} and {topic}");
        }
    }

    #[test]
    fn what_makes_no_sense_or_takes_too_much_is_refused() {
        for pattern in ["(", "a)|(b", "*", r"(a)\1", "((a{100}){100}){100}"] {
            let error = Pattern::new(pattern).expect_err("it is refused");
            assert!(error.to_string().contains(pattern), "{error}");
        }
    }
}
