//! Metadata: errors of topics, or of partitions, which then have no leader. From version 13 on one error is of the
//! whole: that a client is to bootstrap again.

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponsePartition,
        MetadataResponseTopic,
    },
};

use super::{At, Judge, Part, Refused, Target};

/// From this version on a response as a whole may fail.
const ERROR_SINCE: i16 = 13;

/// Before this version an empty list of topics means all of them.
const EMPTY_IS_NONE_SINCE: i16 = 1;

/// A topic that is refused is not created by the way. Brokers are told in any case, so the rest is never all.
impl Target for MetadataRequest {
    fn refuse(&mut self, at: At<'_>, judge: Judge<'_>) -> Option<Refused<MetadataResponse>> {
        let all = is_of_all(self, at).then(|| all_topics(at));
        let topics = all.as_deref().or(self.topics.as_deref()).unwrap_or_default();
        let mut response = MetadataResponse::default();
        if at.version >= ERROR_SINCE {
            let is_of_whole = |code: &ErrorCode| topics.is_empty() || *code == ErrorCode::RebootstrapRequired;
            response.error_code = judge(Part::whole()).filter(is_of_whole).unwrap_or_default().code();
        }
        let mut creates = self.allow_auto_topic_creation;
        for asked in topics {
            let name = at.name(asked.name.as_deref().unwrap_or_default(), asked.topic_id);
            let topic = of_topic(at, asked, &name, judge);
            creates &= topic.as_ref().is_none_or(|_| at.node.log.topic(&name).is_some());
            response.topics.extend(topic);
        }
        if response == MetadataResponse::default() {
            return None;
        }
        self.allow_auto_topic_creation = creates;
        Some(Refused { response, is_all: false })
    }

    fn tell(response: &mut MetadataResponse, refused: MetadataResponse) {
        if refused.error_code != ErrorCode::None.code() {
            let MetadataResponse { throttle_time_ms, .. } = *response;
            *response = MetadataResponse { throttle_time_ms, topics: Vec::new(), ..refused };
            return;
        }
        for answer in refused.topics {
            let same = |it: &&mut MetadataResponseTopic| match answer.topic_id {
                Uuid::ZERO => it.name == answer.name,
                id => it.topic_id == id,
            };
            match response.topics.iter_mut().find(same) {
                Some(told) => tell_topic(told, answer),
                None => response.topics.push(answer),
            }
        }
    }

    fn throttle_time_ms(response: &mut MetadataResponse) -> &mut i32 {
        &mut response.throttle_time_ms
    }
}

/// An error of a topic, or of some of its partitions.
fn of_topic(
    at: At<'_>,
    asked: &MetadataRequestTopic,
    name: &str,
    judge: Judge<'_>,
) -> Option<MetadataResponseTopic> {
    let code = judge(Part::new(name, None));
    let partition = |index| {
        let code = judge(Part::new(name, index))?;
        Some(MetadataResponsePartition {
            error_code: code.code(),
            partition_index: index,
            ..Default::default()
        })
    };
    let partitions: Vec<_> = (0..at.partitions(name)).filter_map(partition).collect();
    let topic =
        MetadataResponseTopic { name: asked.name.clone(), topic_id: asked.topic_id, ..Default::default() };
    match code {
        Some(code) => Some(MetadataResponseTopic { error_code: code.code(), ..topic }),
        None if partitions.is_empty() => None,
        None => Some(MetadataResponseTopic { partitions, ..topic }),
    }
}

fn tell_topic(told: &mut MetadataResponseTopic, refused: MetadataResponseTopic) {
    if refused.error_code != ErrorCode::None.code() {
        told.error_code = refused.error_code;
        told.partitions.clear();
        return;
    }
    for failed in refused.partitions {
        let same = |it: &&mut MetadataResponsePartition| it.partition_index == failed.partition_index;
        if let Some(partition) = told.partitions.iter_mut().find(same) {
            partition.error_code = failed.error_code;
            // Where only another replica is missing the leader is still known.
            if ErrorCode::from(failed.error_code) != ErrorCode::ReplicaNotAvailable {
                partition.leader_id = -1;
            }
        }
    }
}

fn is_of_all(request: &MetadataRequest, at: At<'_>) -> bool {
    match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && at.version < EMPTY_IS_NONE_SINCE,
    }
}

/// All topics, as if they were asked for by name.
fn all_topics(at: At<'_>) -> Vec<MetadataRequestTopic> {
    let topic = |name: &str| MetadataRequestTopic { name: Some(name.to_owned()), topic_id: Uuid::ZERO };
    at.node.log.topics().iter().map(|it| topic(&it.name)).collect()
}
