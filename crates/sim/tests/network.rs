//! What the network does to clients, one thing at a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use vltava_client::{Client, ErrorKind, Isolation, Producer, ProducerRecord, TopicPartition, config};
use vltava_sim::{
    Setup, TOPIC, World,
    network::{Dialing, Pace, Pipes, Route},
    run,
};

const PATIENCE: Duration = Duration::from_millis(500);

/// A world with a client who waits for nothing longer than half a second.
async fn world() -> (World, Client) {
    let mut world = World::new("by hand", 7, Setup::new(TOPIC, 1)).await;
    let client = connect(&mut world, "a").await.expect("there is no trouble yet");
    (world, client)
}

async fn connect(world: &mut World, name: &str) -> vltava_client::Result<Client> {
    let times =
        config::Connection { request_timeout: PATIENCE, connect_timeout: PATIENCE, ..Default::default() };
    world.client(name, times).await
}

async fn send(producer: &Producer) -> Option<i64> {
    let delivery = producer.send(ProducerRecord::to(TOPIC).value("x")).await.expect("the topic is there");
    delivery.await.expect("it is delivered in the end").offset
}

/// How many pipes were opened so far.
fn opened(world: &World) -> usize {
    world.network.trace().to_string().lines().filter(|it| it.contains(" opens it ")).count()
}

#[test]
fn a_connection_that_swallows_what_is_sent_is_noticed_by_its_deadline_and_given_up() {
    run(7, async {
        let (world, client) = world().await;
        let producer = client.producer();
        assert_eq!(send(&producer).await, Some(0));
        let (before, began) = (opened(&world), Instant::now());
        world.network.swallow_some(100);
        assert!(send(&producer).await.is_some());
        assert!(began.elapsed() >= PATIENCE, "nobody is told earlier");
        assert!(opened(&world) > before, "it goes another way");
        assert!(world.network.trace().to_string().contains(" swallowed"));
    });
}

#[test]
fn what_is_sent_while_a_node_cannot_be_reached_arrives_when_it_can() {
    run(7, async {
        let (world, client) = world().await;
        let producer = client.producer();
        assert_eq!(send(&producer).await, Some(0));
        let before = opened(&world);
        world.network.part(Pipes::To(1));
        let delivery = producer.send(ProducerRecord::to(TOPIC).value("x")).await.expect("there is memory");
        sleep(PATIENCE / 2).await;
        world.network.heal();
        assert_eq!(delivery.await.expect("it arrives").offset, Some(1));
        assert_eq!(opened(&world), before, "by the connection that there was");
    });
}

#[test]
fn one_who_cannot_reach_a_node_is_nothing_to_the_others() {
    run(7, async {
        let (mut world, client) = world().await;
        let other = connect(&mut world, "b").await.expect("there is no trouble yet");
        send(&client.producer()).await;
        world.network.part(Pipes::Of("a"));
        assert_eq!(send(&other.producer()).await, Some(1));
        let orders = [TopicPartition::new(TOPIC, 0)];
        let unanswered = client.watermarks(orders.clone(), Isolation::ReadUncommitted);
        assert!(tokio::time::timeout(PATIENCE * 4, unanswered).await.is_err());
        world.network.heal();
        let marks = client.watermarks(orders, Isolation::ReadUncommitted).await.expect("it is over");
        assert_eq!(marks.into_values().next().map(|it| it.end), Some(2));
    });
}

#[test]
fn what_comes_byte_by_byte_is_read_whole() {
    run(7, async {
        let (mut world, _) = world().await;
        let pace = Pace { bytes: 1, every: Duration::ZERO };
        world.network.set(Pipes::All, Route { pace, ..Route::default() });
        let before = world.network.trace().len();
        let client = connect(&mut world, "b").await.expect("slow is not broken");
        assert_eq!(send(&client.producer()).await, Some(0));
        let trace = world.network.trace().to_string();
        let pieces = trace.lines().skip(before).filter(|it| it.contains(" up ") || it.contains(" down "));
        let longer: Vec<_> =
            pieces.filter(|it| !matches!(it.split(' ').nth(3), Some("1" | "ended"))).collect();
        assert!(longer.is_empty(), "{longer:?}");
    });
}

#[test]
fn a_machine_that_goes_without_a_word_does_not_even_refuse() {
    run(7, async {
        let (mut world, _) = world().await;
        let began = Instant::now();
        world.network.detach(1);
        let refused = connect(&mut world, "b").await.expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::Tcp, "{refused}");
        assert!(began.elapsed() < PATIENCE, "that is told at once");
        world.network.darken(1);
        let silent = connect(&mut world, "b").await.expect_err("nobody is there");
        assert_ne!(silent.kind(), ErrorKind::Tcp, "{silent}");
        assert!(began.elapsed() >= PATIENCE);
    });
}

#[test]
fn connections_are_slow_to_open_or_refused_as_long_as_it_is_said() {
    run(7, async {
        let (mut world, _) = world().await;
        world.network.set(Pipes::All, Route { dialing: Dialing::Refused, ..Route::default() });
        connect(&mut world, "b").await.expect_err("nobody gets in");
        let (time, began) = (PATIENCE / 2, Instant::now());
        world.network.set(Pipes::All, Route { dialing: Dialing::Takes(time), ..Route::default() });
        connect(&mut world, "b").await.expect("it takes its time");
        assert!(began.elapsed() >= time);
    });
}
