//! OffsetFetch: errors of a group, or of partitions. Until version 7 a request is about one group, and in version 1
//! that has no error of its own.

use std::borrow::Cow;

use vltava_core::TopicPartition;
use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
        OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    },
};

use super::{At, Judge, Part, Refused, Target, put, put_partitions, replace};

/// From this version on a group has an error of its own.
const GROUP_ERROR_SINCE: i16 = 2;

/// From this version on a request names many groups.
const GROUPS_SINCE: i16 = 8;

/// Nothing is taken out: to read has no effect.
impl Target for OffsetFetchRequest {
    fn refuse(&mut self, at: At<'_>, judge: Judge<'_>) -> Option<Refused<OffsetFetchResponse>> {
        let mut response = OffsetFetchResponse::default();
        let whole = judge(Part::whole());
        if at.version >= GROUPS_SINCE {
            let groups = self.groups.iter().filter_map(|group| of_group(at, group, whole, judge));
            response.groups = groups.collect();
        } else {
            let topic = |(name, partition_indexes)| OffsetFetchRequestTopic { name, partition_indexes };
            let all = || committed(at, &self.group_id).into_iter().map(topic).collect();
            let topics = self.topics.as_deref().map_or_else(all, Cow::Borrowed);
            response.topics = topics.iter().filter_map(|topic| of_topic(topic, judge)).collect();
            let whole = whole.filter(|code| at.version >= GROUP_ERROR_SINCE && is_of_group(*code));
            response.error_code = whole.unwrap_or_default().code();
        }
        (response != OffsetFetchResponse::default()).then_some(Refused { response, is_all: false })
    }

    fn tell(response: &mut OffsetFetchResponse, refused: OffsetFetchResponse) {
        if refused.error_code != ErrorCode::None.code() {
            let OffsetFetchResponse { throttle_time_ms, .. } = *response;
            *response = OffsetFetchResponse { throttle_time_ms, topics: Vec::new(), ..refused };
            return;
        }
        put_partitions(
            &mut response.topics,
            refused.topics,
            |it| it.name.clone(),
            |it| &mut it.partitions,
            |it| it.partition_index,
        );
        put(&mut response.groups, refused.groups, |it| it.group_id.clone(), tell_group);
    }

    fn throttle_time_ms(response: &mut OffsetFetchResponse) -> &mut i32 {
        &mut response.throttle_time_ms
    }
}

fn of_group(
    at: At<'_>,
    group: &OffsetFetchRequestGroup,
    whole: Option<ErrorCode>,
    judge: Judge<'_>,
) -> Option<OffsetFetchResponseGroup> {
    let topic = |topic: &OffsetFetchRequestTopics| {
        let name = at.name(&topic.name, topic.topic_id);
        let failed = failed(&name, &topic.partition_indexes, judge);
        let partition = |(partition_index, error_code)| OffsetFetchResponsePartitions {
            partition_index,
            committed_offset: -1,
            error_code,
            ..Default::default()
        };
        let partitions: Vec<_> = failed.into_iter().map(partition).collect();
        let answer =
            OffsetFetchResponseTopics { name: topic.name.clone(), topic_id: topic.topic_id, partitions };
        (!answer.partitions.is_empty()).then_some(answer)
    };
    let topics: Vec<_> = topics_of(at, group).iter().filter_map(topic).collect();
    let group_id = group.group_id.clone();
    match whole.filter(|code| is_of_group(*code)) {
        Some(code) => {
            Some(OffsetFetchResponseGroup { group_id, topics: Vec::new(), error_code: code.code() })
        }
        None if topics.is_empty() => None,
        None => Some(OffsetFetchResponseGroup { group_id, topics, error_code: ErrorCode::None.code() }),
    }
}

fn of_topic(topic: &OffsetFetchRequestTopic, judge: Judge<'_>) -> Option<OffsetFetchResponseTopic> {
    let partition = |(partition_index, error_code)| OffsetFetchResponsePartition {
        partition_index,
        committed_offset: -1,
        error_code,
        ..Default::default()
    };
    let failed = failed(&topic.name, &topic.partition_indexes, judge);
    let partitions: Vec<_> = failed.into_iter().map(partition).collect();
    (!partitions.is_empty()).then(|| OffsetFetchResponseTopic { name: topic.name.clone(), partitions })
}

fn failed(name: &str, partitions: &[i32], judge: Judge<'_>) -> Vec<(i32, i16)> {
    let failed = |index: &i32| judge(Part::new(name, *index)).map(|code| (*index, code.code()));
    partitions.iter().filter_map(failed).collect()
}

fn tell_group(told: &mut OffsetFetchResponseGroup, refused: OffsetFetchResponseGroup) {
    if refused.error_code != ErrorCode::None.code() {
        return replace(told, refused);
    }
    put_partitions(
        &mut told.topics,
        refused.topics,
        |it| (it.name.clone(), it.topic_id),
        |it| &mut it.partitions,
        |it| it.partition_index,
    );
}

/// Whether Kafka tells an error of a group rather than of its partitions.
fn is_of_group(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::TopicAuthorizationFailed
            | ErrorCode::UnstableOffsetCommit
    )
}

/// The topics of a group, or all that it has committed, where that is asked for.
fn topics_of<'a>(at: At<'_>, group: &'a OffsetFetchRequestGroup) -> Cow<'a, [OffsetFetchRequestTopics]> {
    let topic = |(name, partition_indexes): (String, _)| {
        let topic_id = at.node.log.topic(&name).map_or(Uuid::ZERO, |topic| topic.id);
        OffsetFetchRequestTopics { name, topic_id, partition_indexes }
    };
    let all = || committed(at, &group.group_id).into_iter().map(topic).collect();
    group.topics.as_deref().map_or_else(all, Cow::Borrowed)
}

/// What a group has committed: topics in order of name, with their partitions.
fn committed(at: At<'_>, group_id: &str) -> Vec<(String, Vec<i32>)> {
    let mut topics: Vec<(String, Vec<i32>)> = Vec::new();
    for (TopicPartition { topic, partition, .. }, _) in at.node.log.all_committed(group_id) {
        match topics.last_mut().filter(|(name, _)| **name == *topic) {
            Some((_, partitions)) => partitions.push(partition),
            None => topics.push((topic.to_string(), vec![partition])),
        }
    }
    topics
}
