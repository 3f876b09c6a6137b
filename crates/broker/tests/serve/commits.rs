//! How far groups have come.

use vltava_broker::Broker;
use vltava_wire::{
    Api, ErrorCode, Uuid,
    messages::{
        DeleteTopicsRequest, ListGroupsRequest, MetadataRequest, OffsetCommitRequest,
        OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetFetchRequest, OffsetFetchRequestGroup,
        OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponse,
    },
};

use crate::caller::{Caller, text};

pub(crate) fn commit(partition_index: i32, offset: i64, metadata: &str) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_metadata: Some(text(metadata)),
        ..Default::default()
    };
    let topic =
        OffsetCommitRequestTopic { name: text("orders"), topic_id: Uuid::ZERO, partitions: vec![partition] };
    OffsetCommitRequest { group_id: text("audit"), topics: vec![topic], ..Default::default() }
}

fn code(response: &vltava_wire::messages::OffsetCommitResponse) -> ErrorCode {
    response.topics[0].partitions[0].error_code.into()
}

/// Asks for one partition in the layout of the version; offset and metadata, or the error.
async fn committed(
    caller: &mut Caller,
    version: i16,
    id: Uuid,
    partition: i32,
) -> Result<(i64, String), ErrorCode> {
    let mut request = OffsetFetchRequest::default();
    if version < 8 {
        request.group_id = text("audit");
        let topic = OffsetFetchRequestTopic { name: text("orders"), partition_indexes: vec![partition] };
        request.topics = Some(vec![topic]);
    } else {
        let topic = OffsetFetchRequestTopics {
            name: text("orders"),
            topic_id: id,
            partition_indexes: vec![partition],
        };
        let group = OffsetFetchRequestGroup {
            group_id: text("audit"),
            topics: Some(vec![topic]),
            ..Default::default()
        };
        request.groups = vec![group];
    }
    let response = caller.call(version, request).await;
    let (error, offset, metadata) = if version < 8 {
        let it = response.topics[0].partitions[0].clone();
        (it.error_code, it.committed_offset, it.metadata)
    } else {
        let it = response.groups[0].topics[0].partitions[0].clone();
        (it.error_code, it.committed_offset, it.metadata)
    };
    match error.into() {
        ErrorCode::None => Ok((offset, metadata.unwrap())),
        code => Err(code),
    }
}

async fn topic_id(caller: &mut Caller) -> Uuid {
    let all = MetadataRequest { topics: None, ..Default::default() };
    caller.call(12, all).await.topics[0].topic_id
}

#[tokio::test(start_paused = true)]
async fn offset_and_metadata_come_back_in_every_version() {
    let broker = Broker::in_memory().topic("orders", 2).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let id = topic_id(&mut caller).await;
    for version in Api::OffsetCommit.versions() {
        let mut request = commit(1, 100 + i64::from(version), "ünïcode gaps");
        request.topics[0].topic_id = id;
        assert_eq!(code(&caller.call(version, request).await), ErrorCode::None, "version {version}");
        for fetch_version in Api::OffsetFetch.versions() {
            let found = committed(&mut caller, fetch_version, id, 1).await;
            assert_eq!(
                found,
                Ok((100 + i64::from(version), text("ünïcode gaps"))),
                "version {fetch_version}"
            );
            let nothing = committed(&mut caller, fetch_version, id, 0).await;
            assert_eq!(nothing, Ok((-1, String::new())), "version {fetch_version}");
        }
    }
    assert_eq!(committed(&mut caller, 10, Uuid(1), 0).await, Err(ErrorCode::UnknownTopicId));
}

#[tokio::test(start_paused = true)]
async fn a_group_tells_all_it_has_committed() {
    let broker = Broker::in_memory().topic("orders", 2).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    for partition in 0..2 {
        caller.call(8, commit(partition, 7, "")).await;
    }
    let all = OffsetFetchRequest { group_id: text("audit"), topics: None, ..Default::default() };
    let response: OffsetFetchResponse = caller.call(7, all).await;
    assert_eq!(
        response.topics[0].partitions.iter().map(|it| it.committed_offset).collect::<Vec<_>>(),
        [7, 7]
    );
    let group =
        |group_id| OffsetFetchRequestGroup { group_id: text(group_id), topics: None, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group("audit"), group("nobody")], ..Default::default() };
    let response = caller.call(9, request).await;
    assert_eq!(response.groups[0].topics[0].partitions.len(), 2);
    assert_eq!(response.groups[1].topics, []);
    let listed = caller.call(4, ListGroupsRequest::default()).await.groups;
    assert_eq!((&*listed[0].group_id, &*listed[0].group_state), ("audit", "Empty"));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_does_not_count_is_refused_partition_by_partition() {
    let broker = Broker::in_memory().topic("orders", 1).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    assert_eq!(code(&caller.call(8, commit(1, 7, "")).await), ErrorCode::UnknownTopicOrPartition);
    let long = "ä".repeat(4097);
    assert_eq!(code(&caller.call(8, commit(0, 7, &long)).await), ErrorCode::OffsetMetadataTooLarge);
    assert_eq!(code(&caller.call(8, commit(0, 7, &"ä".repeat(4096))).await), ErrorCode::None);
    let stranger = OffsetCommitRequest {
        generation_id_or_member_epoch: 3,
        member_id: text("stranger"),
        ..commit(0, 9, "")
    };
    assert_ne!(code(&caller.call(8, stranger).await), ErrorCode::None);
    let found = committed(&mut caller, 7, Uuid::ZERO, 0).await;
    assert_eq!(found.map(|(offset, _)| offset), Ok(7), "the stranger changed nothing");
}

#[tokio::test(start_paused = true)]
async fn a_topic_takes_its_committed_offsets_along() {
    let broker = Broker::in_memory().topic("orders", 1).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    caller.call(8, commit(0, 7, "")).await;
    caller.call(5, DeleteTopicsRequest { topic_names: vec![text("orders")], ..Default::default() }).await;
    assert_eq!(committed(&mut caller, 7, Uuid::ZERO, 0).await, Ok((-1, String::new())));
    assert_eq!(caller.call(4, ListGroupsRequest::default()).await.groups, []);
}
