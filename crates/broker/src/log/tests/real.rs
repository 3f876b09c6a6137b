//! The same log in a real folder.

use super::*;
use crate::{ErrorKind, disk::Folder};

#[tokio::test]
async fn what_was_appended_to_a_real_folder_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made").join("on demand");
    let mut expected = Vec::new();
    for life in 0..4 {
        let broker = Broker::open(Folder::open(&path).unwrap(), small()).await.unwrap();
        let at = match broker.log.topic("orders") {
            Some(topic) => PartitionId { topic: topic.id, partition: 0 },
            None => broker.topic("orders", 1).await,
        };
        assert_eq!(broker.values(at), expected, "life {life}");
        for number in 0..40 {
            let value = format!("{life}-{number}-{:100}", "");
            broker.append(at, &batch(&[&value])).await;
            expected.push(value);
        }
        assert_eq!(broker.values(at), expected);
        if life % 2 == 0 { broker.stop().await } else { broker.kill().await }
    }
}

#[tokio::test]
async fn a_real_folder_has_one_broker() {
    let folder = tempfile::tempdir().unwrap();
    let first = Broker::open(Folder::open(folder.path()).unwrap(), small()).await.unwrap();
    let second = Broker::open(Folder::open(folder.path()).unwrap(), small()).await.map(drop);
    let error = second.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    first.stop().await;
    Broker::open(Folder::open(folder.path()).unwrap(), small()).await.unwrap().stop().await;
}
