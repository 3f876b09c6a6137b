//! The consumer runtime: workers, order, commits.
