//! Records that wait for each other: a lane holds those that must be worked on one after another.
//!
//! A lane is claimed while one of its records is at work, and is ready again as soon as that is done; so no worker
//! ever waits for a busy key, and no key waits for a free worker longer than its turn.

use std::{collections::VecDeque, hash::BuildHasher, mem};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// What is worked on one after another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The records of a partition that have the same key, in the partition's order. Records without a key have
    /// nothing to be in order with: each goes its own way. An empty key is a key.
    #[default]
    Key,
    /// All records of a partition.
    Partition,
    /// Nothing: every record goes its own way.
    None,
}

/// What has a key to be in order by.
pub trait Keyed {
    /// The key, if it has one.
    fn key(&self) -> Option<&[u8]>;
}

/// The lanes of all assignments.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    order: Order,
    hasher: FixedState,
    lanes: Vec<Lane>,
    free_lanes: Vec<u32>,
    /// The lanes that have a name, by its hash.
    named: HashTable<u32>,
    nodes: Vec<Node<T>>,
    free_nodes: Vec<u32>,
    /// Lanes that have a record waiting and none at work, in the order in which they became so.
    ready: VecDeque<u32>,
}

/// One lane. Its memory is used again, its key's bytes included.
#[derive(Debug, Default)]
struct Lane {
    assignment: u64,
    hash: u64,
    key: Vec<u8>,
    named: bool,
    claimed: bool,
    first: Option<u32>,
    last: Option<u32>,
}

#[derive(Debug)]
struct Node<T> {
    item: Option<T>,
    next: Option<u32>,
}

/// A lane's key is kept in place; one that grew longer than this is given back.
const KEY_KEPT_BYTES: usize = 1024;

impl<T: Keyed> Lanes<T> {
    /// The seed keeps those who choose keys from choosing which of them collide.
    pub(super) fn new(order: Order, seed: u64) -> Self {
        Self {
            order,
            hasher: FixedState::with_seed(seed),
            lanes: Vec::new(),
            free_lanes: Vec::new(),
            named: HashTable::new(),
            nodes: Vec::new(),
            free_nodes: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    /// Puts a record behind those that it has to wait for.
    pub(super) fn push(&mut self, assignment: u64, item: T) {
        let lane = match (self.order, item.key()) {
            (Order::Key, Some(key)) => self.find(assignment, key),
            (Order::Partition, _) => self.find(assignment, &[]),
            (Order::Key, None) | (Order::None, _) => self.open(assignment),
        };
        let node = self.node(item);
        let it = &mut self.lanes[lane as usize];
        match it.last.replace(node) {
            Some(last) => self.nodes[last as usize].next = Some(node),
            None => {
                it.first = Some(node);
                if !it.claimed {
                    self.ready.push_back(lane);
                }
            }
        }
    }

    /// Takes the first record of the lane whose turn it is. The lane stays claimed until it is freed.
    pub(super) fn claim(&mut self) -> Option<(u32, T)> {
        let lane = self.ready.pop_front()?;
        let it = &mut self.lanes[lane as usize];
        it.claimed = true;
        let at = it.first.expect("a ready lane has a record");
        let node = &mut self.nodes[at as usize];
        it.first = node.next.take();
        if it.first.is_none() {
            it.last = None;
        }
        self.free_nodes.push(at);
        Some((lane, node.item.take().expect("a node in a lane holds a record")))
    }

    /// The record that was taken from this lane is no longer at work.
    pub(super) fn free(&mut self, lane: u32) {
        let it = &mut self.lanes[lane as usize];
        assert!(mem::take(&mut it.claimed), "a lane is freed once for each claim");
        match it.first {
            Some(_) => self.ready.push_back(lane),
            None => self.close(lane),
        }
    }

    /// Drops every record of an assignment that waits.
    pub(super) fn drop_waiting(&mut self, assignment: u64) {
        let lanes = &self.lanes;
        self.ready.retain(|lane| lanes[*lane as usize].assignment != assignment);
        for lane in 0..self.lanes.len() {
            if self.lanes[lane].assignment == assignment {
                self.drop_lane(lane as u32);
            }
        }
    }

    fn drop_lane(&mut self, lane: u32) {
        let it = &mut self.lanes[lane as usize];
        let mut next = it.first.take();
        it.last = None;
        let waited = next.is_some();
        while let Some(at) = next {
            let node = &mut self.nodes[at as usize];
            node.item = None;
            next = node.next.take();
            self.free_nodes.push(at);
        }
        if waited && !self.lanes[lane as usize].claimed {
            self.close(lane);
        }
    }

    /// Whether no lane has a record that could be taken.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn find(&mut self, assignment: u64, key: &[u8]) -> u32 {
        let hash = self.hasher.hash_one((assignment, key));
        let lanes = &self.lanes;
        let same = |lane: &u32| {
            let it = &lanes[*lane as usize];
            it.assignment == assignment && it.key == key
        };
        if let Some(lane) = self.named.find(hash, same) {
            return *lane;
        }
        let lane = self.open(assignment);
        let it = &mut self.lanes[lane as usize];
        it.hash = hash;
        it.named = true;
        it.key.extend_from_slice(key);
        let lanes = &self.lanes;
        self.named.insert_unique(hash, lane, |lane| lanes[*lane as usize].hash);
        lane
    }

    fn open(&mut self, assignment: u64) -> u32 {
        let lane = self.free_lanes.pop().unwrap_or_else(|| {
            self.lanes.push(Lane::default());
            u32::try_from(self.lanes.len() - 1).expect("fewer lanes than records, which are bounded")
        });
        self.lanes[lane as usize].assignment = assignment;
        lane
    }

    fn close(&mut self, lane: u32) {
        let it = &mut self.lanes[lane as usize];
        if mem::take(&mut it.named) {
            let entry = self.named.find_entry(it.hash, |named| *named == lane);
            entry.expect("a named lane is in the table").remove();
        }
        it.key.clear();
        it.key.shrink_to(KEY_KEPT_BYTES);
        it.assignment = 0;
        self.free_lanes.push(lane);
    }

    fn node(&mut self, item: T) -> u32 {
        let node = Node { item: Some(item), next: None };
        if let Some(at) = self.free_nodes.pop() {
            self.nodes[at as usize] = node;
            return at;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).expect("fewer nodes than records, which are bounded")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Item(Option<Vec<u8>>, &'static str);

    impl Keyed for Item {
        fn key(&self) -> Option<&[u8]> {
            self.0.as_deref()
        }
    }

    fn push(lanes: &mut Lanes<Item>, assignment: u64, key: Option<&[u8]>, name: &'static str) {
        lanes.push(assignment, Item(key.map(<[u8]>::to_vec), name));
    }

    fn claimed(lanes: &mut Lanes<Item>) -> Vec<(u32, &'static str)> {
        std::iter::from_fn(|| lanes.claim()).map(|(lane, item)| (lane, item.1)).collect()
    }

    fn names(claimed: &[(u32, &'static str)]) -> Vec<&'static str> {
        claimed.iter().map(|it| it.1).collect()
    }

    #[test]
    fn a_key_is_claimed_while_one_of_its_records_is_at_work() {
        let mut lanes = Lanes::new(Order::Key, 7);
        for (key, item) in [(b"a", "a1"), (b"a", "a2"), (b"b", "b1"), (b"a", "a3")] {
            push(&mut lanes, 1, Some(key), item);
        }
        let first = claimed(&mut lanes);
        assert_eq!(names(&first), ["a1", "b1"]);
        lanes.free(first[0].0);
        let second = claimed(&mut lanes);
        assert_eq!(names(&second), ["a2"]);
        push(&mut lanes, 1, Some(b"b"), "b2");
        assert!(!lanes.has_ready());
        lanes.free(first[1].0);
        lanes.free(second[0].0);
        assert_eq!(names(&claimed(&mut lanes)), ["b2", "a3"]);
    }

    #[test]
    fn records_without_a_key_go_side_by_side_and_an_empty_key_is_a_key() {
        let mut lanes = Lanes::new(Order::Key, 7);
        for (key, item) in [(None, "x"), (None, "y"), (Some(&b""[..]), "e1"), (Some(b""), "e2")] {
            push(&mut lanes, 1, key, item);
        }
        assert_eq!(names(&claimed(&mut lanes)), ["x", "y", "e1"]);
    }

    #[test]
    fn the_same_key_in_two_partitions_is_two_lanes() {
        let mut lanes = Lanes::new(Order::Key, 7);
        push(&mut lanes, 1, Some(b"a"), "in one");
        push(&mut lanes, 2, Some(b"a"), "in the other");
        assert_eq!(names(&claimed(&mut lanes)), ["in one", "in the other"]);
    }

    #[test]
    fn order_by_partition_and_no_order_ignore_keys() {
        for (order, expected) in [(Order::Partition, &["1", "3"][..]), (Order::None, &["1", "2", "3"])] {
            let mut lanes = Lanes::new(order, 7);
            push(&mut lanes, 1, Some(b"a"), "1");
            push(&mut lanes, 1, None, "2");
            push(&mut lanes, 2, Some(b"a"), "3");
            assert_eq!(names(&claimed(&mut lanes)), expected, "{order:?}");
        }
    }

    #[test]
    fn what_waits_of_an_assignment_is_dropped_and_what_runs_is_not_disturbed() {
        let mut lanes = Lanes::new(Order::Key, 7);
        push(&mut lanes, 1, Some(b"a"), "a1");
        push(&mut lanes, 1, Some(b"a"), "a2");
        push(&mut lanes, 1, Some(b"b"), "b1");
        push(&mut lanes, 2, Some(b"a"), "other");
        let (running, _) = lanes.claim().unwrap();
        lanes.drop_waiting(1);
        assert_eq!(names(&claimed(&mut lanes)), ["other"]);
        lanes.free(running);
        assert!(!lanes.has_ready());
        push(&mut lanes, 3, Some(b"a"), "again");
        assert_eq!(names(&claimed(&mut lanes)), ["again"]);
    }

    #[test]
    fn lanes_and_nodes_are_used_again() {
        let mut lanes = Lanes::new(Order::Key, 7);
        for round in 0..1_000u32 {
            for key in 0..8 {
                push(&mut lanes, 1, Some(format!("{round}-{key}").as_bytes()), "it");
            }
            for (lane, _) in claimed(&mut lanes) {
                lanes.free(lane);
            }
        }
        assert_eq!((lanes.lanes.len(), lanes.nodes.len(), lanes.named.len()), (8, 8, 0));
    }
}
