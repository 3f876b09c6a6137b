//! A subscription by pattern. The dialect is that of RE2, which Kafka names: linear time, no looking back.

use regex::bytes::{Regex, RegexBuilder};
use vltava_wire::ErrorCode;

use super::Refusal;

/// No pattern that a person wrote is longer.
const TEXT_MAX: usize = 4096;
/// What a pattern may take when it is ready to match: more than any for names of topics needs.
const BYTES_MAX: usize = 64 << 10;

/// A pattern that names of topics match as a whole.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, Refusal> {
        let refused = |why: String| Refusal::new(ErrorCode::InvalidRegularExpression, why);
        if text.len() > TEXT_MAX {
            return Err(refused(format!("the pattern has {} bytes, more than {TEXT_MAX}", text.len())));
        }
        // Names of topics are ASCII, and so are RE2's classes.
        let build = |text: &str| {
            RegexBuilder::new(text).unicode(false).size_limit(BYTES_MAX).dfa_size_limit(BYTES_MAX).build()
        };
        // The text alone has to be a pattern too: what leaves the parentheses around it is none.
        let regex = build(text).and_then(|_| build(&format!("^(?:{text})$")));
        let regex = regex.map_err(|error| refused(format!("the pattern {text:?} is none: {error}")))?;
        Ok(Self { text: text.to_owned(), regex })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, topic: &str) -> bool {
        self.regex.is_match(topic.as_bytes())
    }

    /// What it may take at most.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_matches_as_a_whole() {
        let pattern = Pattern::new(r"orders|ref.*|\d+").expect("a pattern");
        let matching: Vec<_> = ["orders", "orders-eu", "new-orders", "refunds", "ref", "12", "12a"]
            .into_iter()
            .filter(|it| pattern.matches(it))
            .collect();
        assert_eq!(matching, ["orders", "refunds", "ref", "12"]);
    }

    #[test]
    fn what_is_no_pattern_or_too_big_a_one_is_refused() {
        let big = "(a{1000}){1000}".to_owned();
        for text in ["(", "a)|(b", "(?=x)", "\\1", "[z-a]", &big, &"a".repeat(TEXT_MAX + 1)] {
            let refused = Pattern::new(text).expect_err("no pattern");
            assert_eq!(refused.code, ErrorCode::InvalidRegularExpression, "{text}");
        }
    }
}
