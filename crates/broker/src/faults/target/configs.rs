//! Requests about the configs of topics, brokers and whatever else has some; each resource is answered.

use vltava_wire::messages::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse, DescribeConfigsRequest,
    DescribeConfigsResponse, DescribeConfigsResult, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use super::{At, Judge, Part, Refused, Target, put, replace};

/// The type of a resource that is a topic.
const TOPIC: i8 = 2;

fn part(resource_type: i8, resource_name: &str) -> Part {
    Part::new(if resource_type == TOPIC { resource_name } else { "" }, None)
}

macro_rules! with_configs {
    ($($request:ident => $response:ident { $told:ident: $result:ident };)*) => {$(
        impl Target for $request {
            fn refuse(&mut self, _: At<'_>, judge: Judge<'_>) -> Option<Refused<$response>> {
                let mut $told = Vec::new();
                self.resources.retain(|asked| {
                    let code = judge(part(asked.resource_type, &asked.resource_name));
                    $told.extend(code.map(|code| $result {
                        error_code: code.code(),
                        resource_type: asked.resource_type,
                        resource_name: asked.resource_name.clone(),
                        ..Default::default()
                    }));
                    code.is_none()
                });
                let response = $response { $told, ..Default::default() };
                let is_all = self.resources.is_empty();
                (!response.$told.is_empty()).then_some(Refused { response, is_all })
            }

            fn tell(response: &mut $response, refused: $response) {
                let key = |it: &$result| (it.resource_type, it.resource_name.clone());
                put(&mut response.$told, refused.$told, key, replace);
            }

            fn throttle_time_ms(response: &mut $response) -> &mut i32 {
                &mut response.throttle_time_ms
            }
        }
    )*};
}

with_configs! {
    DescribeConfigsRequest => DescribeConfigsResponse { results: DescribeConfigsResult };
    AlterConfigsRequest => AlterConfigsResponse { responses: AlterConfigsResourceResponse };
    IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse { responses: AlterConfigsResourceResponse };
}
