//! What a connection costs that says nothing.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use vltava_broker::Broker;
use vltava_wire::{frame, messages::ApiVersionsRequest};

const CONNECTIONS: usize = 2_000;

/// Both ends of the pipe and the broker's task.
const BYTES_EACH_MAX: usize = 16 << 10;

#[tokio::test]
async fn two_thousand_idle_connections_cost_little() {
    let broker = Broker::in_memory().seed(1).start().await.unwrap();
    let warm = greeted(&broker).await;
    let before = resident_bytes();
    let mut idle = vec![warm];
    while idle.len() < CONNECTIONS {
        idle.push(greeted(&broker).await);
    }
    let each = resident_bytes().saturating_sub(before) / CONNECTIONS;
    println!("{each} bytes for each connection");
    assert!(each < BYTES_EACH_MAX, "{each} bytes for each connection");
}

/// A connection that has asked what is served, as every client does, and then nothing more.
async fn greeted(broker: &Broker) -> DuplexStream {
    let mut pipe = broker.connect();
    let request = frame::request(0, 1, None, &ApiVersionsRequest::default()).unwrap();
    pipe.write_all(&request.into_bytes()).await.unwrap();
    let length = pipe.read_u32().await.unwrap();
    pipe.read_exact(&mut vec![0; length as usize]).await.unwrap();
    pipe
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux says how large a process is");
    let resident: usize = pages.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("the second number");
    resident * 4096
}
