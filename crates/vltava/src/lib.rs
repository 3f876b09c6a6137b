//! A Kafka streaming toolkit: a lean client, a consumer runtime that keeps the order you chose with many workers, and
//! a durable single-node broker, in one process if you like.
//!
//! # Process a topic
//!
//! Everything has a default that is right for production; what is not said is not needed.
//!
//! ```no_run
//! use vltava::{Embedded, Flow, Order, Outcome};
//!
//! # async fn example() -> Result<(), vltava::Error> {
//! Flow::from("trades")
//!     .embedded("data") // the broker in this process; .brokers("host:9092") for a cluster
//!     .group("trade-stats")
//!     .workers(10)
//!     .order(Order::Key)
//!     .each(|_, trade| async move {
//!         println!("{}: {}", trade.key_str()?, trade.value_str()?);
//!         Ok(Outcome::Done)
//!     })
//!     .run()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! Any error becomes a [`Failure`] by `?`, and stops the flow with an error that names the record. A handler with
//! state is a type with the trait [`Handler`]; a flow from a YAML file is what [`flow::spec`] reads.
//!
//! # Produce
//!
//! ```no_run
//! use std::time::Duration;
//! use vltava::{Client, ProducerRecord};
//!
//! # async fn example() -> Result<(), vltava::Error> {
//! let client = Client::connect("localhost:9092").await?;
//! let producer = client.producer(); // idempotent, acks=all, batches by itself
//! let delivery = producer.send(ProducerRecord::to("orders").key("order-123").value("{}")).await?;
//! println!("{}", delivery.await?); // orders-3 @ 4711
//! producer.shutdown(Duration::from_secs(10)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Consume by hand
//!
//! The batch is the unit; records borrow from it. A value may be absent: that is a tombstone.
//!
//! ```no_run
//! # async fn example(client: vltava::Client) -> Result<(), vltava::Error> {
//! let mut consumer = client.consumer().group("audit").subscribe(["orders"]).await?;
//! let mut total = 0;
//! while let Some(batch) = consumer.next().await? {
//!     for record in &batch {
//!         total += record.value().map_or(0, <[u8]>::len);
//!     }
//!     consumer.commit(&batch).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Partitions come and go between two records: hooks prepare for them and tidy up. Nothing in time is no error, and
//! something else than the end.
//!
//! ```no_run
//! use std::time::Duration;
//! use vltava::{Assigned, Revoked, Within};
//!
//! # async fn flush() {}
//! # async fn example(client: vltava::Client) -> Result<(), vltava::Error> {
//! let mut consumer = client
//!     .consumer()
//!     .group("audit")
//!     .auto_commit(true) // what is finished: a record is once the next one is asked for
//!     .on_assigned(async |it: Assigned| println!("{:?}", it))
//!     .on_revoked(async |it: Revoked| {
//!         flush().await;
//!         println!("{:?}", it.partitions);
//!     })
//!     .subscribe_pattern("orders-.*")
//!     .await?;
//! loop {
//!     match consumer.recv_within(Duration::from_secs(1)).await? {
//!         Within::Came(record) => println!("{:?}", record.value()),
//!         Within::Nothing => flush().await,
//!         Within::Ended => break,
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Kafka in a test
//!
//! Without a container, in milliseconds:
//!
//! ```
//! use vltava::{Broker, InProcess, Offset, ProducerRecord, TopicPartition};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), vltava::Error> {
//! let broker = Broker::in_memory().topic("orders", 3).start().await?;
//! let client = broker.client().await?; // over a pipe; broker.bootstrap() has an address for others
//!
//! let order = ProducerRecord::to("orders").partition(2).value("one");
//! let stored = client.producer().send(order).await?.await?;
//! assert_eq!(stored.to_string(), "orders-2 @ 0");
//!
//! let from = (TopicPartition::new("orders", 2), Offset::Earliest);
//! let mut consumer = client.consumer().assign([from]).await?;
//! let batch = consumer.next().await?.expect("a batch");
//! assert_eq!(batch.iter().next().and_then(|record| record.value()), Some(&b"one"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! What is to go wrong is said by [`Broker::faults`](broker::Broker::faults): which requests, what, how often.
//!
//! ```
//! use vltava::{Broker, ErrorCode, InProcess, ProducerRecord};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), vltava::Error> {
//! let broker = Broker::in_memory().topic("orders", 1).start().await?;
//! let moved = broker.faults().produce("orders").error(ErrorCode::NotLeaderOrFollower).times(2);
//! let lost = broker.faults().produce("orders").cut_reply(0).once(); // written, but who knows?
//!
//! let producer = broker.client().await?.producer();
//! let stored = producer.send(ProducerRecord::to("orders").value("one")).await?.await?;
//! assert_eq!(stored.to_string(), "orders-0 @ 0"); // tried again, and stored once
//! assert_eq!((moved.struck(), lost.struck()), (2, 1));
//!
//! broker.faults().disk().full(); // … slow, fail_next_write, fail_next_sync
//! broker.faults().clear();
//! # Ok(())
//! # }
//! ```
//!
//! The wall clock, by which records grow old, is moved with a [`TestClock`](broker::TestClock).
//!
//! How a program fails over needs no cluster either: one broker can play several nodes, of which any may stop. It is a
//! stage and no cluster: nothing is replicated, and nothing is safer than on one node.
//!
//! ```
//! # use vltava::{Broker, InProcess};
//! # #[tokio::main]
//! # async fn main() -> Result<(), vltava::Error> {
//! let broker = Broker::in_memory().nodes(3).topic("orders", 3).start().await?;
//! let client = broker.client().await?;
//!
//! broker.move_leader("orders", 0, 2).await?;
//! broker.node(2)?.stop().await?; // who is connected to it is cut off, and node 3 leads
//! broker.node(2)?.start().await?;
//! # drop(client);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `broker`, `flow` and `sinks` are on unless turned off; the client is always there.

#[cfg(all(feature = "broker", feature = "flow"))]
mod embedded;
mod error;
#[cfg(feature = "broker")]
mod in_process;

#[cfg(feature = "broker")]
pub use vltava_broker as broker;
pub use vltava_client as client;
#[cfg(feature = "flow")]
pub use vltava_flow as flow;
#[cfg(feature = "sinks")]
pub use vltava_sinks as sinks;

#[cfg(feature = "flow")]
pub use vltava_flow::{
    Commit, Context, Failure, Flow, FlowHandle, Handler, Order, Outcome, Prefetch, Record, Sink,
};

// What else is there, as `config`, and names that the flow has another use for, as `Record`, is in `client`.
pub use vltava_client::{
    Acks, Admin, Assigned, AssignedConsumer, BadCodec, Client, ClientBuilder, Codec, Committer, Compression,
    Consumer, ConsumerRecord, Deliveries, Delivery, DeliveryEvent, DeliveryEvents, ErrorCode, Event, Events,
    GroupProtocol, Isolation, Jump, JumpCause, Metrics, NewTopic, Notice, Notices, Offset, PartitionClient,
    PartitionStream, Partitioner, Partitions, Producer, ProducerBuilder, ProducerRecord, ReadBatch,
    RecordBatch, RecordMetadata, Revocation, Revoked, Stall, StartOffset, Timestamp, TopicPartition, Unsent,
    Uuid, Watermarks, Within,
};

#[cfg(feature = "broker")]
pub use vltava_broker::Broker;

#[cfg(all(feature = "broker", feature = "flow"))]
pub use embedded::Embedded;
pub use error::{Error, Result};
#[cfg(feature = "broker")]
pub use in_process::InProcess;

/// What the README shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
