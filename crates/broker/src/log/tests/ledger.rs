//! Topics, offsets, producer ids and producers' windows across restarts.

use super::*;
use vltava_wire::ErrorCode;

/// Restarts in every way there is: after a clean stop, a kill, and a kill after a checkpoint.
async fn restarted(broker: Broker, disk: &Memory, how: usize) -> Broker {
    match how {
        0 => broker.stop().await,
        _ => broker.kill().await,
    }
    Broker::open(disk.clone(), small()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn configs_are_made_of_those_that_the_topic_has_by_then_or_left_alone() {
    let broker = Broker::open(Memory::new(), small()).await.unwrap();
    let (found_early, _) = broker.log.create_topic("orders", &[FIRST], &Given::new()).unwrap();
    let add = |name: &'static str| {
        broker.log.configure_topic(found_early.id, move |given| match name {
            "" => Err("nameless"),
            _ => Ok(given.clone().into_iter().chain([(name.to_owned(), None)]).collect()),
        })
    };
    for name in ["retention.ms", "segment.ms"] {
        add(name).unwrap().unwrap();
    }
    assert_eq!(add("").unwrap(), Err("nameless"));
    let names: Vec<_> = broker.log.topic("orders").unwrap().configs.keys().cloned().collect();
    assert_eq!(names, ["retention.ms", "segment.ms"]);
}

#[tokio::test(start_paused = true)]
async fn topics_keep_their_ids_partitions_and_configs() {
    for how in 0..2 {
        let disk = Memory::new();
        let broker = Broker::open(disk.clone(), small()).await.unwrap();
        let (created, position) =
            broker.log.create_topic("orders", &[FIRST; 3], &given(&[("retention.ms", "5")])).unwrap();
        broker.log.settled(position).await.unwrap();
        let cluster = broker.log.cluster_id();
        let broker = restarted(broker, &disk, how).await;
        let led = |epoch| vec![Leader { node: FIRST, epoch }; 3];
        assert_eq!((created.partitions(), created.leaders.clone()), (3, led(0)));
        // Who comes back leads anew.
        let mut later = crate::ledger::topics::Topic::clone(&created);
        later.leaders = led(1);
        let later = Arc::new(later);
        assert_eq!(broker.log.topic("orders"), Some(later.clone()));
        assert_eq!(broker.log.topic_with_id(created.id), Some(later.clone()));
        assert_eq!(broker.log.topics(), std::slice::from_ref(&later));
        assert_eq!(created.configs["retention.ms"].as_deref(), Some("5"));
        assert_eq!(broker.log.cluster_id(), cluster);
        assert_ne!(cluster, Uuid::ZERO);
        let again = broker.log.create_topic("orders", &[FIRST], &Given::new()).unwrap_err();
        assert_eq!(again.code(), ErrorCode::TopicAlreadyExists);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_takes_its_files_and_commits_along_and_its_name_is_free() {
    for how in 0..2 {
        let disk = Memory::new();
        let broker = Broker::open(disk.clone(), small()).await.unwrap();
        let old = broker.topic("orders", 1).await;
        for _ in 0..40 {
            broker.append(old, &batch(&["x".repeat(200)])).await;
        }
        assert!(!files_of(&disk, "segment").is_empty());
        broker.log.commit_offsets("readers", &[(orders(0), commit(7))]).unwrap();
        let deleted = broker.log.delete_topic(old.topic).unwrap();
        broker.log.settled(deleted).await.unwrap();
        assert_eq!(broker.log.read(old, 0, 100).unwrap_err().code(), ErrorCode::UnknownTopicOrPartition);
        assert_eq!(broker.log.delete_topic(old.topic).unwrap_err().code(), ErrorCode::UnknownTopicId);
        assert_eq!(broker.log.committed("readers", &orders(0)), None);
        let broker = restarted(broker, &disk, how).await;
        assert!(broker.log.topic("orders").is_none());
        assert!(broker.log.groups_with_offsets().is_empty());
        let new = broker.topic("orders", 1).await;
        assert_ne!(new.topic, old.topic);
        assert_eq!(broker.append(new, &batch(&["fresh"])).await.base_offset, 0);
        broker.stop().await;
        let left = files_of(&disk, "segment");
        assert!(left.iter().all(|name| name.contains(&format!("{:032x}", new.topic.0))), "{left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_never_gets_the_id_of_an_earlier_one_even_from_the_same_seed() {
    let disk = Memory::new();
    let mut seen = std::collections::BTreeSet::new();
    for life in 0..4 {
        let broker = Broker::open(disk.clone(), small()).await.unwrap();
        for _ in 0..3 {
            let at = broker.topic("orders", 1).await;
            assert!(seen.insert(at.topic), "life {life}");
            broker.log.settled(broker.log.delete_topic(at.topic).unwrap()).await.unwrap();
        }
        broker.kill().await;
    }
}

#[tokio::test(start_paused = true)]
async fn commits_keep_their_metadata_epoch_and_time() {
    for how in 0..2 {
        let disk = Memory::new();
        let broker = Broker::open(disk.clone(), small()).await.unwrap();
        broker.log.commit_offsets("readers", &[(orders(0), commit(1)), (orders(1), commit(2))]).unwrap();
        let last = broker.log.commit_offsets("readers", &[(orders(1), commit(5))]).unwrap();
        assert_eq!(broker.log.ledger_position(), last);
        broker.log.settled(last).await.unwrap();
        let broker = restarted(broker, &disk, how).await;
        assert_eq!(broker.log.groups_with_offsets(), ["readers"]);
        let all = broker.log.all_committed("readers");
        assert_eq!(all, [(orders(0), commit(1)), (orders(1), commit(5))]);
        assert_eq!(broker.log.committed("readers", &orders(1)), Some(commit(5)));
        assert_eq!(broker.log.committed("others", &orders(1)), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_comes_again_after_a_restart_is_known_and_a_gap_is_refused() {
    for how in 0..2 {
        let disk = Memory::new();
        let broker = Broker::open(disk.clone(), small()).await.unwrap();
        let at = broker.topic("orders", 1).await;
        let sent = |sequence| batch_at(&["one", "two"], 0, stamp(7, 0, sequence));
        for round in 0..8 {
            assert_eq!(broker.append(at, &sent(round * 2)).await.base_offset, i64::from(round) * 2);
        }
        let broker = restarted(broker, &disk, how).await;
        for round in 3..8 {
            let again = broker.append(at, &sent(round * 2)).await;
            assert_eq!((again.base_offset, again.duplicate), (i64::from(round) * 2, true));
        }
        let forgotten = broker.log.append(at, FIRST, &sent(0)).unwrap_err();
        assert_eq!(forgotten.code(), ErrorCode::OutOfOrderSequenceNumber);
        let gap = broker.log.append(at, FIRST, &sent(18)).unwrap_err();
        assert_eq!(gap.code(), ErrorCode::OutOfOrderSequenceNumber);
        assert!(!broker.append(at, &sent(16)).await.duplicate);
        let bumped = broker.append(at, &batch_at(&["three"], 0, stamp(7, 1, 0))).await;
        assert_eq!((bumped.base_offset, bumped.duplicate), (18, false));
        let fenced = broker.log.append(at, FIRST, &sent(18)).unwrap_err();
        assert_eq!(fenced.code(), ErrorCode::InvalidProducerEpoch);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_names_a_producer_without_a_number_is_refused() {
    let broker = Broker::open(Memory::new(), small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    for unsound in [stamp(7, 0, -1), stamp(7, -1, 0)] {
        let refused = broker.log.append(at, FIRST, &batch_at(&["one"], 0, unsound)).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidRecord);
    }
    assert!(broker.values(at).is_empty());
}

#[tokio::test(start_paused = true)]
async fn producer_ids_are_new_after_every_restart() {
    let disk = Memory::new();
    let mut last = -1;
    for how in [0, 1, 1, 0, 1] {
        let broker = Broker::open(disk.clone(), small()).await.unwrap();
        for _ in 0..3 {
            let (id, position) = broker.log.new_producer_id().unwrap();
            broker.log.settled(position).await.unwrap();
            assert!(id > last, "{id} after {last}");
            last = id;
        }
        restarted(broker, &disk, how).await.kill().await;
    }
}
