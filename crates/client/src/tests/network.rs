//! Networks that fail, and clusters whose brokers come and go, played by a script. What begins with a letter and a
//! number is a row of the catalogue in `rows`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;
use vltava_core::cluster::NodeId;
use vltava_wire::{
    Api, ErrorCode,
    messages::{
        InitProducerIdResponse, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
        MetadataResponseTopic, ProduceResponse,
    },
};

use crate::{
    Address, BoxFuture, Client, ClientBuilder, Dial, ErrorKind, Producer, ProducerRecord, Stream, config,
    tests::peer::{self, Asked, Peer, Reply},
};

/// Hosts, and the cluster that they are brokers of.
#[derive(Default)]
struct Net {
    /// Who can be reached.
    up: BTreeSet<&'static str>,
    /// Who takes what it is sent and says nothing.
    silent: BTreeSet<&'static str>,
    /// Brokers as metadata has them.
    brokers: BTreeMap<i32, &'static str>,
    /// Of partitions of `orders`, and how often they have moved.
    leaders: Vec<i32>,
    epoch: i32,
    /// Who sends clients back to where they began.
    sends_back: BTreeSet<&'static str>,
    /// Answers that are cut short before the connection breaks.
    torn: usize,
    /// What the next answer to this asks for, in milliseconds.
    throttles: BTreeMap<Api, i32>,
    values: Vec<(i32, String)>,
    dialled: Vec<(String, Instant)>,
    asked: Vec<(Api, String, Instant)>,
}

impl Net {
    /// Brokers 1 and 2 at `one` and `two`, each of which leads a partition of `orders`.
    fn pair() -> Self {
        Self {
            up: BTreeSet::from(["one", "two"]),
            brokers: BTreeMap::from([(1, "one"), (2, "two")]),
            leaders: vec![1, 2],
            ..Self::default()
        }
    }

    fn reply(&mut self, mut asked: Asked) -> Reply {
        let (api, host) = (asked.api(), asked.address.host.clone());
        self.asked.push((api, host.clone(), Instant::now()));
        if self.silent.contains(&*host) {
            return Reply::Silence;
        }
        let throttle_time_ms = self.throttles.remove(&api).unwrap_or(0);
        let reply = match api {
            Api::Metadata => asked.answer(&MetadataResponse { throttle_time_ms, ..self.metadata(&host) }),
            Api::InitProducerId => asked.answer(&InitProducerIdResponse {
                throttle_time_ms,
                producer_id: 1,
                ..Default::default()
            }),
            Api::Produce => {
                let (answer, got) = peer::written(asked.read());
                self.values.extend(got.into_iter().map(|(_, partition, value)| (partition, value)));
                asked.answer(&ProduceResponse { throttle_time_ms, ..answer })
            }
            api => panic!("{api:?} is not in the script"),
        };
        match reply {
            Reply::Frame(frame) if self.torn > 0 => {
                self.torn -= 1;
                Reply::Last(frame.slice(..frame.len() / 2))
            }
            reply => reply,
        }
    }

    fn metadata(&self, host: &str) -> MetadataResponse {
        if self.sends_back.contains(host) {
            let error_code = ErrorCode::RebootstrapRequired.code();
            return MetadataResponse { error_code, ..Default::default() };
        }
        let led = |(number, leader_id): (usize, &i32)| MetadataResponsePartition {
            partition_index: number as i32,
            leader_id: *leader_id,
            leader_epoch: self.epoch,
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            name: Some("orders".into()),
            partitions: self.leaders.iter().enumerate().map(led).collect(),
            ..Default::default()
        };
        let broker = |(node_id, host): (&i32, &&str)| MetadataResponseBroker {
            node_id: *node_id,
            host: (*host).to_owned(),
            port: 9092,
            ..Default::default()
        };
        let brokers = self.brokers.iter().map(broker).collect();
        MetadataResponse { brokers, topics: vec![topic], ..Default::default() }
    }

    /// When this was asked, and where.
    fn asked(&self, api: Api) -> Vec<(&str, Instant)> {
        self.asked.iter().filter(|it| it.0 == api).map(|it| (it.1.as_str(), it.2)).collect()
    }

    fn dialled(&self, host: &str) -> usize {
        self.dialled.iter().filter(|it| it.0 == host).count()
    }
}

/// The way to it.
#[derive(Clone)]
struct Way {
    net: Arc<Mutex<Net>>,
    peer: Peer,
}

impl Way {
    fn to(net: Net) -> Self {
        let net = Arc::new(Mutex::new(net));
        let script = net.clone();
        let peer = Peer::new(move |asked| script.lock().expect("no script panics").reply(asked));
        Self { net, peer }
    }

    fn net(&self) -> MutexGuard<'_, Net> {
        self.net.lock().expect("no script panics")
    }

    fn builder(&self, brokers: &str) -> ClientBuilder {
        let connection = config::Connection { request_timeout: Duration::from_secs(5), ..Default::default() };
        Client::builder().brokers(brokers).dial(Arc::new(self.clone())).seed(1).connection(connection)
    }

    async fn client(&self, brokers: &str) -> Client {
        self.builder(brokers).connect().await.expect("somebody answers")
    }
}

impl Dial for Way {
    fn dial(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let mut net = self.net();
        net.dialled.push((address.host.clone(), Instant::now()));
        match net.up.contains(&*address.host) {
            true => self.peer.dial(address),
            false => Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) }),
        }
    }
}

/// Writes one record; gives how long that took.
async fn write(producer: &Producer, partition: i32, value: &str) -> Duration {
    let before = Instant::now();
    let record = ProducerRecord::to("orders").partition(partition).value(value);
    let delivery = producer.send(record).await.expect("there is room");
    delivery.await.expect("it is written");
    before.elapsed()
}

/// N1: a connection that swallows everything is given up at the deadline of its request; the other broker's goes on,
/// and what was to go to the silent one goes where its partition has moved.
#[tokio::test(start_paused = true)]
async fn a_black_hole_is_given_up_and_harms_no_other_connection() {
    let way = Way::to(Net::pair());
    let producer = way.client("one").await.producer();
    write(&producer, 0, "a").await;
    write(&producer, 1, "b").await;
    way.net().silent.insert("two");
    let stuck = tokio::spawn({
        let producer = producer.clone();
        async move { write(&producer, 1, "c").await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..10 {
        assert!(write(&producer, 0, "d").await < Duration::from_millis(10));
    }
    way.net().leaders[1] = 1;
    way.net().epoch = 1;
    let waited = stuck.await.expect("it does not panic");
    assert!(waited > Duration::from_secs(5) && waited < Duration::from_secs(6), "{waited:?}");
    assert_eq!(way.net().values.last(), Some(&(1, "c".to_owned())));
}

/// N2: an answer that ends in the middle of its frame is none; whatever was asked is asked again.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_short_is_none() {
    let way = Way::to(Net::pair());
    let producer = way.client("one").await.producer();
    // Metadata of the topic, the identity, and the record itself.
    way.net().torn = 3;
    write(&producer, 0, "a").await;
    assert_eq!(way.net().torn, 0);
    way.net().torn = 1;
    assert!(way.builder("two").connect().await.is_err(), "half of the first answer is no answer");
}

/// N3: bytes may come and go one at a time.
#[tokio::test(start_paused = true)]
async fn bytes_that_come_one_at_a_time_are_the_same_bytes() {
    let mut way = Way::to(Net::pair());
    way.peer = way.peer.behind(1);
    let producer = way.client("one").await.producer();
    for value in ["a", "b", "c"] {
        write(&producer, 1, value).await;
    }
    assert_eq!(way.net().values, ["a", "b", "c"].map(|it| (1, it.to_owned())));
}

/// N5: where nobody listens, every address is tried once, and the error says so in time.
#[tokio::test(start_paused = true)]
async fn without_a_broker_at_the_start_every_address_is_tried_once() {
    let way = Way::to(Net { up: BTreeSet::new(), ..Net::pair() });
    let error = way.builder("one,two,three").connect().await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Tcp);
    assert!(error.to_string().contains("three:9092"), "{error}");
    let dialled: Vec<_> = way.net().dialled.iter().map(|it| it.0.clone()).collect();
    assert_eq!(dialled, ["one", "two", "three"]);
    way.net().up.insert("two");
    way.client("one,two").await;
}

/// N6: all known brokers were replaced; the name that was configured leads to the new ones. It is asked in time, and
/// not without end (KIP-899).
#[tokio::test(start_paused = true)]
async fn where_all_brokers_were_replaced_the_configured_addresses_are_gone_back_to() {
    let mut net = Net::pair();
    net.up.insert("cluster");
    let way = Way::to(net);
    let producer = way.client("cluster").await.producer();
    write(&producer, 0, "a").await;
    // The broker that answered first is reached over its own address by now, too.
    for host in ["one", "two", "cluster"] {
        way.net().up.remove(host);
    }
    drain(&way);
    let waiting = tokio::spawn({
        let producer = producer.clone();
        async move { write(&producer, 0, "b").await }
    });
    tokio::time::sleep(Duration::from_secs(30)).await;
    let attempts = way.net().dialled.len();
    assert!(attempts < 150, "{attempts} attempts in half a minute");
    assert!(way.net().dialled("cluster") > 3, "{} times", way.net().dialled("cluster"));
    way.net().brokers = BTreeMap::from([(3, "three")]);
    way.net().leaders = vec![3, 3];
    way.net().epoch = 1;
    way.net().up.extend(["three", "cluster"]);
    way.net().silent.clear();
    let before = Instant::now();
    waiting.await.expect("it does not panic");
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    assert_eq!(way.net().values.last(), Some(&(0, "b".to_owned())));
}

/// What is connected already takes requests and does not answer.
fn drain(way: &Way) {
    way.net().silent.extend(["one", "two", "cluster"]);
    way.net().dialled.clear();
}

/// N6: a broker that does not know the cluster any more says so, and is not asked again until another has answered
/// (KIP-1102).
#[tokio::test(start_paused = true)]
async fn a_broker_that_sends_clients_back_is_left_for_the_configured_addresses() {
    let way = Way::to(Net::pair());
    let client = way.client("one").await;
    let producer = client.producer();
    write(&producer, 0, "a").await;
    way.net().brokers = BTreeMap::from([(3, "three")]);
    way.net().leaders = vec![3, 3];
    way.net().epoch = 1;
    way.net().sends_back = BTreeSet::from(["one", "two"]);
    way.net().up.insert("three");
    way.net().asked.clear();
    way.net().dialled.clear();
    client.cluster.stale();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let asked: Vec<_> = way.net().asked(Api::Metadata).into_iter().map(|it| it.0.to_owned()).collect();
    assert!(asked.len() > 5 && asked.len() < 30, "{} questions in ten seconds", asked.len());
    assert!(asked[1..].iter().all(|it| it == "one"), "only what was configured: {asked:?}");
    assert_eq!(way.net().dialled("one"), asked.len() - 1, "the name is looked up each time");
    way.net().sends_back.clear();
    tokio::time::sleep(Duration::from_secs(2)).await;
    write(&producer, 0, "b").await;
    assert_eq!(way.net().asked(Api::Produce).last().map(|it| it.0), Some("three"));
}

/// P8: an outage that is longer than the delivery timeout fails what was sent in it, each record in time, and nothing
/// that is sent when it is over.
#[tokio::test(start_paused = true)]
async fn an_outage_fails_every_record_in_time_and_the_producer_goes_on() {
    const DELIVERY: Duration = Duration::from_secs(20);
    let way = Way::to(Net::pair());
    let builder = Producer::builder(&way.client("one,two").await).delivery_timeout(DELIVERY);
    let producer = builder.build().expect("it can be built");
    write(&producer, 0, "a").await;
    write(&producer, 1, "b").await;
    way.net().up.clear();
    drain(&way);
    let mut sent = Vec::new();
    for number in 0..80 {
        let record = ProducerRecord::to("orders").partition(number % 2).value("lost");
        let (before, delivery) = (Instant::now(), producer.send(record).await.expect("there is room"));
        sent.push(tokio::spawn(async move { (delivery.await, before.elapsed()) }));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let early = sent.split_off(40);
    for task in sent {
        let (outcome, took) = task.await.expect("it does not panic");
        let kind = outcome.expect_err("nobody is there").kind();
        assert!([ErrorKind::TimedOut, ErrorKind::Disconnected].contains(&kind), "{kind:?}");
        // One request, at most, is waited for beyond the time of delivery.
        assert!(took <= DELIVERY + Duration::from_secs(5), "{took:?}");
    }
    way.net().silent.clear();
    way.net().up.extend(["one", "two"]);
    assert!(write(&producer, 0, "c").await < Duration::from_secs(3));
    assert!(write(&producer, 1, "d").await < Duration::from_secs(3));
    for task in early {
        let (_, took) = task.await.expect("it does not panic");
        assert!(took <= DELIVERY + Duration::from_secs(5), "{took:?}");
    }
}

/// N9: a broker that moves to another address is talked to there, even if whoever is at the old one answers.
#[tokio::test(start_paused = true)]
async fn a_broker_that_has_moved_is_talked_to_where_it_is() {
    let way = Way::to(Net::pair());
    let client = way.client("one").await;
    let producer = client.producer();
    write(&producer, 1, "a").await;
    way.net().up.insert("two-b");
    way.net().brokers.insert(2, "two-b");
    client.cluster.stale();
    tokio::time::sleep(Duration::from_secs(2)).await;
    write(&producer, 1, "b").await;
    let asked: Vec<_> = way.net().asked(Api::Produce).into_iter().map(|it| it.0.to_owned()).collect();
    assert_eq!(asked, ["two", "two-b"]);
}

/// N9: two brokers may say that they are reached at the same address, as behind a proxy.
#[tokio::test(start_paused = true)]
async fn two_brokers_at_one_address_share_a_connection() {
    let mut net = Net::pair();
    net.brokers.insert(2, "one");
    let way = Way::to(net);
    let producer = way.client("one").await.producer();
    write(&producer, 0, "a").await;
    write(&producer, 1, "b").await;
    assert_eq!(way.net().values, [(0, "a".to_owned()), (1, "b".to_owned())]);
    assert_eq!(way.net().dialled.len(), 1);
}

/// N10: a broker that asks for rest gets it, whatever it was asked, and what waits meanwhile does not fail
/// (KIP-219).
#[tokio::test(start_paused = true)]
async fn a_broker_that_throttles_is_left_alone_and_nothing_times_out() {
    const REST: Duration = Duration::from_secs(20);
    for api in [Api::Metadata, Api::InitProducerId, Api::Produce] {
        let way = Way::to(Net::pair());
        let client = way.client("one").await;
        let producer = client.producer();
        if api == Api::Produce {
            write(&producer, 0, "first").await;
        }
        way.net().throttles.insert(api, REST.as_millis() as i32);
        way.net().asked.clear();
        client.cluster.stale();
        write(&producer, 0, "a").await;
        write(&producer, 0, "b").await;
        assert_eq!(way.net().values.last(), Some(&(0, "b".to_owned())), "{api:?}");
        let asked = way.net().asked.clone();
        let asked: Vec<_> = asked.into_iter().filter(|it| it.1 == "one").collect();
        let throttled = asked.iter().position(|it| it.0 == api).expect("it was asked");
        let after: Vec<_> = asked[throttled + 1..].iter().map(|it| it.2 - asked[throttled].2).collect();
        // What was sent before the answer came is not taken back.
        assert!(after.iter().all(|it| *it < Duration::from_millis(1) || *it >= REST), "{api:?}: {after:?}");
        assert!(after.last().is_some_and(|it| *it >= REST && *it < REST * 2), "{api:?}: {after:?}");
        assert_eq!(client.metrics().errors, 0, "{api:?}");
    }
}

/// N10: while one broker wants to be left alone, others are asked who is there.
#[tokio::test(start_paused = true)]
async fn a_broker_that_wants_to_be_left_alone_does_not_keep_others_from_being_asked() {
    let way = Way::to(Net::pair());
    let client = way.client("one").await;
    let producer = client.producer();
    write(&producer, 0, "a").await;
    write(&producer, 1, "a").await;
    way.net().throttles.insert(Api::Metadata, 60_000);
    for round in 0..8 {
        let before = way.net().asked(Api::Metadata).len();
        client.cluster.stale();
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert!(way.net().asked(Api::Metadata).len() > before, "round {round}");
    }
}

/// N10: a record whose time runs out while its broker wants to be left alone was not sent, and is not sent later.
#[tokio::test(start_paused = true)]
async fn what_is_given_up_while_a_broker_rests_is_not_written_after_that() {
    let way = Way::to(Net::pair());
    let builder = Producer::builder(&way.client("one").await).delivery_timeout(Duration::from_secs(10));
    let producer = builder.build().expect("it can be built");
    write(&producer, 0, "a").await;
    way.net().throttles.insert(Api::Produce, 30_000);
    write(&producer, 0, "b").await;
    let record = ProducerRecord::to("orders").partition(0).value("c");
    let late = producer.send(record).await.expect("there is room").await.expect_err("nobody may be asked");
    assert!(late.kind() == ErrorKind::TimedOut && !late.maybe_written(), "{late}");
    tokio::time::sleep(Duration::from_secs(30)).await;
    write(&producer, 0, "d").await;
    assert_eq!(way.net().values, ["a", "b", "d"].map(|it| (0, it.to_owned())));
}

/// N9: what was asked over a connection that was left says nothing of the one that is used since.
#[tokio::test(start_paused = true)]
async fn a_connection_that_was_left_takes_nothing_along_when_it_breaks() {
    let way = Way::to(Net::pair());
    let client = way.client("one").await;
    let producer = client.producer();
    write(&producer, 1, "a").await;
    way.net().silent.insert("two");
    let record = ProducerRecord::to("orders").partition(1).value("b");
    let stuck = producer.send(record).await.expect("there is room");
    tokio::time::sleep(Duration::from_secs(1)).await;
    way.net().up.insert("two-b");
    way.net().brokers.insert(2, "two-b");
    // The other one is asked where it is.
    client.cluster.lost(NodeId(2));
    tokio::time::sleep(Duration::from_secs(2)).await;
    write(&producer, 1, "c").await;
    way.net().asked.clear();
    stuck.await.expect("it goes out again");
    assert_eq!(way.net().asked(Api::Metadata), [], "nothing is wrong with who is there");
    assert_eq!(way.net().asked(Api::Produce).last().map(|it| it.0), Some("two-b"));
}

/// A connection that is not used is closed before the broker does it, and opened again, and nobody hears of it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_used_is_closed_and_opened_again_and_nobody_notices() {
    let way = Way::to(Net::pair());
    let connection = config::Connection { idle_max: Duration::from_secs(60), ..Default::default() };
    let client = way.builder("one").connection(connection).connect().await.expect("somebody answers");
    let producer = client.producer();
    write(&producer, 1, "a").await;
    assert_eq!(way.net().dialled("two"), 1);
    tokio::time::sleep(Duration::from_secs(59)).await;
    write(&producer, 1, "b").await;
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(way.net().dialled("two"), 1, "it was used in time");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(write(&producer, 1, "c").await < Duration::from_millis(10));
    assert_eq!(way.net().dialled("two"), 2);
    assert_eq!(client.metrics().errors, 0);
}
