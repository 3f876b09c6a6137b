//! A leader that moves, played by a script: two brokers, of which the first no longer leads what it is said to lead.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use vltava_core::TopicPartition;
use vltava_wire::{
    Api, ErrorCode,
    messages::{
        FetchRequest, FetchResponse, InitProducerIdResponse, MetadataResponse, MetadataResponseBroker,
        MetadataResponsePartition, MetadataResponseTopic, ProduceResponse,
        fetch::{FetchableTopicResponse, PartitionData},
        produce::{PartitionProduceResponse, TopicProduceResponse},
    },
    record::{BatchBuilder, RecordSlices, Stamp},
};

use crate::{
    Client, Compression, Offset, ProducerRecord,
    tests::peer::{Asked, Peer, Reply},
};

const STALE: ErrorCode = ErrorCode::NotLeaderOrFollower;

/// Two brokers, `broker-1` and `broker-2`. The second leads, but metadata tells so only after the first was asked.
#[derive(Default)]
struct Cluster {
    /// Who was asked for records, in order.
    asked: Vec<String>,
}

impl Cluster {
    fn reply(&mut self, mut asked: Asked) -> Reply {
        let code = match asked.api() {
            Api::Produce | Api::Fetch => {
                self.asked.push(asked.address.host.clone());
                if asked.address.host == "broker-2" { ErrorCode::None } else { STALE }
            }
            _ => ErrorCode::None,
        };
        match asked.api() {
            Api::Metadata => asked.answer(&self.metadata()),
            Api::InitProducerId => {
                asked.answer(&InitProducerIdResponse { producer_id: 1, ..Default::default() })
            }
            Api::Produce => asked.answer(&produced(code)),
            Api::Fetch => {
                let first =
                    asked.read::<FetchRequest>().topics.iter().any(|it| it.partitions[0].fetch_offset == 0);
                if code == ErrorCode::None && !first { Reply::Silence } else { asked.answer(&fetched(code)) }
            }
            api => panic!("{api:?} is not in the script"),
        }
    }

    fn metadata(&self) -> MetadataResponse {
        let leader_id = if self.asked.is_empty() { 1 } else { 2 };
        let partition =
            MetadataResponsePartition { leader_id, leader_epoch: leader_id, ..Default::default() };
        let topic = MetadataResponseTopic {
            name: Some("orders".into()),
            partitions: vec![partition],
            ..Default::default()
        };
        let broker = |node_id| MetadataResponseBroker {
            node_id,
            host: format!("broker-{node_id}"),
            port: 9092,
            ..Default::default()
        };
        MetadataResponse { brokers: vec![broker(1), broker(2)], topics: vec![topic], ..Default::default() }
    }
}

fn produced(code: ErrorCode) -> ProduceResponse {
    let partition =
        PartitionProduceResponse { error_code: code.code(), base_offset: 7, ..Default::default() };
    let topic = TopicProduceResponse {
        name: "orders".into(),
        partition_responses: vec![partition],
        ..Default::default()
    };
    ProduceResponse { responses: vec![topic], ..Default::default() }
}

fn fetched(code: ErrorCode) -> FetchResponse {
    let mut batch = BatchBuilder::new();
    batch.append(RecordSlices::new(1, None, Some(b"found"))).expect("a record");
    let records = batch.finish(Stamp::NONE, Compression::None).expect("a batch");
    let records = Some(records).filter(|_| code == ErrorCode::None);
    let partition =
        PartitionData { error_code: code.code(), high_watermark: 1, records, ..Default::default() };
    let topic =
        FetchableTopicResponse { topic: "orders".into(), partitions: vec![partition], ..Default::default() };
    FetchResponse { responses: vec![topic], ..Default::default() }
}

async fn client(cluster: &Arc<Mutex<Cluster>>) -> Client {
    let cluster = cluster.clone();
    let peer = Peer::new(move |asked| cluster.lock().expect("no script panics").reply(asked));
    let builder = Client::builder().brokers("broker-1:9092").dial(Arc::new(peer)).seed(1);
    builder.connect().await.expect("the peer answers")
}

fn asked(cluster: &Arc<Mutex<Cluster>>) -> Vec<String> {
    cluster.lock().expect("no script panics").asked.clone()
}

/// The old leader is asked again at most once, while metadata is on its way, and never after the new one.
fn check(asked: &[String]) {
    let old = asked.iter().take_while(|it| *it == "broker-1").count();
    assert!((1..=2).contains(&old), "{asked:?}");
    assert!(asked.len() > old && asked[old..].iter().all(|it| it == "broker-2"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_record_is_written_where_the_leader_has_gone() {
    let cluster = Arc::default();
    let producer = client(&cluster).await.producer();
    let delivery = producer.send(ProducerRecord::to("orders").value("x")).await.expect("there is room");
    let stored = tokio::time::timeout(Duration::from_secs(5), delivery).await.expect("soon");
    assert_eq!(stored.expect("it is written").offset, Some(7));
    check(&asked(&cluster));
}

#[tokio::test(start_paused = true)]
async fn a_record_is_read_where_the_leader_has_gone() {
    let cluster = Arc::default();
    let client = client(&cluster).await;
    let orders = [(TopicPartition::new("orders", 0), Offset::Exact(0))];
    let mut consumer = client.consumer().assign(orders).await.expect("an assignment");
    let batch = tokio::time::timeout(Duration::from_secs(5), consumer.next()).await.expect("soon");
    let batch = batch.expect("no error").expect("not the end");
    assert_eq!(batch.iter().next().expect("a record").value(), Some(&b"found"[..]));
    check(&asked(&cluster));
}
