//! The proof by enumeration: every operation of the log is cut at every legal point.
//!
//! A script is carried out twice: on a disk that never fails, to know what a reader sees after each step; and on one
//! that keeps a trace, which is cut after each of its operations, with any part of what was not synced missing. What
//! is recovered must be what was seen after one of the steps: none before the last that was acknowledged, and none
//! that had not been asked for.
//!
//! Lanes: `.ci/run crash`; `VLTAVA_CRASH_STATES=all` takes more losses, and every crash within every recovery.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::RangeInclusive,
};

use super::{
    script::{Configs, Play, Step, View, Written, ends, goes_on, view},
    *,
};
use crate::disk::Thoroughness;

use Written::{Classic, Gone, Member, MemberGone, Next, Target};

use Step::{
    Append, Commit as CommitAt, Configure, Create, Delete, DeleteRecords, Forget, Group, KillAndOpen, Lead,
    Pass, Settle, StopAndOpen,
};

const KEPT: Configs = &[("retention.ms", "-1"), ("segment.bytes", "600")];
const BOUNDED: Configs = &[("retention.bytes", "1500"), ("segment.bytes", "500")];
const COMPACTED: Configs = &[
    ("cleanup.policy", "compact"),
    ("segment.bytes", "500"),
    ("min.cleanable.dirty.ratio", "0.1"),
    ("delete.retention.ms", "0"),
];

/// A sync takes no time, or so long that more is written meanwhile.
const LATENCIES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(2)];

/// What is cut, and the log that it is done to.
struct Operation {
    name: &'static str,
    before: Vec<Step>,
    steps: Vec<Step>,
}

const NEW: &[Step] = &[Create("orders", KEPT), Settle];
const SOME: &[Step] = &[Append("orders", 150), Append("orders", 30), Settle];
const BURST: &[Step] = &[Append("orders", 40), Append("orders", 400), Pass(1), Append("orders", 90), Settle];
const ENOUGH_FOR_A_CHECKPOINT: &[Step] = &[Append("orders", 700); 6];
const NEW_BOUNDED: &[Step] = &[Create("bounded", BOUNDED), Settle];
const MORE_THAN_BOUNDED: &[Step] = &[Append("bounded", 300); 9];
const NEW_COMPACTED: &[Step] = &[Create("compacted", COMPACTED), Settle];
const KEYS: &[Step] = &[Append("compacted", 130); 14];

impl Operation {
    fn new(name: &'static str, before: &[&[Step]], steps: &[&[Step]]) -> Self {
        Self { name, before: before.concat(), steps: steps.concat() }
    }
}

fn operations() -> Vec<Operation> {
    let mut operations = on_records();
    operations.extend(on_topics());
    operations.extend(on_groups());
    operations
}

fn on_records() -> Vec<Operation> {
    let few: &[Step] = &[Append("orders", 350); 4];
    let delete: &[Step] = &[DeleteRecords("orders", 2), Settle, DeleteRecords("orders", 5), Settle];
    let retain: &[Step] = &[Pass(60_500)];
    let compact: &[Step] = &[Pass(5_200)];
    let settle: &[Step] = &[Settle];
    let kill: &[Step] = &[KillAndOpen];
    let much = ENOUGH_FOR_A_CHECKPOINT;
    vec![
        Operation::new("append", &[NEW, SOME], &[SOME, BURST, BURST]),
        Operation::new("append after a kill", &[NEW, SOME, kill], &[BURST, kill, BURST]),
        Operation::new("roll", &[NEW, SOME], &[few, settle, few]),
        Operation::new("checkpoint", &[NEW, SOME, much], &[much, &[Pass(1)], BURST, settle]),
        Operation::new("compaction", &[NEW_COMPACTED, KEYS, settle], &[compact, KEYS, compact, settle]),
        Operation::new(
            "retention",
            &[NEW_BOUNDED, MORE_THAN_BOUNDED, settle],
            &[retain, MORE_THAN_BOUNDED, settle, retain],
        ),
        Operation::new("DeleteRecords", &[NEW, much, settle], &[delete, much, settle]),
    ]
}

fn on_topics() -> Vec<Operation> {
    let create: &[Step] =
        &[Append("bounded", 40), Create("compacted", COMPACTED), Append("compacted", 9), Settle];
    let configure: &[Step] = &[Configure("bounded", KEPT), Append("bounded", 300), Settle];
    let configure_again: &[Step] = &[Configure("bounded", BOUNDED), Settle];
    let delete: &[Step] = &[Delete("bounded"), Settle];
    let again: &[Step] = &[Create("bounded", KEPT), Append("bounded", 20), Settle];
    let lead: &[Step] = &[Lead("orders", 2), Append("orders", 40), Lead("orders", 3), Settle];
    let lead_again: &[Step] = &[Lead("orders", 1), Pass(1), Lead("orders", 2), Append("orders", 90), Settle];
    let (settle, stop): (&[Step], &[Step]) = (&[Settle], &[StopAndOpen]);
    let much = ENOUGH_FOR_A_CHECKPOINT;
    vec![
        Operation::new("first start", &[], &[&[CommitAt(0), Settle], NEW, SOME]),
        Operation::new("topic creation", &[NEW, SOME], &[NEW_BOUNDED, create]),
        Operation::new(
            "topic config change",
            &[NEW_BOUNDED, MORE_THAN_BOUNDED, settle],
            &[configure, configure_again],
        ),
        Operation::new(
            "topic deletion",
            &[NEW, NEW_BOUNDED, much, MORE_THAN_BOUNDED, settle],
            &[delete, much, again],
        ),
        Operation::new("leader move", &[NEW, SOME], &[lead, much, lead_again, &[KillAndOpen]]),
        Operation::new("clean stop", &[NEW, much, BURST], &[stop, SOME, &[CommitAt(2), StopAndOpen]]),
    ]
}

fn on_groups() -> Vec<Operation> {
    let commit: &[Step] = &[CommitAt(1), Append("orders", 10), CommitAt(2), Settle, CommitAt(3), Settle];
    let forget: &[Step] = &[Forget, Append("orders", 10), CommitAt(4), Settle];
    let classic: &[Step] =
        &[Group(Classic, 1), Settle, CommitAt(1), Append("orders", 10), Group(Classic, 2), Settle];
    let gone: &[Step] = &[Group(Gone, 0), Append("orders", 10), Settle];
    let next: &[Step] = &[
        Group(Next, 1),
        Group(Member, 1),
        Group(Target, 1),
        Settle,
        Group(Next, 2),
        Group(Target, 2),
        Group(Member, 2),
        CommitAt(2),
        Settle,
    ];
    let member_gone: &[Step] = &[Group(MemberGone, 2), Group(Next, 3), Settle];
    let (much, stop): (&[Step], &[Step]) = (ENOUGH_FOR_A_CHECKPOINT, &[StopAndOpen]);
    vec![
        Operation::new("commit of offsets", &[NEW, SOME], &[commit, forget]),
        Operation::new("group", &[NEW, SOME], &[classic, much, gone, classic]),
        Operation::new(
            "group of another protocol",
            &[NEW, classic],
            &[gone, next, much, member_gone, stop, gone],
        ),
    ]
}

/// A script that was carried out, and what became of it.
struct Played {
    steps: Vec<Step>,
    /// What a reader sees after none of the steps, after the first, and so on.
    views: Vec<View>,
    disk: Memory,
    /// How many operations of the disk there were before each step.
    asked: Vec<usize>,
    /// How many operations there were when so many steps were acknowledged, or their records shown to a reader.
    acknowledged: Vec<(usize, usize)>,
    /// Where the operation that is to be cut begins.
    from: usize,
}

fn options() -> Options {
    Options { compaction_interval: Duration::from_secs(5), ..small() }
}

impl Played {
    async fn new(operation: &Operation, latency: Duration) -> Self {
        let steps = [&operation.before[..], &operation.steps].concat();
        let disk = Memory::traced().with_latency(Arc::new(SystemClock::new()), latency);
        let views = views(&steps).await;
        let mut played = Self { steps, views, disk, asked: vec![], acknowledged: vec![], from: 0 };
        let mut play = Play::open(played.disk.clone(), options()).await;
        for (number, step) in played.steps.iter().copied().enumerate() {
            if number == operation.before.len() && number > 0 {
                play.settle().await;
                played.from = played.disk.operations();
            }
            played.asked.push(played.disk.operations());
            play = play.take(number, step).await;
            if matches!(step, Settle | StopAndOpen | KillAndOpen) {
                played.acknowledged.push((played.disk.operations(), number + 1));
            }
            for (topic, end) in ends(&play.broker.log) {
                played
                    .acknowledged
                    .push((played.disk.operations(), played.steps_to(number + 1, &topic, end)));
            }
        }
        play.settle().await;
        played.acknowledged.push((played.disk.operations(), played.steps.len()));
        play.broker.kill().await;
        played
    }

    /// After how many of these steps a topic went as far as a reader saw.
    fn steps_to(&self, steps: usize, topic: &str, end: i64) -> usize {
        let ends = (0..=steps).rev().map(|it| (it, self.views[it].end(topic)));
        let as_far = ends.skip_while(|it| it.1 != Some(end)).take_while(|it| it.1 >= Some(end));
        as_far.last().expect("what is seen was written").0
    }

    /// After how many steps a log may seem to be that was cut after so many operations.
    fn may_have_done(&self, operations: usize) -> RangeInclusive<usize> {
        let before = self.acknowledged.iter().filter(|(at, _)| *at <= operations);
        let acknowledged = before.map(|(_, steps)| *steps).max().unwrap_or(0);
        let asked = self.asked.iter().filter(|at| **at < operations).count();
        acknowledged..=asked.max(acknowledged)
    }

    /// Whether this is what a reader saw after one of these steps; says after which.
    fn judge(&self, log: &Log, may_have_done: RangeInclusive<usize>, because: &str) -> (usize, View) {
        let found = view(log);
        let mut steps = may_have_done.clone().rev();
        match steps.find(|steps| self.views[*steps] == found) {
            Some(steps) => (steps, found),
            None => panic!(
                "{because}: found {found:#?}, which is none of what was seen after {may_have_done:?} steps; after \
                 the last: {:#?}",
                self.views[*may_have_done.end()]
            ),
        }
    }
}

/// What a reader sees after each step, on a disk that never fails.
async fn views(steps: &[Step]) -> Vec<View> {
    let mut play = Play::open(Memory::new(), options()).await;
    let mut views = vec![view(&play.broker.log)];
    for (number, step) in steps.iter().copied().enumerate() {
        play = play.take(number, step).await;
        play.settle().await;
        views.push(view(&play.broker.log));
    }
    play.broker.kill().await;
    views
}

/// How much is looked at.
struct Effort {
    cuts: Thoroughness,
    /// Of a recovery that is cut; one of these by chance.
    cuts_within: Thoroughness,
    /// Each recovery is cut after each of its operations, not after one.
    all_within: bool,
}

const USUAL: Effort = Effort {
    cuts: Thoroughness { pieces_combined_max: 4, alone_max: 6, by_chance: 6 },
    cuts_within: Thoroughness { pieces_combined_max: 3, alone_max: 1, by_chance: 1 },
    all_within: false,
};
const ALL: Effort = Effort {
    cuts: Thoroughness { pieces_combined_max: 6, alone_max: 100, by_chance: 20 },
    cuts_within: Thoroughness { pieces_combined_max: 4, alone_max: 2, by_chance: 2 },
    all_within: true,
};

/// Looks at states, and counts those that differ.
struct Enumeration {
    effort: Effort,
    chance: Rng,
    /// The disks that were found after a cut.
    states: HashSet<u64>,
    /// The disks that were found after a cut within a recovery, and what is found on each.
    within: HashMap<u64, View>,
    /// What was judged: the disk, and by how many steps.
    judged: HashSet<(u64, RangeInclusive<usize>)>,
    recoveries: usize,
}

impl Enumeration {
    fn new(effort: Effort) -> Self {
        let (states, within, judged) = Default::default();
        Self { effort, chance: Rng::new(5), states, within, judged, recoveries: 0 }
    }

    /// Cuts the operation after each operation of the disk.
    async fn cut(&mut self, name: &str, played: &Played) {
        for operations in played.from..=played.disk.operations() {
            let may_have_done = played.may_have_done(operations);
            for (index, disk) in
                played.disk.cuts_after(operations, self.effort.cuts, &mut self.chance).enumerate()
            {
                let digest = disk.digest();
                self.states.insert(digest);
                if self.judged.insert((digest, may_have_done.clone())) {
                    let because = format!("{name}, cut after {operations}, loss {index}");
                    self.recover(&because, played, disk, may_have_done.clone()).await;
                }
            }
        }
    }

    /// Recovers a disk and judges what is found; then cuts the recovery, and finds the same.
    async fn recover(
        &mut self,
        because: &str,
        played: &Played,
        disk: Memory,
        may_have_done: RangeInclusive<usize>,
    ) {
        let before = disk.operations();
        let broker = self.open(&disk, because).await;
        let after = disk.operations();
        let (steps, found) = played.judge(&broker.log, may_have_done, because);
        goes_on(&broker.log, &played.steps[..steps], because);
        broker.kill().await;
        let cuts = match self.effort.all_within {
            true => (before..=after).collect(),
            false => vec![before + self.chance.below((after - before) as u64 + 1) as usize],
        };
        for operations in cuts {
            let disks: Vec<_> =
                disk.cuts_after(operations, self.effort.cuts_within, &mut self.chance).collect();
            let disk = &disks[self.chance.below(disks.len() as u64) as usize];
            let because = format!("{because}, recovery cut after {operations}");
            let again = self.view_within(disk, &because).await;
            assert_eq!(again, found, "{because}: another recovery finds the same");
        }
    }

    /// What is found on a disk after a cut within a recovery. Whoever came there before, it is recovered once.
    async fn view_within(&mut self, disk: &Memory, because: &str) -> View {
        let digest = disk.digest();
        if let Some(view) = self.within.get(&digest) {
            return view.clone();
        }
        let broker = self.open(disk, because).await;
        let view = view(&broker.log);
        broker.kill().await;
        self.within.insert(digest, view.clone());
        view
    }

    async fn open(&mut self, disk: &Memory, because: &str) -> Broker {
        self.recoveries += 1;
        match Broker::open(disk.clone(), options()).await {
            Ok(broker) => broker,
            Err(error) => panic!("{because}: {error}: {:?}", std::error::Error::source(&error)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_operations_that_are_cut_do_what_they_are_called() {
    for operation in operations() {
        let played = Played::new(&operation, LATENCIES[0]).await;
        let files = |with| files_of(&played.disk, with).len();
        let [first, last] = [operation.before.len(), played.steps.len()].map(|steps| &played.views[steps]);
        let moved = |topic| last.log_start(topic) > first.log_start(topic);
        let as_called = match operation.name {
            "roll" => files(".log") > 3,
            "checkpoint" => files(".index") > 0,
            "compaction" => files(".c1.log") > 0,
            "retention" => moved("bounded"),
            "DeleteRecords" => moved("orders"),
            "clean stop" => files("journal-") == 1,
            _ => first != last,
        };
        assert!(as_called, "{}: {:?}", operation.name, played.disk.list());
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_survives_a_cut_at_every_legal_point_and_another_while_it_recovers() {
    let is_all = std::env::var("VLTAVA_CRASH_STATES").is_ok_and(|it| it == "all");
    let mut all = Enumeration::new(if is_all { ALL } else { USUAL });
    let mut by_operation = BTreeMap::new();
    for operation in operations() {
        let before = all.states.len();
        for latency in LATENCIES {
            let played = Played::new(&operation, latency).await;
            all.cut(operation.name, &played).await;
        }
        let count = all.states.len() - before;
        println!("{}: {count} states", operation.name);
        assert!(count > 10, "{} is cut", operation.name);
        by_operation.insert(operation.name, count);
    }
    let rows: Vec<_> = by_operation
        .iter()
        .map(|(name, count)| format!(r#"{{"operation": "{name}", "states": {count}}}"#))
        .collect();
    println!(
        r#"figures: states {{"distinct states": {}, "distinct states within recoveries": {}, "recoveries": {}, "by operation": [{}]}}"#,
        all.states.len(),
        all.within.len(),
        all.recoveries,
        rows.join(", "),
    );
    assert!(all.states.len() >= 10_000, "{} distinct states", all.states.len());
}

#[tokio::test(start_paused = true)]
async fn a_recovery_that_is_cut_again_and_again_finds_the_same() {
    for (seed, operation) in (0..).zip(operations()) {
        let played = Played::new(&operation, LATENCIES[1]).await;
        let chance = &mut Rng::new(seed);
        for operations in (played.from..=played.disk.operations()).step_by(9) {
            let mut disk = played.disk.cut_after(operations, chance);
            let mut found = None;
            for round in 0..6 {
                let before = disk.operations();
                let broker = Broker::open(disk.clone(), options()).await.expect("it recovers");
                let within = (disk.operations() - before) as u64;
                let again = view(&broker.log);
                let first = found.get_or_insert_with(|| again.clone());
                assert_eq!(*first, again, "{}, cut after {operations}, round {round}", operation.name);
                broker.kill().await;
                disk = disk.cut_after(before + chance.below(within + 1) as usize, chance);
            }
        }
    }
}
