//! The catalogue of what goes wrong between a client and its brokers, and which tests show that it comes to no harm.
//! Paths are within `crates`; below the table are the tests of rows that no other room shows.
//!
//! | row | what goes wrong | shown by |
//! |---|---|---|
//! | P1 | the answer to a write is lost | `a_batch_whose_answer_is_lost_is_there_once`, `each_record_is_written_once_and_in_order_while_connections_break` |
//! | P2 | a batch that may be written is given up | `what_expires_in_flight_may_be_written_and_the_next_starts_again_behind_its_answer`, `impatient_producers_are_told_the_truth` |
//! | P3 | metadata forgets a topic for a moment | `a_topic_that_is_gone_for_a_moment_keeps_its_numbers`, `a_topic_that_is_unknown_for_a_moment_keeps_what_was_known` |
//! | P4 | a batch fails while later ones are under way | `none_overtakes_a_batch_that_waits_to_be_sent_again`, `a_batch_that_met_a_gap_waits_until_what_is_before_it_is_written`, `every_acknowledged_record_lands_once_in_order_at_its_offset` |
//! | P5 | the broker forgets the producer | `a_broker_that_forgets_the_producer_or_fences_it_gets_all_in_order`, `a_broker_that_has_forgotten_the_producer_is_met_in_a_new_epoch` |
//! | P6 | a batch is given up while it is being written | `a_batch_that_is_given_up_while_it_is_written_is_still_what_it_was` |
//! | P7 | a batch is sent again | `a_batch_goes_out_again_as_it_was_and_in_a_new_epoch_with_a_new_number` |
//! | P8 | nobody answers for longer than records wait | `an_outage_fails_every_record_in_time_and_the_producer_goes_on`, `a_record_that_cannot_be_delivered_fails_in_time_and_the_producer_goes_on` |
//! | P9 | numbers and epochs end | `after_the_last_number_comes_zero`, `numbers_go_on_at_zero_after_the_last`, `behind_the_last_epoch_there_is_another_identity` |
//! | P10 | a future is dropped | `a_send_that_is_dropped_at_any_point_has_sent_nothing_or_all`, `a_send_or_a_delivery_that_is_dropped_harms_nobody` |
//! | P11 | flushing and closing while others send | `a_flush_ends_with_what_was_sent_before_and_after_a_shutdown_at_once`, `a_flush_does_not_wait_for_what_is_pushed_later`, `a_shutdown_that_is_out_of_time_says_what_it_gave_up` |
//! | P12 | a topic grows, and not every broker knows | `a_partition_that_metadata_does_not_tell_of_yet_is_produced_to`, `a_topic_that_grows_has_its_new_partitions_filled_too`, `partitions_do_not_vanish_from_a_living_topic` |
//! | P13 | one record is too large or not valid | `a_record_that_the_broker_rejects_fails_alone`, `a_batch_that_is_too_large_for_the_broker_arrives_in_parts_and_in_order`, `a_batch_in_parts_keeps_its_numbers_and_its_place` |
//! | P14 | the leader changes | `a_record_is_written_where_the_leader_has_gone`, `acks_are_what_was_asked_for_and_without_any_a_record_is_delivered_when_it_is_written`, `nodes_that_stop_and_leaders_that_move_take_nothing_along`, `a_leader_that_moves_costs_what_the_acks_allow_and_nothing_else` |
//! | C1 | a commit fails because the group rebalances | `a_commit_of_a_generation_that_just_ended_is_sent_again_in_the_next`, `signs_of_life_and_commits_go_on_while_it_joins`, `every_code_of_a_commit_means_one_thing` |
//! | C2 | a partition is paused, goes away and comes back | `a_partition_that_was_paused_and_went_away_is_read_when_it_comes_back` |
//! | C3 | the coordinator dies, moves, forgets members or is silent | `what_is_held_is_lost_when_the_coordinator_forgets_the_member_between_generations`, `who_is_fenced_has_lost_everything_and_joins_anew_under_its_name`, `who_hears_nothing_for_a_session_has_lost_everything`, `what_is_held_is_kept_while_the_join_fails_for_now_and_lost_after_a_session` |
//! | C4 | somebody ends with a record whose partition is another's | `who_ends_after_its_partition_was_given_to_another_commits_nothing_of_it`, `at_the_deadline_the_rebalance_goes_on_and_the_old_assignment_commits_no_more` |
//! | C5 | records were fetched of a partition that is given back | `what_was_fetched_of_a_partition_that_is_given_back_is_not_handed_out`, `hooks_are_called_between_records_and_nothing_of_what_is_revoked_comes_after`, `streams_end_with_their_assignment_and_come_back_under_a_new_number` |
//! | C6 | members keep partitions through a rebalance | `only_what_moves_is_revoked_and_the_next_join_follows_at_once`, `what_is_added_has_a_number_of_its_own_and_does_not_wait_for_what_is_revoked`, `who_offers_an_eager_assignor_too_gives_everything_back_whichever_was_chosen`, `what_is_gone_is_given_back_first_and_only_then_not_owned_any_more`, `a_cooperative_member_keeps_what_stays`, `a_member_of_the_consumer_protocol_keeps_what_stays` |
//! | C7 | a member's epoch is over | `a_commit_in_an_epoch_that_is_over_is_sent_again_in_the_next_and_nothing_is_lost`, `offsets_asked_for_in_an_epoch_that_is_over_are_asked_for_again_in_the_next` |
//! | C8 | the end of the log was lost, or its beginning is gone | `what_was_truncated_is_read_again_from_there_and_told`, `what_a_new_leader_has_lost_is_told_and_what_it_has_instead_is_read`, `out_of_range_goes_on_at_the_end_of_the_log_that_was_chosen` |
//! | C10 | an error that passes | `no_temporary_error_moves_a_position`, `only_one_code_makes_a_position_jump`, `everything_is_read_once_and_in_order_while_connections_break` |
//! | C11 | the leader changes while the log is compared | `leaders_that_change_while_they_are_asked_are_asked_in_turn_and_with_a_pause` |
//! | C12 | the broker drops a fetch session | `a_session_that_the_broker_dropped_is_begun_anew_at_once`, `both_ends_agree_on_what_is_wanted_and_what_is_known_whatever_is_lost`, `after_a_cut_everything_is_said_again` |
//! | C13 | a topic is deleted and made anew | `a_topic_that_was_made_anew_is_read_from_its_beginning`, `a_topic_that_is_made_anew_is_read_from_its_beginning`, `a_topic_that_is_made_anew_is_assigned_anew_and_committed_from_its_beginning` |
//! | C14 | a group that starts at the end loses its first member before a commit | `a_group_that_starts_at_the_end_misses_nothing_when_its_first_member_dies_before_a_commit` |
//! | C15 | a record takes longer than it may | `who_is_stuck_on_a_record_loses_its_partitions_once_and_gets_them_back_when_it_asks_again`, `who_waits_for_records_is_never_stuck_however_long`, `the_oldest_record_counts_whatever_else_is_asked_for`, `a_member_whose_owner_is_stuck_loses_everything_once_and_joins_when_it_gets_on`, `a_member_whose_owner_is_stuck_leaves_and_joins_when_it_gets_on` |
//! | C16 | a replica that was read from lags, or goes | `what_a_replica_refuses_is_asked_of_the_leader_and_moves_nothing`, `a_replica_that_is_behind_is_waited_for`, `the_leader_is_asked_again_after_a_while`, `a_replica_that_cannot_be_reached_or_is_gone_is_not_read_from` |
//! | C17 | transactions that were rolled back are named in any order | `a_producer_may_abort_and_commit_in_turn`, `a_transaction_that_has_no_records_here_hides_nothing_else`, `only_what_was_committed_is_read_where_that_was_chosen` |
//! | C18 | offsets of a transaction that is open | `what_is_not_told_is_asked_for_again_and_never_taken_for_nothing`, `a_commit_beside_an_open_transaction_waits_for_its_end` |
//! | C19 | an end or an error is told between records | `it_is_told_once_that_an_end_was_reached_and_after_what_led_there`, `a_stream_that_stood_still_by_an_error_goes_on_elsewhere` |
//! | C20 | two static members have one name | `a_static_member_that_another_replaced_stops_whatever_it_was_asking`, `a_static_member_waits_for_the_one_before_it_to_be_taken_for_dead_but_not_for_one_that_lives` |
//! | C21 | an assignment is cut off | `an_assignment_that_is_cut_off_is_not_taken`, `what_is_cut_off_is_an_error_and_never_fewer_partitions` |
//! | N1 | a connection swallows what it is given | `a_black_hole_is_given_up_and_harms_no_other_connection`, `a_connection_that_falls_silent_is_given_up`, `a_connection_on_which_nothing_happens_is_probed` |
//! | N2 | a connection breaks within an answer | `an_answer_that_is_cut_short_is_none` |
//! | N3 | bytes come one at a time | `bytes_that_come_one_at_a_time_are_the_same_bytes`, `frames_are_cut_wherever_the_stream_tears` |
//! | N4 | an answer that nobody asked for | `an_answer_nobody_asked_for_ends_the_connection` |
//! | N5 | nobody is there at the start | `without_a_broker_at_the_start_every_address_is_tried_once` |
//! | N6 | all brokers were replaced | `where_all_brokers_were_replaced_the_configured_addresses_are_gone_back_to`, `a_broker_that_sends_clients_back_is_left_for_the_configured_addresses` |
//! | N7 | metadata is older than what came before | `an_older_leader_epoch_changes_nothing`, `a_leader_named_by_the_way_counts_if_it_is_newer` |
//! | N8 | a leader stands still for a while, and goes on as if nothing had been | `three_nodes_of_kafka_4_3`, `a_node_of_kafka_3_9` |
//! | N9 | addresses change, or are shared | `a_broker_that_has_moved_is_talked_to_where_it_is`, `two_brokers_at_one_address_share_a_connection`, `whoever_was_asked_in_vain_is_the_one_that_others_go_before`, `a_connection_that_was_left_takes_nothing_along_when_it_breaks` |
//! | N10 | the broker throttles | `a_broker_that_throttles_is_left_alone_and_nothing_times_out`, `a_rest_lasts_as_long_as_was_asked_for_and_not_for_ever`, `a_broker_that_wants_to_be_left_alone_does_not_keep_others_from_being_asked`, `what_is_given_up_while_a_broker_rests_is_not_written_after_that`, `a_coordinator_that_wants_to_be_left_alone_is_not_waited_for_longer_than_a_call_has` |
//! | H1 | lengths without end | `a_hostile_answer_is_a_typed_error_and_costs_no_more_than_there_is`, `a_frame_longer_than_allowed_or_than_there_is_memory_for_ends_the_connection` |
//! | H2 | a little that unpacks to very much | `bombs_of_every_codec`, `bombs_in_parts`, `a_bomb_is_refused_by_its_ratio`, `streams_that_lie_about_their_length` |
//! | H3 | partitions that are not there, twice there, or negative | `a_partition_that_is_twice_in_an_answer_is_read_once`, `a_batch_that_is_answered_twice_is_written_once`, `a_topic_or_a_partition_that_is_twice_in_an_answer_is_known_once`, `partitions_numbered_with_holes_or_below_zero_are_not_believed`, `nonsense_instead_of_an_identity_fails_what_waits_and_is_asked_for_again_after_a_pause` |
//! | H4 | lengths within batches that lie | `damaged_lengths_stop_reading_instead_of_going_on` |
//! | H5 | numbers that do not end | `a_varint_ends_within_32_bits`, `a_value_that_is_too_large_or_does_not_end_is_none` |
//! | H6 | an answer that never ends | `an_answer_that_trickles_without_end_is_given_up_in_time` |
//! | H8 | other brokers at every look | `brokers_that_are_others_at_every_look_do_not_add_up`, `of_brokers_that_come_and_go_nothing_is_kept` |

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use tokio::time::{sleep, timeout};
use vltava_wire::{
    Api, ErrorCode,
    messages::{
        InitProducerIdResponse, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
        MetadataResponseTopic,
    },
};

use super::producing::{Log, World, record, send_all};
use crate::{
    Client, Delivery, Producer, ProducerRecord, config,
    tests::peer::{self, Asked, Peer, Reply},
};

/// P1.
#[tokio::test(start_paused = true)]
async fn a_batch_whose_answer_is_lost_is_there_once() {
    let world = World::new(Log { cuts: 3, ..Log::default() }).await;
    let producer = world.producer();
    for (offset, value) in ["a", "b", "c"].into_iter().enumerate() {
        let stored = send_all(&producer, [record(value)]).await.remove(0).expect("it is written");
        assert_eq!(stored, Some(offset as i64));
    }
    let log = world.log();
    assert_eq!((log.cuts, log.identities), (0, 1));
    assert_eq!(log.values, ["a", "b", "c"]);
}

/// P3.
#[tokio::test(start_paused = true)]
async fn a_topic_that_is_gone_for_a_moment_keeps_its_numbers() {
    let world = World::new(Log::default()).await;
    let producer = world.producer();
    send_all(&producer, [record("a")]).await;
    send_all(&producer, [record("b")]).await;
    world.log().is_missing = true;
    world.log().errors = vec![ErrorCode::UnknownTopicOrPartition; 3];
    let waiting = producer.send(record("c")).await.expect("there is room");
    let _ = timeout(Duration::from_secs(5), producer.flush()).await;
    let met = 3 - std::mem::take(&mut world.log().errors).len();
    world.log().is_missing = false;
    assert!(met > 0, "it was refused");
    waiting.await.expect("it is written when the topic is back");
    send_all(&producer, [record("d")]).await;
    assert_eq!(world.log().values, ["a", "b", "c", "d"]);
    assert_eq!(world.log().identities, 1, "nothing begins anew");
}

/// H3: an answer that has a partition twice, with another outcome each time, is believed once.
#[tokio::test(start_paused = true)]
async fn a_batch_that_is_answered_twice_is_written_once() {
    let world = World::new(Log { answers_twice: true, ..Log::default() }).await;
    let producer = world.producer();
    for (offset, value) in ["a", "b", "c"].into_iter().enumerate() {
        let stored = send_all(&producer, [record(value)]).await.remove(0).expect("it is written");
        assert_eq!(stored, Some(offset as i64));
    }
    assert_eq!(world.log().values, ["a", "b", "c"]);
}

/// What a broker got that reads only now and then: topic, partition and value of each record.
#[derive(Default)]
struct Slow {
    got: Vec<(String, i32, String)>,
    /// Before the next answer to Produce it waits for so long, and reads nothing.
    wait: Duration,
}

impl Slow {
    fn reply(&mut self, mut asked: Asked) -> Reply {
        match asked.api() {
            Api::Metadata => asked.answer(&two_topics()),
            Api::InitProducerId => {
                asked.answer(&InitProducerIdResponse { producer_id: 1, ..Default::default() })
            }
            Api::Produce => {
                let (answer, got) = peer::written(asked.read());
                self.got.extend(got);
                let wait = std::mem::take(&mut self.wait);
                match asked.answer(&answer) {
                    Reply::Frame(frame) => Reply::Late(frame, wait),
                    other => other,
                }
            }
            api => panic!("{api:?} is not in the script"),
        }
    }
}

/// `orders` and `returns` have two partitions each.
fn two_topics() -> MetadataResponse {
    let led =
        |partition_index| MetadataResponsePartition { partition_index, leader_id: 1, ..Default::default() };
    let topic = |name: &str| MetadataResponseTopic {
        name: Some(name.to_owned()),
        partitions: (0..2).map(led).collect(),
        ..Default::default()
    };
    let broker =
        MetadataResponseBroker { node_id: 1, host: "broker".into(), port: 9092, ..Default::default() };
    let topics = vec![topic("orders"), topic("returns")];
    MetadataResponse { brokers: vec![broker], topics, ..Default::default() }
}

/// The bytes of each value that goes to `Slow`.
const BYTES: usize = 4_000;

async fn put(producer: &Producer, topic: &str, partition: i32, letter: &str) -> Delivery {
    let record = ProducerRecord::to(topic).partition(partition).value(letter.repeat(BYTES));
    producer.send(record).await.expect("room comes")
}

/// P6: what is being written stays what it is, whatever becomes of the batch and of its memory.
#[tokio::test(start_paused = true)]
async fn a_batch_that_is_given_up_while_it_is_written_is_still_what_it_was() {
    let slow: Arc<Mutex<Slow>> = Arc::default();
    let script = slow.clone();
    let peer = Peer::new(move |asked| script.lock().expect("no script panics").reply(asked)).behind(512);
    let connection = config::Connection { request_timeout: Duration::from_secs(300), ..Default::default() };
    let builder = Client::builder().brokers("broker:9092").dial(Arc::new(peer)).connection(connection);
    let client = builder.seed(1).connect().await.expect("the peer answers");
    let builder = Producer::builder(&client).delivery_timeout(Duration::from_secs(10));
    let producer = builder.memory_bytes(3 * BYTES).batch_bytes(BYTES).build().expect("it can be built");
    put(&producer, "orders", 0, "w").await.await.expect("it is written");
    put(&producer, "orders", 1, "w").await.await.expect("it is written");
    slow.lock().expect("no script panics").wait = Duration::from_secs(60);
    let first = put(&producer, "orders", 0, "a").await;
    sleep(Duration::from_secs(1)).await;
    let torn = put(&producer, "orders", 1, "b").await;
    for given_up in [first, torn] {
        assert!(given_up.await.expect_err("nobody reads").maybe_written());
    }
    let mut later = Vec::new();
    for partition in 0..2 {
        later.push(put(&producer, "returns", partition, "c").await);
    }
    sleep(Duration::from_secs(120)).await;
    drop(later);
    let got = std::mem::take(&mut slow.lock().expect("no script panics").got);
    assert!(got.iter().any(|it| it.2.starts_with('b')), "it was under way");
    for (topic, partition, value) in got {
        let letters = match (&*topic, partition) {
            ("orders", 0) => "wa",
            ("orders", 1) => "wb",
            _ => "c",
        };
        assert_eq!(value.len(), BYTES, "{topic}-{partition}");
        assert!(
            letters.split("").any(|letter| value == letter.repeat(BYTES)),
            "{topic}-{partition}: {value}"
        );
    }
}

/// Polls a future so often, a little apart, and then drops it.
async fn polled<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..times {
        let polled = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(done) = polled {
            return Some(done);
        }
        sleep(Duration::from_micros(200)).await;
    }
    None
}

/// P10: from a client that knows nothing of the topic, through a producer without memory left, to a record that is on
/// its way.
#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_at_any_point_has_sent_nothing_or_all() {
    for times in 0..30 {
        let world = World::new(Log::default()).await;
        let builder = Producer::builder(&world.client).memory_bytes(1_000);
        let producer = builder.build().expect("it can be built");
        let value = |number: usize| format!("{number:0500}");
        let mut kept = Vec::new();
        for number in 0..6 {
            let sent = polled(times, producer.send(record(&value(number)))).await;
            let Some(sent) = sent else { continue };
            let delivery = sent.expect("there is room, or it is waited for");
            kept.push(value(number));
            if number % 2 == 0 {
                drop(delivery);
            } else {
                let _ = polled(times, delivery).await;
            }
        }
        let _ = polled(times, producer.flush()).await;
        timeout(Duration::from_secs(10), producer.flush()).await.expect("a flush comes to an end");
        assert_eq!(world.log().values, kept, "{times} times");
        send_all(&producer, [record("last")]).await.remove(0).expect("the producer goes on");
        let _ = polled(times, producer.clone().shutdown(Duration::from_secs(1))).await;
        timeout(Duration::from_secs(10), producer.flush()).await.expect("nothing is left");
    }
}
