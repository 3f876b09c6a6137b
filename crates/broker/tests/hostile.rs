//! Bytes that nobody should send, on very many connections: they cost no memory, and others are served.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vltava_broker::Broker;
use vltava_core::Rng;
use vltava_wire::{Api, frame, messages::ApiVersionsRequest};

const CONNECTIONS: usize = 100_000;

/// Connections that are open at the same time.
const AT_ONCE: usize = 100;

/// How much the process may grow.
const GROWTH_MAX: usize = 16 << 20;

#[tokio::test]
async fn a_hundred_thousand_hostile_connections_cost_less_than_16_mib() {
    let broker = Broker::in_memory().seed(1).start().await.unwrap();
    let seed = 7;
    let mut rng = Rng::new(seed);
    // The first ones warm up what is allocated once.
    for _ in 0..10 {
        hostile_round(&broker, &mut rng).await;
    }
    let before = resident_bytes();
    for _ in 0..CONNECTIONS / AT_ONCE {
        hostile_round(&broker, &mut rng).await;
    }
    let growth = resident_bytes().saturating_sub(before);
    assert!(growth < GROWTH_MAX, "seed {seed}: grew by {growth} bytes");
    assert_eq!(api_versions(&broker).await, Some(0), "others are served");
}

async fn hostile_round(broker: &Broker, rng: &mut Rng) {
    let mut open = Vec::new();
    for _ in 0..AT_ONCE {
        let mut pipe = broker.connect();
        // The broker may close before all is written.
        let _ = pipe.write_all(&hostile_bytes(rng)).await;
        open.push(pipe);
    }
    for mut pipe in open {
        let _ = pipe.shutdown().await;
        let mut answers = Vec::new();
        let _ = pipe.take(1 << 20).read_to_end(&mut answers).await;
    }
}

fn hostile_bytes(rng: &mut Rng) -> Vec<u8> {
    let random: Vec<u8> = (0..rng.below(300)).map(|_| rng.bits() as u8).collect();
    let api = Api::ALL[rng.below(Api::ALL.len() as u64) as usize];
    let version = rng.below(*api.versions().end() as u64 + 1) as i16;
    let mut header = Vec::new();
    header.extend(api.key().to_be_bytes());
    header.extend(version.to_be_bytes());
    header.extend([0, 0, 0, 1, 0xff, 0xff]);
    let framed = |declared: usize, parts: &[&[u8]]| {
        let mut frame = (declared as u32).to_be_bytes().to_vec();
        parts.iter().for_each(|part| frame.extend(*part));
        frame
    };
    match rng.below(4) {
        0 => random,
        // A header that is right, and a body that is not.
        1 => framed(header.len() + random.len(), &[&header, &random]),
        // A length of which little arrives.
        2 => framed(rng.below(100 << 20) as usize, &[&header, &random]),
        // Counts and lengths that lie as much as they can.
        _ => {
            let lies = [0x7f; 64];
            framed(header.len() + lies.len(), &[&header, &lies])
        }
    }
}

async fn api_versions(broker: &Broker) -> Option<i16> {
    let mut pipe = broker.connect();
    let request = frame::request(0, 1, None, &ApiVersionsRequest::default()).ok()?;
    pipe.write_all(&request.into_bytes()).await.ok()?;
    let length = pipe.read_u32().await.ok()?;
    let mut response = vec![0; length as usize];
    pipe.read_exact(&mut response).await.ok()?;
    let body = frame::response_body::<ApiVersionsRequest>(response.into(), 0, 1 << 20).ok()?;
    Some(body.error_code)
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux says how large a process is");
    let resident: usize =
        pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second number");
    resident * 4096
}
