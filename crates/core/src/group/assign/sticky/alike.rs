//! All members want the same topics: everybody gets the same number of partitions, some one more. First everybody
//! keeps what it has, up to that; then what is left is dealt out, to those in its racks first, in turn.

use std::collections::VecDeque;

use super::problem::{Member, Partition, Problem};

struct Shares<'a> {
    problem: &'a Problem<'a>,
    owners: Vec<Option<Member>>,
    sizes: Vec<usize>,
    /// What everybody gets at least, and at most.
    each: usize,
    most: usize,
    /// How many may still get one more than the others.
    longer: usize,
    /// Who has less than everybody gets, in order.
    short: Vec<Member>,
    /// Who has just that, and may be among those who get one more.
    even: VecDeque<Member>,
}

pub(super) fn share_out(problem: &Problem<'_>) -> Vec<Option<Member>> {
    let (members, partitions) = (problem.members().len(), problem.partitions().len());
    if members == 0 {
        return vec![None; partitions];
    }
    let mut shares = Shares {
        problem,
        owners: vec![None; partitions],
        sizes: vec![0; members],
        each: partitions / members,
        most: partitions.div_ceil(members),
        longer: partitions % members,
        short: Vec::new(),
        even: VecDeque::new(),
    };
    shares.keep();
    let mut left: Vec<Partition> = problem.partitions().filter(|it| shares.owners[*it].is_none()).collect();
    if problem.racks_matter() {
        // Those that few are near to come first, while these have room.
        left.sort_by_key(|it| problem.members_near(*it));
        left = shares.deal_near(left);
    }
    shares.deal(left);
    shares.owners
}

impl Shares<'_> {
    /// Everybody keeps what it has, as far as it is near, up to what it may have.
    fn keep(&mut self) {
        let mut held: Vec<Vec<Partition>> = vec![Vec::new(); self.sizes.len()];
        for partition in self.problem.partitions() {
            let holder = self.problem.holder(partition);
            let near = |it: &Member| self.problem.is_in(partition, self.problem.rack(*it));
            if let Some(holder) = holder.filter(near) {
                held[holder].push(partition);
            }
        }
        for (member, mut held) in held.into_iter().enumerate() {
            held.sort_by_key(|it| (self.problem.number_of(*it), *it));
            let kept = if held.len() < self.each {
                self.short.push(member);
                held.len()
            } else if held.len() >= self.most && self.longer > 0 {
                self.grow();
                self.most
            } else {
                if self.longer > 0 {
                    self.even.push_back(member);
                }
                self.each
            };
            held[..kept].iter().for_each(|it| self.give(*it, member));
        }
    }

    /// One more has one more than the others; after the last nobody else may.
    fn grow(&mut self) {
        self.longer -= 1;
        if self.longer == 0 {
            self.even.clear();
        }
    }

    fn give(&mut self, partition: Partition, member: Member) {
        self.owners[partition] = Some(member);
        self.sizes[member] += 1;
    }

    /// Gives everybody in turn what is near, while there is room, and hands back the rest.
    fn deal_near(&mut self, left: Vec<Partition>) -> Vec<Partition> {
        let mut turn = 0;
        let mut rest = Vec::new();
        for partition in left {
            let is_near = |member: &Member| {
                let rack = self.problem.rack(*member);
                rack.is_some() && self.problem.is_in(partition, rack)
            };
            let (before, after) = self.short.split_at(turn);
            let next = after.iter().position(is_near).map(|it| it + turn);
            if let Some(at) = next.or_else(|| before.iter().position(is_near)) {
                turn = at + usize::from(self.give_short(at, partition));
                turn = turn.checked_rem(self.short.len()).unwrap_or(0);
            } else if let Some(at) = self.even.iter().position(is_near) {
                let member = self.even.remove(at).expect("its place was just found");
                self.give(partition, member);
                self.grow();
            } else {
                rest.push(partition);
            }
        }
        rest
    }

    /// Gives to one who has too little. Whether it still has.
    fn give_short(&mut self, at: usize, partition: Partition) -> bool {
        let member = self.short[at];
        self.give(partition, member);
        let is_short = self.sizes[member] < self.each;
        if !is_short {
            self.short.remove(at);
            if self.longer > 0 {
                self.even.push_back(member);
            }
        }
        is_short
    }

    /// Gives to all who have too little in turn, and then to those who may have one more.
    fn deal(&mut self, left: Vec<Partition>) {
        let mut turn = 0;
        for partition in left {
            if self.short.is_empty() {
                let member = self.even.pop_front().expect("shares add up to what there is");
                self.give(partition, member);
            } else {
                turn %= self.short.len();
                turn += usize::from(self.give_short(turn, partition));
            }
        }
    }
}
