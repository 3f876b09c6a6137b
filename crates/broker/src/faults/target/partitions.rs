//! Requests that name partitions of topics, each of which is answered.

use vltava_wire::messages::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult, ProduceRequest,
    ProduceResponse,
    offsets::EpochEndOffset,
    produce::{PartitionProduceResponse, TopicProduceResponse},
};

use super::{At, Judge, Refused, Target, put_partitions, take};

/// Implements [`Target`] for a table of requests: their topics and partitions, those of their responses, by what a
/// topic goes, and what is said of a partition that failed.
macro_rules! partitioned {
    ($(
        $request:ident { $topics:ident, $partitions:ident, $index:ident }
        => $response:ident { $told:ident: $topic:ident, $told_of:ident: $partition:ident, $told_index:ident },
        by { $name:ident $(, $id:ident)? },
        failed $failed:tt
        $(, answered $answered:expr)?;
    )*) => {$(
        impl Target for $request {
            fn refuse(&mut self, at: At<'_>, judge: Judge<'_>) -> Option<Refused<$response>> {
                let (answers, is_all) = take(
                    &mut self.$topics,
                    |it| at.name(&it.$name, partitioned!(@id it $($id)?)),
                    |it| &mut it.$partitions,
                    |it| it.$index,
                    judge,
                    |topic, failed| $topic {
                        $name: topic.$name.clone(),
                        $($id: topic.$id,)?
                        $told_of: failed
                            .into_iter()
                            .map(|($told_index, error_code)| {
                                partitioned!(@failed $partition $told_index error_code $failed)
                            })
                            .collect(),
                    },
                )?;
                Some(Refused { response: $response { $told: answers, ..Default::default() }, is_all })
            }

            fn tell(response: &mut $response, refused: $response) {
                put_partitions(
                    &mut response.$told,
                    refused.$told,
                    |it| (it.$name.clone(), partitioned!(@id it $($id)?)),
                    |it| &mut it.$told_of,
                    |it| it.$told_index,
                );
            }

            fn throttle_time_ms(response: &mut $response) -> &mut i32 {
                &mut response.throttle_time_ms
            }

            $(fn is_answered(&self) -> bool {
                ($answered)(self)
            })?
        }
    )*};
    (@id $topic:ident) => { vltava_wire::Uuid::ZERO };
    (@id $topic:ident $id:ident) => { $topic.$id };
    (@failed $partition:ident $index:ident $code:ident { $($field:ident: $value:expr),* }) => {
        $partition { $index, error_code: $code, $($field: $value,)* }
    };
    (@failed $partition:ident $index:ident $code:ident { $($field:ident: $value:expr),*; default }) => {
        $partition { $index, error_code: $code, $($field: $value,)* ..Default::default() }
    };
}

partitioned! {
    ProduceRequest { topic_data, partition_data, index }
        => ProduceResponse {
            responses: TopicProduceResponse, partition_responses: PartitionProduceResponse, index
        },
        by { name, topic_id }, failed { base_offset: -1; default }, answered |it: &Self| it.acks != 0;
    ListOffsetsRequest { topics, partitions, partition_index }
        => ListOffsetsResponse {
            topics: ListOffsetsTopicResponse, partitions: ListOffsetsPartitionResponse, partition_index
        },
        by { name }, failed {; default};
    OffsetCommitRequest { topics, partitions, partition_index }
        => OffsetCommitResponse {
            topics: OffsetCommitResponseTopic, partitions: OffsetCommitResponsePartition, partition_index
        },
        by { name, topic_id }, failed {};
    OffsetDeleteRequest { topics, partitions, partition_index }
        => OffsetDeleteResponse {
            topics: OffsetDeleteResponseTopic, partitions: OffsetDeleteResponsePartition, partition_index
        },
        by { name }, failed {};
    OffsetForLeaderEpochRequest { topics, partitions, partition }
        => OffsetForLeaderEpochResponse {
            topics: OffsetForLeaderTopicResult, partitions: EpochEndOffset, partition
        },
        by { topic }, failed {; default};
    DeleteRecordsRequest { topics, partitions, partition_index }
        => DeleteRecordsResponse {
            topics: DeleteRecordsTopicResult, partitions: DeleteRecordsPartitionResult, partition_index
        },
        by { name }, failed { low_watermark: -1 };
}
