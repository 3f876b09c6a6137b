//! Our producer and our assigned consumer on librdkafka's mock of a cluster: three brokers that know nothing of ours,
//! refuse what they are told to refuse, hang up, and hand partitions around. What happened is judged as that of the
//! simulation is: each record is there once and in order, and everybody is handed all of it without a jump.
//!
//! The mock checks leader epochs, and numbers only in transactions: so one batch is on its way at a time, and where
//! answers get lost a record may be there twice. It keeps no fetch sessions, answers a fetch with one batch of a
//! partition, and refuses the version of ApiVersions that we begin with in a way of its own.

mod trial;

use std::time::Duration;

use rdkafka::types::{
    RDKafkaApiKey as Api,
    RDKafkaRespErr::{self, *},
};
use vltava_core::Rng;

use trial::{BROKERS, Mock, Once, PARTITIONS, TOPIC, leader_of, play};

/// What any broker may say for a while, to any request.
const HEARD: &[RDKafkaRespErr] = &[
    RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
];

/// The same, or it hangs up, and answers to others are lost as well.
const PASSING: &[RDKafkaRespErr] = &[
    RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
    RD_KAFKA_RESP_ERR__TRANSPORT,
];

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_without_trouble() {
    play("untroubled", Once::Exactly, |_, _, _| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn produce_requests_may_be_refused_in_every_way_that_passes() {
    play("refused_produce", Once::Exactly, |mock, _, rng| {
        let errors =
            [HEARD, &[RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_INVALID_MSG]].concat();
        mock.request_errors(Api::Produce, &some(rng, &errors));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_and_lookups_may_be_refused_in_every_way_that_passes() {
    play("refused_fetch", Once::Exactly, |mock, _, rng| {
        let errors = [
            PASSING,
            &[
                RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
                RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
                RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
                RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
                RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID,
            ],
        ]
        .concat();
        mock.request_errors(Api::Fetch, &some(rng, &errors));
        mock.request_errors(Api::ListOffsets, &some(rng, &errors));
        mock.request_errors(Api::OffsetForLeaderEpoch, &some(rng, PASSING));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_session_may_be_forgotten() {
    play("lost_sessions", Once::Exactly, |mock, _, rng| {
        let errors =
            [RD_KAFKA_RESP_ERR_FETCH_SESSION_ID_NOT_FOUND, RD_KAFKA_RESP_ERR_INVALID_FETCH_SESSION_EPOCH];
        mock.request_errors(Api::Fetch, &some(rng, &errors));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_producers_id_may_be_forgotten_and_refused() {
    play("lost_ids", Once::Exactly, |mock, round, rng| {
        let refused = [
            RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR__TRANSPORT,
        ];
        mock.request_errors(Api::InitProducerId, &some(rng, &refused));
        if round % 4 == 1 {
            mock.request_errors(Api::Produce, &[RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_may_be_refused_while_leaders_move() {
    play("refused_metadata", Once::Exactly, |mock, _, rng| {
        mock.request_errors(Api::Metadata, &some(rng, PASSING));
        move_a_leader(mock, rng);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_may_be_unknown_for_a_while() {
    play("unknown_topic", Once::Exactly, |mock, round, rng| {
        let errors = [
            RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
            RD_KAFKA_RESP_ERR_NO_ERROR,
            RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        ];
        let error = errors[round as usize % errors.len()];
        mock.topic_error(TOPIC, error).expect("a topic has an error");
        move_a_leader(mock, rng);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_may_move_while_batches_are_on_their_way() {
    play("moving_leaders", Once::Exactly, |mock, _, rng| {
        mock.broker_round_trip_time(-1, Duration::from_millis(rng.below(60))).expect("brokers may be slow");
        for _ in 0..=rng.below(3) {
            move_a_leader(mock, rng);
        }
    })
    .await;
}

/// What a broker has appended while it answers slowly is acknowledged by nobody; sent again, it is there already.
#[tokio::test(flavor = "multi_thread")]
async fn answers_may_be_lost_after_records_were_appended() {
    play("lost_answers", Once::AtLeast, |mock, round, rng| {
        if round % 2 == 0 {
            mock.broker_up(-1).expect("brokers come back");
            mock.broker_round_trip_time(-1, Duration::from_millis(400)).expect("brokers may be slow");
        } else {
            mock.broker_down(some_broker(rng)).expect("a broker goes");
            mock.broker_round_trip_time(-1, Duration::ZERO).expect("brokers may be fast");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_may_go_and_leaders_move_and_all_of_them_be_away() {
    play("away", Once::AtLeast, |mock, round, rng| match round % 5 {
        0 | 1 => {
            let (gone, next) = (some_broker(rng), some_broker(rng));
            mock.broker_down(gone).expect("a broker goes");
            for partition in 0..PARTITIONS {
                mock.partition_leader(TOPIC, partition, Some(next)).expect("a partition has a leader");
            }
        }
        2 => mock.broker_down(-1).expect("brokers go"),
        _ => mock.broker_up(-1).expect("brokers come back"),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_may_be_read_from_and_go() {
    play("followers", Once::AtLeast, |mock, round, rng| {
        // Another one than the leader, which would send readers to itself.
        let next = 1 + rng.below(BROKERS as u64 - 1) as i32;
        for partition in 0..PARTITIONS {
            let follower = 1 + (partition + next) % BROKERS;
            mock.partition_leader(TOPIC, partition, Some(leader_of(partition)))
                .expect("a partition has a leader");
            mock.partition_follower(TOPIC, partition, follower).expect("a partition has a follower");
        }
        if round % 3 == 0 {
            mock.broker_down(some_broker(rng)).expect("a broker goes");
        } else {
            mock.broker_up(-1).expect("brokers come back");
        }
    })
    .await;
}

/// A few of these, in any order.
fn some(rng: &mut Rng, errors: &[RDKafkaRespErr]) -> Vec<RDKafkaRespErr> {
    (0..rng.below(4)).map(|_| errors[rng.below(errors.len() as u64) as usize]).collect()
}

fn some_broker(rng: &mut Rng) -> i32 {
    1 + rng.below(BROKERS as u64) as i32
}

fn move_a_leader(mock: &Mock, rng: &mut Rng) {
    let partition = rng.below(PARTITIONS as u64) as i32;
    mock.partition_leader(TOPIC, partition, Some(some_broker(rng))).expect("a partition has a leader");
}
