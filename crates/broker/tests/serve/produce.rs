//! Batches into partitions.

use bytes::{Bytes, BytesMut};
use vltava_broker::Broker;
use vltava_wire::{
    Api, Compression, ErrorCode, Uuid,
    messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse, produce::PartitionProduceResponse},
    record::Stamp,
};

use crate::caller::{Caller, batch, fetch, fetched, produce, records};

fn plain(values: &[&str]) -> Bytes {
    batch(1_000, values, Stamp::NONE, Compression::None)
}

fn outcome(response: &ProduceResponse) -> (ErrorCode, i64) {
    let PartitionProduceResponse { error_code, base_offset, .. } =
        response.responses[0].partition_responses[0];
    (error_code.into(), base_offset)
}

async fn broker() -> Broker {
    Broker::in_memory().topic("orders", 1).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_version_and_every_compression_comes_back_as_it_was_sent() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let mut offset = 0;
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for version in 3..=12 {
        for compression in codecs.into_iter().filter(|it| *it != Compression::Zstd || version >= 7) {
            let sent = batch(1_000, &["a", "b"], Stamp::NONE, compression);
            for acks in [1, -1] {
                let response = caller.call(version, produce(acks, sent.clone())).await;
                assert_eq!(
                    outcome(&response),
                    (ErrorCode::None, offset),
                    "version {version}, {compression:?}"
                );
                let response = caller.call(12, fetch(offset, 0)).await;
                let expected = [(offset, "a".to_owned()), (offset + 1, "b".to_owned())];
                assert_eq!(records(fetched(&response)), expected);
                offset += 2;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_arrives_in_pieces_and_comes_back_whole() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let value: String = (0..100_000).map(|number| format!("{number:07},")).collect();
    for offset in 0..3 {
        let response = caller.call(9, produce(-1, plain(&[&value]))).await;
        assert_eq!(outcome(&response), (ErrorCode::None, offset));
        let response = caller.call(12, fetch(offset, 0)).await;
        assert_eq!(records(fetched(&response)), [(offset, value.clone())]);
    }
}

#[tokio::test(start_paused = true)]
async fn from_version_13_on_a_topic_goes_by_its_id() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let all = vltava_wire::messages::MetadataRequest { topics: None, ..Default::default() };
    let id = caller.call(12, all).await.topics[0].topic_id;
    let by_id = |topic_id| {
        let mut request = produce(-1, plain(&["a"]));
        request.topic_data[0].topic_id = topic_id;
        request
    };
    assert_eq!(outcome(&caller.call(13, by_id(id)).await), (ErrorCode::None, 0));
    assert_eq!(outcome(&caller.call(13, by_id(Uuid(1))).await), (ErrorCode::UnknownTopicId, -1));
}

#[tokio::test(start_paused = true)]
async fn the_versions_that_only_old_clients_look_for_are_answered_with_an_error() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    for version in 0..3 {
        let response = caller.call(version, produce(1, plain(&["a"]))).await;
        assert_eq!(outcome(&response).0, ErrorCode::UnsupportedVersion, "version {version}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_not_sound_is_refused_and_nothing_is_stored() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let good = plain(&["a", "b"]);
    let flipped = |at: usize| {
        let mut bytes = BytesMut::from(&good[..]);
        bytes[at] ^= 0x11;
        bytes.freeze()
    };
    let stamped = |transactional, base_sequence| {
        let stamp = Stamp { producer_id: 7, producer_epoch: 0, base_sequence, transactional };
        batch(1_000, &["a"], stamp, Compression::None)
    };
    let last = good.len() - 1;
    let refused = [
        ("nothing", Bytes::new(), ErrorCode::InvalidRecord),
        ("another byte", flipped(last), ErrorCode::CorruptMessage),
        ("another magic", flipped(16), ErrorCode::UnsupportedForMessageFormat),
        ("cut off", good.slice(..last), ErrorCode::CorruptMessage),
        ("cut off in its header", good.slice(..30), ErrorCode::CorruptMessage),
        ("two batches", [&good[..], &good[..]].concat().into(), ErrorCode::InvalidRecord),
        ("a transaction", stamped(true, 0), ErrorCode::InvalidTxnState),
        ("no number", stamped(false, -1), ErrorCode::InvalidRecord),
        ("two mebibytes", plain(&[&"x".repeat(2 << 20)]), ErrorCode::MessageTooLarge),
    ];
    for (what, records, code) in refused {
        assert_eq!(outcome(&caller.call(9, produce(-1, records)).await), (code, -1), "{what}");
    }
    let zstd = batch(1_000, &["a"], Stamp::NONE, Compression::Zstd);
    let response = caller.call(6, produce(-1, zstd)).await;
    assert_eq!(outcome(&response).0, ErrorCode::UnsupportedCompressionType);
    assert_eq!(outcome(&caller.call(9, produce(-1, good)).await), (ErrorCode::None, 0), "nothing was stored");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_makes_no_sense_is_refused_whole() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    assert_eq!(outcome(&caller.call(9, produce(2, plain(&["a"]))).await).0, ErrorCode::InvalidRequiredAcks);
    let request = ProduceRequest { transactional_id: Some("t".to_owned()), ..produce(-1, plain(&["a"])) };
    assert_eq!(outcome(&caller.call(9, request).await).0, ErrorCode::InvalidTxnState);
    let mut request = produce(-1, plain(&["a"]));
    request.topic_data[0].partition_data[0].index = 1;
    assert_eq!(outcome(&caller.call(9, request).await).0, ErrorCode::UnknownTopicOrPartition);
    let mut request = produce(-1, plain(&["a"]));
    request.topic_data[0].name = "nobody".to_owned();
    assert_eq!(outcome(&caller.call(9, request).await).0, ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test(start_paused = true)]
async fn without_acks_nothing_is_said_and_an_error_closes_the_connection() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    caller.send(9, &produce(0, plain(&["a"]))).await;
    let response = caller.call(12, fetch(0, 1_000)).await;
    assert_eq!(records(fetched(&response)).len(), 1, "the next response is the fetch's");
    caller.send(9, &produce(0, Bytes::new())).await;
    caller.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_of_a_batch_is_answered_with_the_offset_of_the_first() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let identity =
        caller.call(4, InitProducerIdRequest { transactional_id: None, ..Default::default() }).await;
    assert_eq!((identity.error_code, identity.producer_epoch), (0, 0));
    let numbered = |base_sequence| {
        let (producer_id, producer_epoch) = (identity.producer_id, identity.producer_epoch);
        let stamp = Stamp { producer_id, producer_epoch, base_sequence, transactional: false };
        produce(-1, batch(1_000, &["a", "b"], stamp, Compression::None))
    };
    for (sequence, expected) in [
        (0, (ErrorCode::None, 0)),
        (2, (ErrorCode::None, 2)),
        (0, (ErrorCode::None, 0)),
        (6, (ErrorCode::OutOfOrderSequenceNumber, -1)),
        (4, (ErrorCode::None, 4)),
    ] {
        let response = caller.call(9, numbered(sequence)).await;
        assert_eq!(outcome(&response), expected, "sequence {sequence}");
    }
    let response = caller.call(12, fetch(0, 0)).await;
    assert_eq!(records(fetched(&response)).len(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_producer_goes_on_where_it_is_and_learns_where_the_log_begins() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let numbered = |base_sequence| {
        let stamp = Stamp { producer_id: 7, producer_epoch: 0, base_sequence, transactional: false };
        produce(-1, batch(1_000, &["a"], stamp, Compression::None))
    };
    for version in 5..=12 {
        let sequence = 5 + i32::from(version);
        let response = caller.call(version, numbered(sequence)).await;
        assert_eq!(outcome(&response).0, ErrorCode::None, "version {version}");
        assert_eq!(response.responses[0].partition_responses[0].log_start_offset, 0, "version {version}");
        let response = caller.call(version, numbered(sequence + 2)).await;
        assert_eq!(outcome(&response).0, ErrorCode::OutOfOrderSequenceNumber, "version {version}");
    }
    let mut nowhere = numbered(90);
    nowhere.topic_data[0].partition_data[0].index = 1;
    let response = caller.call(12, nowhere).await;
    assert_eq!(response.responses[0].partition_responses[0].log_start_offset, -1, "it does not exist");
}

#[tokio::test(start_paused = true)]
async fn producer_ids_are_never_given_twice_and_transactions_are_refused() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let mut seen = std::collections::BTreeSet::new();
    for version in Api::InitProducerId.versions().take(6) {
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        assert!(seen.insert(caller.call(version, request).await.producer_id), "version {version}");
        let request = InitProducerIdRequest { transactional_id: Some("t".to_owned()), ..Default::default() };
        let refused = caller.call(version, request).await;
        assert_eq!(refused.error_code, ErrorCode::TransactionalIdAuthorizationFailed.code());
        assert_eq!(refused.producer_id, -1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_disk_is_told_and_what_was_read_before_can_be_read() {
    let disk = std::sync::Arc::new(vltava_broker::disk::Memory::unreliable());
    let broker = Broker::in_memory().disk(disk.clone()).topic("orders", 1).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    assert_eq!(outcome(&caller.call(9, produce(-1, plain(&["a"]))).await), (ErrorCode::None, 0));
    disk.fail_syncs(1);
    for _ in 0..2 {
        let response = caller.call(9, produce(-1, plain(&["b"]))).await;
        assert_eq!(outcome(&response), (ErrorCode::KafkaStorageError, -1), "a failed sync is never retried");
    }
    let response = caller.call(12, fetch(0, 0)).await;
    assert_eq!(records(fetched(&response)), [(0, "a".to_owned())]);
}
