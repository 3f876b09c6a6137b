//! Fetch: its session may name the partitions, and has to hear of errors. So they are told by its own file, which is
//! given them; here is only what they may be told of.

use vltava_wire::messages::{FetchRequest, FetchResponse};

use super::{At, Judge, Part, Refused, Target};

impl Target for FetchRequest {
    fn refuse(&mut self, at: At<'_>, judge: Judge<'_>) -> Option<Refused<FetchResponse>> {
        for topic in at.fetched(self) {
            let name = at.name(&topic.topic, topic.topic_id);
            for asked in topic.partitions {
                judge(Part::new(name.clone(), asked.partition));
            }
        }
        None
    }

    /// There is nothing to put: nothing is refused here.
    fn tell(_: &mut FetchResponse, _: FetchResponse) {}

    fn throttle_time_ms(response: &mut FetchResponse) -> &mut i32 {
        &mut response.throttle_time_ms
    }
}
