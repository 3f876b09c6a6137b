//! Damage to what had been synced is told from a tail that was cut.

use super::*;
use crate::ErrorKind;

/// A disk with a journal of a dozen acknowledged batches, and where each of its entries begins.
async fn written() -> (Memory, PartitionId) {
    let disk = Memory::unreliable();
    let options = Options { journal_file_bytes: 64 * 1024, ..Options::default() };
    let broker = Broker::open(disk.clone(), options).await.unwrap();
    let at = broker.topic("orders", 1).await;
    for number in 0..12 {
        broker.append(at, &batch(&[format!("{number}")])).await;
    }
    broker.kill().await;
    (disk, at)
}

#[tokio::test(start_paused = true)]
async fn damage_in_the_middle_of_synced_entries_is_refused_with_the_file_and_what_to_do() {
    let (intact, _) = written().await;
    let journal = files_of(&intact, "journal").remove(0);
    let length = intact.open(&journal).unwrap().length().unwrap();
    // The last two entries are left out: nothing after them says that they were synced.
    for offset in (0..length - 4 * 64).step_by(64) {
        let disk = intact.after_power_loss(&mut Rng::new(offset));
        disk.damage(&journal, offset..offset + 8).unwrap();
        let Err(error) = Broker::open(disk, Options::default()).await.map(drop) else {
            panic!("byte {offset} of {journal} was damaged unnoticed")
        };
        assert_eq!(error.kind(), ErrorKind::Damaged);
        let message = error.to_string();
        assert!(message.contains(&journal) && message.contains("restore"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_torn_last_entry_is_cut() {
    let (disk, at) = written().await;
    let journal = files_of(&disk, "journal").remove(0);
    let length = disk.open(&journal).unwrap().length().unwrap();
    disk.damage(&journal, length - 1..length).unwrap();
    let broker = Broker::open(disk, Options::default()).await.unwrap();
    assert_eq!(broker.values(at).len(), 11);
    assert_eq!(broker.append(at, &batch(&["again"])).await.base_offset, 11);
}

#[tokio::test(start_paused = true)]
async fn a_tail_that_is_short_zeroed_or_garbled_anywhere_is_cut_and_what_is_before_it_kept() {
    let (intact, at) = written().await;
    let journal = files_of(&intact, "journal").remove(0);
    let length = || intact.open(&journal).unwrap().length().unwrap();
    let broker = Broker::open(intact.clone(), Options::default()).await.unwrap();
    let last = length().next_multiple_of(64);
    broker.append(at, &batch(&["the last"])).await;
    broker.kill().await;
    let length = length();
    // The last byte is a zero anyway.
    for kept in last..length - 1 {
        for tail in ["short", "zeroed", "garbled"] {
            let disk = intact.after_power_loss(&mut Rng::new(kept));
            let file = disk.open(&journal).unwrap();
            match tail {
                "garbled" => disk.damage(&journal, kept..length).unwrap(),
                _ => file.truncate(kept).unwrap(),
            }
            if tail == "zeroed" {
                file.truncate(length).unwrap();
            }
            let broker = Broker::open(disk, Options::default()).await;
            let broker = broker.unwrap_or_else(|error| panic!("{tail} from {kept} of {length} on: {error}"));
            assert_eq!(broker.values(at).len(), 12, "{tail} from {kept} of {length} on");
            assert_eq!(broker.append(at, &batch(&["again"])).await.base_offset, 12);
            broker.kill().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_image_is_refused() {
    let (disk, _) = written().await;
    disk.damage("image", 50..51).unwrap();
    let error = Broker::open(disk, Options::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(error.to_string().contains("image"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_folder_whose_image_is_gone_is_refused() {
    let (disk, _) = written().await;
    disk.remove("image").unwrap();
    let error = Broker::open(disk, Options::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_is_shorter_than_what_was_synced_is_refused() {
    let disk = Memory::new();
    let broker = Broker::open(disk.clone(), Options::default()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    broker.append(at, &batch(&["kept"])).await;
    broker.stop().await;
    let segment = files_of(&disk, ".log").remove(0);
    disk.open(&segment).unwrap().truncate(10).unwrap();
    let error = Broker::open(disk, Options::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(error.to_string().contains(&segment), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_journal_of_another_folder_is_not_taken_for_ours() {
    let (other, _) = written().await;
    let disk = Memory::new();
    let clock = Arc::new(SystemClock::new());
    let (log, keeper) =
        Log::open(Arc::new(disk.clone()), clock, Rng::new(77), Options::default()).await.unwrap();
    drop((log, keeper));
    let journal = files_of(&other, "journal").remove(0);
    let mut bytes = vec![0; 64 * 1024];
    other.open(&journal).unwrap().read_at(0, &mut bytes).unwrap();
    disk.create("journal-000007").unwrap().write_at(0, &bytes).unwrap();
    let broker = Broker::open(disk, Options::default()).await.unwrap();
    assert!(broker.log.topics().is_empty());
}
