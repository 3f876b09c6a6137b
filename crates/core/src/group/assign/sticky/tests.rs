//! What members say of themselves, true or not, and how even, still and exclusive the shares are that come of it.

use std::sync::Arc;

use super::*;
use crate::{
    Rng,
    group::assign::{Racks, Uniform},
};

fn partition(topic: &str, number: i32) -> TopicPartition {
    TopicPartition::new(topic, number)
}

fn member(id: impl ToString, topics: &[&str], generation: i32, owned: &[(&str, i32)]) -> Subscriber {
    Subscriber {
        member_id: id.to_string(),
        topics: topics.iter().map(|it| (*it).to_owned()).collect(),
        owned: owned.iter().map(|(topic, number)| partition(topic, *number)).collect(),
        generation,
        ..Subscriber::default()
    }
}

/// What each gets, in order of members.
fn check(assignor: &dyn Assignor, counts: &[(&str, usize)], members: &[Subscriber], expected: &[&str]) {
    let topics = counts.iter().copied().collect();
    let told: Vec<Subscriber> = members.iter().map(|it| told(assignor, it)).collect();
    let share =
        |it: &Vec<TopicPartition>| it.iter().map(TopicPartition::to_string).collect::<Vec<_>>().join(" ");
    let shares: Vec<String> = assignor.assign(&topics, &told).iter().map(share).collect();
    assert_eq!(shares, expected, "{members:?}");
}

/// The member as the leader hears of it.
fn told(assignor: &dyn Assignor, it: &Subscriber) -> Subscriber {
    let user_data = assignor.user_data(&it.owned.iter().cloned().collect(), it.generation);
    Subscriber { user_data, ..it.clone() }
}

/// The bytes are what kafka-clients 4.3.0 wrote; the first version of them ends before the generation.
#[test]
fn what_members_had_is_written_as_java_does_and_read_from_either_version() {
    let bytes = b"\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x01\0\0\0\x02\0\0\0\x07";
    let held = vec![partition("t", 1), partition("t", 2)];
    let written = Sticky.user_data(&held.iter().cloned().collect(), 7).expect("it was in a generation");
    assert_eq!(written, bytes[..]);
    assert_eq!(previous(written.clone()), Held { partitions: held.clone(), generation: 7 });
    assert_eq!(previous(written.slice(..bytes.len() - 4)), Held { partitions: held, generation: -1 });
    assert_eq!(previous(written.slice(..9)), Held::default());
    assert_eq!(Sticky.user_data(&BTreeSet::new(), -1), None);
    assert_eq!(
        CooperativeSticky.user_data(&BTreeSet::new(), -1),
        Some(Bytes::from_static(b"\xff\xff\xff\xff"))
    );
}

#[test]
fn an_old_subscription_says_its_generation_beside_it() {
    let old =
        Subscriber { user_data: Some(Bytes::from_static(b"\0\0\0\x05")), ..member("a", &["t"], -1, &[]) };
    assert_eq!(owned(&old).generation, 5);
    assert_eq!(owned(&Subscriber { generation: 6, ..old.clone() }).generation, 6);
    assert_eq!(owned(&Subscriber { user_data: Some(Bytes::from_static(b"\0")), ..old }).generation, -1);
}

#[test]
fn what_is_not_there_cannot_be_owned() {
    let lies = [("t", -1), ("t", 3), ("t", i32::MAX), ("u", 0), ("t", 1), ("t", 1)];
    let members = [member("a", &["t"], 4, &lies), member("b", &["t", "gone"], 4, &[("gone", 0)])];
    for assignor in [&Sticky as &dyn Assignor, &CooperativeSticky] {
        check(assignor, &[("t", 3)], &members, &["t-1 t-2", "t-0"]);
        check(assignor, &[("t", 3)], &members[..1], &["t-0 t-1 t-2"]);
        check(assignor, &[], &members, &["", ""]);
        check(assignor, &[("t", 3)], &[], &[]);
    }
}

#[test]
fn what_two_were_given_at_once_is_given_back_by_both() {
    for others in [&["t"][..], &["t", "u"]] {
        let both = [member("a", &["t"], 4, &[("t", 0), ("t", 1)]), member("b", others, 4, &[("t", 1)])];
        check(&CooperativeSticky, &[("t", 2)], &both, &["t-0", ""]);
        check(&Sticky, &[("t", 2)], &both, &["t-0", "t-1"]);
    }
}

#[test]
fn who_missed_a_generation_gives_back_what_another_was_given_since() {
    for others in [&["t"][..], &["t", "u"]] {
        let late = member("a", &["t"], 3, &[("t", 0), ("t", 1)]);
        let both = [late, member("b", others, 4, &[("t", 1)])];
        check(&CooperativeSticky, &[("t", 2)], &both, &["t-0", "t-1"]);
    }
}

#[test]
fn a_late_claim_gives_no_right_to_what_the_last_owner_still_has() {
    let late = member("a", &["t", "u"], 3, &[("t", 0)]);
    let owner = member("b", &["t"], 4, &[("t", 0), ("t", 1), ("t", 2)]);
    check(&CooperativeSticky, &[("t", 3)], &[late, owner], &["", "t-1 t-2"]);
}

struct Group {
    rng: Rng,
    topics: Topics,
    members: Vec<Subscriber>,
    generation: i32,
}

impl Group {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let topics = (0..1 + rng.below(5)).map(|it| (format!("t{it}"), 1 + rng.below(12) as usize)).collect();
        let mut group = Self { rng, topics, members: Vec::new(), generation: 0 };
        (0..1 + group.rng.below(8)).for_each(|_| group.arrive());
        group
    }

    fn arrive(&mut self) {
        let is_mixed = self.rng.chance(30);
        let names: Vec<String> = self.topics.iter().map(|(topic, _)| topic.to_string()).collect();
        let topics = names.into_iter().filter(|_| !is_mixed || self.rng.chance(60)).collect();
        let member_id = format!("m{}", self.rng.bits());
        self.members.push(Subscriber { member_id, topics, ..Subscriber::default() });
    }

    fn change(&mut self) {
        let one = self.rng.below(self.members.len() as u64) as usize;
        match self.rng.below(3) {
            0 if self.members.len() > 1 => drop(self.members.remove(one)),
            1 => self.members[one].owned.clear(),
            _ => self.arrive(),
        }
    }

    fn share_out(&mut self, assignor: &dyn Assignor) -> Vec<Vec<TopicPartition>> {
        let members: Vec<Subscriber> = self.members.iter().map(|it| told(assignor, it)).collect();
        let shares = assignor.assign(&self.topics, &members);
        self.generation += 1;
        for (it, share) in self.members.iter_mut().zip(&shares) {
            it.owned = share.clone();
            it.generation = self.generation;
        }
        shares
    }

    /// How much there is that somebody wants.
    fn wanted(&self) -> usize {
        let is_wanted = |topic: &Arc<str>| self.members.iter().any(|it| it.topics.contains(&**topic));
        self.topics.iter().filter(|(topic, _)| is_wanted(topic)).map(|(_, racks)| racks.len()).sum()
    }
}

#[test]
fn all_is_shared_out_evenly_and_stays_where_it_is() {
    for seed in 0..500 {
        let mut group = Group::new(seed);
        for assignor in [&Uniform as &dyn Assignor, &Sticky].into_iter().cycle().take(8) {
            group.change();
            let shares = group.share_out(assignor);
            let owned: BTreeSet<_> = shares.iter().flatten().collect();
            assert_eq!(owned.len(), shares.iter().flatten().count(), "seed {seed}: two owners");
            assert_eq!(owned.len(), group.wanted(), "seed {seed}");
            for (it, share) in group.members.iter().zip(&shares) {
                assert!(share.iter().all(|mine| it.topics.contains(&*mine.topic)), "seed {seed}");
                let could_give = |other: &&Vec<TopicPartition>| {
                    other.len() > share.len() + 1
                        && other.iter().any(|theirs| it.topics.contains(&*theirs.topic))
                };
                assert!(!shares.iter().any(|other| could_give(&other)), "seed {seed}: uneven");
            }
            assert_eq!(group.share_out(assignor), shares, "seed {seed}: moved without need");
        }
    }
}

#[test]
fn nobody_is_given_what_another_still_has_and_all_is_given_once_it_is_free() {
    for seed in 0..500 {
        let mut group = Group::new(seed);
        for _ in 0..8 {
            group.change();
            let before = group.members.clone();
            let shares = group.share_out(&CooperativeSticky);
            for (it, share) in before.iter().zip(&shares) {
                let others = before.iter().filter(|other| other.member_id != it.member_id);
                let held: BTreeSet<_> = others.flat_map(|other| &other.owned).collect();
                assert!(!share.iter().any(|mine| held.contains(mine)), "seed {seed}: given too early");
            }
            // What is given back may be shared out otherwise than it was meant to be, so once more is not always enough.
            let mut again = || group.share_out(&CooperativeSticky).iter().flatten().count() == group.wanted();
            assert!((0..3).any(|_| again()), "seed {seed}: left out for good");
        }
    }
}

/// A thousand members, ten thousand partitions: alike, with racks, and each member with wishes of its own.
#[test]
fn great_groups_are_shared_out_evenly() {
    let rack = |it: usize| Arc::<str>::from(format!("r{}", it % 3));
    let mut topics = Topics::default();
    let mut names = Vec::new();
    for it in 0..100 {
        let racks = (0..100).map(|at| Racks::from([rack(at), rack(at + it)])).collect();
        names.push(format!("t{it}"));
        topics.insert(&*names[it], racks);
    }
    for (own_wishes, has_racks) in [(false, false), (false, true), (true, false), (true, true)] {
        let wants =
            |it: usize, topic: usize| !own_wishes || topic == it % 100 || (topic * 7 + it * 13) % 5 < 2;
        let subscriber = |it: usize| Subscriber {
            member_id: format!("m{it:04}"),
            topics: names
                .iter()
                .enumerate()
                .filter(|(at, _)| wants(it, *at))
                .map(|(_, it)| it.clone())
                .collect(),
            rack: has_racks.then(|| rack(it)),
            ..Subscriber::default()
        };
        let mut members: Vec<Subscriber> = (0..1_000).map(subscriber).collect();
        let shares = Uniform.assign(&topics, &members);
        assert!(shares.iter().all(|share| (9..=11).contains(&share.len())), "{own_wishes} {has_racks}");
        for (it, share) in members.iter_mut().zip(shares) {
            it.owned = share;
            it.generation = 1;
        }
        members.truncate(900);
        let shares = Uniform.assign(&topics, &members);
        assert!(shares.iter().all(|share| (10..=13).contains(&share.len())), "{own_wishes} {has_racks}");
    }
}
