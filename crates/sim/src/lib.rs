//! Clients, flows and broker in one thread on one seed, with checkers.
