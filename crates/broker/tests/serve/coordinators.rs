//! Several node ids: who coordinates a group, who is refused, and who takes over.

use vltava_broker::Broker;
use vltava_wire::{
    Api, ErrorCode,
    messages::{
        DescribeGroupsRequest, FindCoordinatorRequest, LeaveGroupRequest, ListGroupsRequest,
        OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic,
    },
};

use crate::{
    caller::{Caller, text},
    commits::commit,
    groups::{beat, join, join_first, sync},
};

/// The node of the group `audit`, of three.
const HOME: i32 = 2;

async fn three() -> Broker {
    Broker::in_memory().nodes(3).topic("orders", 1).start().await.unwrap()
}

fn at(broker: &Broker, node: i32) -> Caller {
    let connector = broker.node(node).expect("there is such a node").connector();
    Caller::over(connector.connect().expect("the node runs"))
}

/// Who is told to coordinate `audit`, and at which port.
async fn coordinator(caller: &mut Caller, version: i16) -> (i32, i32) {
    let mut request = FindCoordinatorRequest::default();
    if version < 4 {
        request.key = text("audit");
        let told = caller.call(version, request).await;
        return (told.node_id, told.port);
    }
    request.coordinator_keys = vec![text("audit")];
    let told = caller.call(version, request).await;
    (told.coordinators[0].node_id, told.coordinators[0].port)
}

/// How far `audit` has come, as each version tells it.
async fn committed(caller: &mut Caller, version: i16) -> Result<i64, ErrorCode> {
    let topic = OffsetFetchRequestTopic { name: text("orders"), partition_indexes: vec![0] };
    if version >= 8 {
        let group = OffsetFetchRequestGroup { group_id: text("audit"), topics: None, ..Default::default() };
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        let told = caller.call(version, request).await.groups.remove(0);
        return match told.error_code.into() {
            ErrorCode::None => Ok(told.topics[0].partitions[0].committed_offset),
            code => Err(code),
        };
    }
    let request =
        OffsetFetchRequest { group_id: text("audit"), topics: Some(vec![topic]), ..Default::default() };
    let told = caller.call(version, request).await;
    let partition = told.topics.first().map(|it| &it.partitions[0]);
    let code = if version < 2 { partition.map_or(0, |it| it.error_code) } else { told.error_code };
    match code.into() {
        ErrorCode::None => Ok(partition.expect("it is told").committed_offset),
        code => Err(code),
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_coordinated_by_one_node_whoever_is_asked() {
    let broker = three().await;
    for node in 1..=3 {
        let mut caller = at(&broker, node);
        for version in Api::FindCoordinator.versions() {
            assert_eq!(coordinator(&mut caller, version).await, (HOME, 9093), "node {node}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_nodes_refuse_what_only_the_coordinator_does() {
    let broker = three().await;
    let (mut home, mut other) = (at(&broker, HOME), at(&broker, 1));
    let joined = join_first(&mut home, 9).await;
    assert_eq!(home.call(5, sync(&joined, &[(&joined.member_id, "all")])).await.error_code, 0);
    let refused = |code: i16, what: &str| {
        assert_eq!(ErrorCode::from(code), ErrorCode::NotCoordinator, "{what}");
    };
    for version in Api::JoinGroup.versions() {
        refused(other.call(version, join("")).await.error_code, "join");
    }
    refused(other.call(5, sync(&joined, &[])).await.error_code, "sync");
    refused(other.call(4, beat(&joined)).await.error_code, "heartbeat");
    let leave = LeaveGroupRequest { group_id: text("audit"), ..Default::default() };
    refused(other.call(5, leave).await.error_code, "leave");
    refused(other.call(8, commit(0, 1, "")).await.topics[0].partitions[0].error_code, "commit");
    for version in Api::OffsetFetch.versions() {
        assert_eq!(committed(&mut other, version).await, Err(ErrorCode::NotCoordinator), "version {version}");
    }
    let describe = || DescribeGroupsRequest { groups: vec![text("audit")], ..Default::default() };
    refused(other.call(5, describe()).await.groups[0].error_code, "describe");
    assert_eq!(home.call(5, describe()).await.groups[0].members.len(), 1);
    let listed = other.call(4, ListGroupsRequest::default()).await.groups;
    assert_eq!(listed.len(), 0, "each lists its own");
    assert_eq!(home.call(4, ListGroupsRequest::default()).await.groups[0].group_id, "audit");
    // The member never noticed.
    assert_eq!(home.call(4, beat(&joined)).await.error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn when_its_node_stops_the_next_one_knows_the_group_at_once() {
    let broker = three().await;
    let mut home = at(&broker, HOME);
    let joined = join_first(&mut home, 9).await;
    home.call(5, sync(&joined, &[(&joined.member_id, "all")])).await;
    let mut done = commit(0, 7, "");
    done.generation_id_or_member_epoch = joined.generation_id;
    done.member_id = joined.member_id.clone();
    assert_eq!(home.call(8, done).await.topics[0].partitions[0].error_code, 0);
    broker.node(HOME).unwrap().stop().await.unwrap();
    home.closed().await;
    let mut next = at(&broker, 3);
    assert_eq!(coordinator(&mut at(&broker, 1), 4).await, (3, 9094));
    assert_eq!(next.call(4, beat(&joined)).await.error_code, 0);
    assert_eq!(committed(&mut next, 8).await, Ok(7));
    // It goes back to its node.
    broker.node(HOME).unwrap().start().await.unwrap();
    let told = next.call(4, beat(&joined)).await.error_code;
    assert_eq!(ErrorCode::from(told), ErrorCode::NotCoordinator);
    assert_eq!(coordinator(&mut next, 4).await, (HOME, 9093));
    assert_eq!(at(&broker, HOME).call(4, beat(&joined)).await.error_code, 0);
}
