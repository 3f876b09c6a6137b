//! A thousand rebalances, and what Kafka's own assignors made of them. `interop/kafka/Assignors.java` wrote them and
//! says how they are to be read.

use std::io::Read as _;

use flate2::read::GzDecoder;

use super::*;

const GOLDEN: &[u8] = include_bytes!("golden.txt.gz");

struct Rebalance<'a> {
    text: &'a str,
    topics: Topics,
    members: Vec<Subscriber>,
}

impl<'a> Rebalance<'a> {
    fn read(text: &'a str) -> Self {
        let mut it = Self { text, topics: Topics::default(), members: Vec::new() };
        for line in text.lines() {
            match line.strip_prefix('@') {
                Some(member) => it.members.push(member_of(member)),
                None if line.starts_with('=') => (),
                None => {
                    let (name, racks) = line.split_once(' ').expect("a topic has partitions");
                    it.topics.insert(name, racks.split(' ').map(racks_of).collect());
                }
            }
        }
        it
    }

    /// What Java's assignor of this name answered.
    fn expected(&self, name: &str) -> &str {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix('='));
        let mut named = lines.filter_map(|line| line.split_once(' ')).filter(|(it, _)| *it == name);
        named.next().expect("every assignor answered").1
    }

    fn answer(&self, assignor: &dyn Assignor) -> String {
        let tell = |it: &Subscriber| Subscriber {
            user_data: assignor.user_data(&it.owned.iter().cloned().collect(), it.generation),
            ..it.clone()
        };
        let members: Vec<Subscriber> = self.members.iter().map(tell).collect();
        self.written(&assignor.assign(&self.topics, &members))
    }

    fn written(&self, shares: &[Vec<TopicPartition>]) -> String {
        let owner = |topic: &str, place: usize| {
            let has = |share: &Vec<TopicPartition>| {
                share.iter().any(|it| &*it.topic == topic && it.partition == number(place))
            };
            let mut owners = self.members.iter().zip(shares).filter(|(_, share)| has(share));
            let owner = owners.next().map_or("-", |(it, _)| &*it.member_id);
            assert!(owners.next().is_none(), "{topic}-{place} has two owners:\n{}", self.text);
            owner.to_owned()
        };
        let topic = |(topic, racks): (&Arc<str>, &[Racks])| -> String {
            (0..racks.len()).map(|place| owner(topic, place)).collect()
        };
        self.topics.iter().map(topic).collect::<Vec<_>>().join(" ")
    }

    /// Whether two say to have the same partition while not all want the same topics.
    fn is_disputed(&self) -> bool {
        let mut known = BTreeSet::new();
        let is_mixed = self.members.windows(2).any(|pair| pair[0].topics != pair[1].topics);
        is_mixed && self.members.iter().flat_map(|it| &it.owned).any(|it| !known.insert(it))
    }
}

fn racks_of(text: &str) -> Racks {
    text.chars().filter(|it| *it != '-').map(|it| it.to_string().into()).collect()
}

fn member_of(line: &str) -> Subscriber {
    let mut words = line.split(' ');
    let mut word = || words.next().expect("a member has five words at least");
    let [id, instance, topics, rack, generation] = [(); 5].map(|()| word());
    let named = |text: &str| (text != "-").then(|| text.to_owned());
    let partition = |it: &str| {
        let (topic, number) = it.split_at(1);
        TopicPartition::new(topic, number.parse().expect("a number"))
    };
    Subscriber {
        member_id: id.to_owned(),
        instance_id: named(instance),
        topics: topics.chars().map(|it| it.to_string()).collect(),
        rack: named(rack).map(Into::into),
        generation: generation.parse().expect("a number"),
        owned: words.map(partition).collect(),
        user_data: None,
    }
}

fn check(assignor: &dyn Assignor, is_judged: impl Fn(&Rebalance<'_>) -> bool) -> usize {
    let mut text = String::new();
    GzDecoder::new(GOLDEN).read_to_string(&mut text).expect("it is text");
    let rebalances: Vec<Rebalance<'_>> =
        text.split("\n\n").filter(|it| !it.is_empty()).map(Rebalance::read).collect();
    assert_eq!(rebalances.len(), 1_000);
    let judged: Vec<_> = rebalances.iter().filter(|it| is_judged(it)).collect();
    for it in &judged {
        assert_eq!(it.answer(assignor), it.expected(assignor.name()), "{}", it.text);
    }
    judged.len()
}

#[test]
fn ranges_are_those_of_java() {
    check(&Range, |_| true);
}

#[test]
fn what_is_dealt_in_turn_is_dealt_as_java_does() {
    check(&RoundRobin, |_| true);
}

#[test]
fn sticky_shares_are_those_of_java() {
    check(&Sticky, |_| true);
}

/// Where members want different topics, Java takes any claim of a member for its right to go on, even if another has
/// been given the partition since. There we leave it out until that other has given it back.
#[test]
fn cooperative_shares_are_those_of_java() {
    let judged = check(&CooperativeSticky, |it| !it.is_disputed());
    assert!(judged > 900, "{judged}");
}
