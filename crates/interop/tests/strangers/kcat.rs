//! kcat, as Debian ships it with a librdkafka of its own: lists, produces, consumes, shares a topic in a group.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use crate::ground::{Ground, unique, until};

const STEP: Duration = Duration::from_millis(50);

fn kcat(ground: &Ground, arguments: &[&str]) -> Command {
    let mut command = Command::new("kcat");
    command.args(["-b", &ground.brokers]).args(arguments);
    command
}

/// Runs kcat to its end and returns what it printed.
fn said(ground: &Ground, arguments: &[&str], input: &str) -> String {
    let mut child = kcat(ground, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kcat is installed (apt-get install kcat)");
    child.stdin.take().expect("its input is piped").write_all(input.as_bytes()).expect("kcat listens");
    let ended = child.wait_with_output().expect("kcat ends");
    assert!(ended.status.success(), "kcat {arguments:?} ended with {}", ended.status);
    String::from_utf8(ended.stdout).expect("kcat prints text")
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| format!("key-{}\tvalue-{number}\n", number % 17)).collect()
}

fn produce(ground: &Ground, topic: &str, codec: &str, input: &str) {
    let idempotent = "enable.idempotence=true";
    said(ground, &["-P", "-t", topic, "-K", "\t", "-z", codec, "-X", idempotent, "-H", "from=kcat"], input);
}

#[test]
fn every_codec_is_produced_and_consumed() {
    let ground = Ground::new();
    // Debian builds its librdkafka without zstd.
    for codec in ["none", "gzip", "snappy", "lz4"] {
        let topic = unique(codec);
        let input = lines(0..2_000);
        produce(&ground, &topic, codec, &input);
        let format = "%h\t%k\t%s\n";
        let output = said(&ground, &["-C", "-q", "-e", "-t", &topic, "-o", "beginning", "-f", format], "");
        let expected: BTreeSet<_> = input.lines().map(|line| format!("from=kcat\t{line}")).collect();
        assert_eq!(output.lines().count(), 2_000, "{codec}");
        assert_eq!(output.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected, "{codec}");
    }
}

#[test]
fn a_topic_is_listed_with_its_leader_and_found_by_time() {
    let ground = Ground::new();
    let topic = unique("listed");
    produce(&ground, &topic, "none", &lines(0..10));
    let listed = said(&ground, &["-L", "-t", &topic], "");
    assert!(listed.contains(&format!("topic \"{topic}\" with ")), "{listed}");
    assert!(listed.contains("partition 0, leader "), "{listed}");
    // Kafka gives new topics three partitions in its own cluster, ours gives one: ask the one there always is.
    let end = said(&ground, &["-Q", "-t", &format!("{topic}:0:-1")], "");
    let begin = said(&ground, &["-Q", "-t", &format!("{topic}:0:-2")], "");
    assert!(begin.contains("[0] offset 0"), "{begin}");
    assert!(end.starts_with(&topic), "{end}");
    let last = said(&ground, &["-C", "-q", "-e", "-t", &topic, "-p", "0", "-o", "-1", "-f", "%o\n"], "");
    let last: u64 = last.trim().parse().expect("an offset");
    assert!(end.contains(&format!("offset {}", last + 1)), "{end}");
}

/// A kcat in a group, while it runs.
struct Member {
    child: Child,
    records: Receiver<String>,
    events: Receiver<String>,
    /// Partitions it has, as it last said.
    assigned: usize,
}

impl Member {
    fn join(ground: &Ground, group: &str, topic: &str) -> Self {
        let options = ["-G", group, "-u", "-f", "%k\t%s\n", "-X", "auto.offset.reset=earliest"];
        let mut child = kcat(ground, &options)
            .args(["-X", "session.timeout.ms=10000", "-X", "heartbeat.interval.ms=500", topic])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kcat is installed (apt-get install kcat)");
        let records = lines_of(child.stdout.take().expect("its output is piped"));
        let events = lines_of(child.stderr.take().expect("its errors are piped"));
        Self { child, records, events, assigned: 0 }
    }

    /// Takes what it says within a step.
    fn listen(&mut self, seen: &mut BTreeSet<String>) {
        for event in self.events.try_iter() {
            // `% Group g rebalanced (memberid m): assigned: t [0], t [1]`, or `revoked: …`
            if let Some((_, partitions)) = event.split_once("): assigned: ") {
                self.assigned = partitions.split(", ").count();
            } else if event.contains("): revoked: ") {
                self.assigned = 0;
            }
        }
        seen.extend(self.records.recv_timeout(STEP).ok());
        seen.extend(self.records.try_iter());
    }

    /// Has it leave the group and end.
    fn leave(mut self) {
        let ask = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill is there");
        assert!(ask.success());
        self.child.wait().expect("it ends");
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(output: impl Read + Send + 'static) -> Receiver<String> {
    let (heard, lines) = channel();
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| heard.send(line))
    });
    lines
}

#[test]
fn two_members_share_a_topic_and_hand_over_on_a_rebalance() {
    let ground = Ground::new();
    let (topic, group) = (unique("shared"), unique("sharers"));
    crate::librdkafka::create_topic(&ground, &topic, 4);
    produce(&ground, &topic, "none", &lines(0..300));
    let mut seen = BTreeSet::new();
    let mut one = Member::join(&ground, &group, &topic);
    until("the first member to have all partitions", || {
        one.listen(&mut seen);
        one.assigned == 4
    });
    let mut two = Member::join(&ground, &group, &topic);
    until("the members to have two partitions each", || {
        one.listen(&mut seen);
        two.listen(&mut seen);
        (one.assigned, two.assigned) == (2, 2)
    });
    produce(&ground, &topic, "none", &lines(300..600));
    until("both members to have read everything between them", || {
        one.listen(&mut seen);
        two.listen(&mut seen);
        seen.len() == 600
    });
    two.leave();
    until("the first member to have all partitions again", || {
        one.listen(&mut seen);
        one.assigned == 4
    });
    produce(&ground, &topic, "none", &lines(600..700));
    until("the first member to have read the rest", || {
        one.listen(&mut seen);
        seen.len() == 700
    });
    assert_eq!(seen, lines(0..700).lines().map(str::to_owned).collect());
    one.leave();
}
