//! A hundred thousand connections that speak nonsense: each is closed, the broker's memory stays, others are served.
//!
//! A lane: `.ci/run hostile`.

mod process;

use std::{fs, net::SocketAddr};

use process::{Broker, vltava, vltava_reading};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};
use vltava_core::Rng;

const CONNECTIONS: u64 = 100_000;
const AT_ONCE: u64 = 100;

/// What the broker may have grown by when it is over.
const GROWTH_KIB_MAX: u64 = 16 << 10;

#[test]
#[ignore = "a lane: .ci/run hostile"]
fn nonsense_costs_the_broker_no_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let broker = Broker::start(folder);
    let (id, address) = (broker.process.id(), &broker.address);
    vltava(folder, &["topic", "create", "calm", "--partitions", "1", "-b", address]).ok();
    let target = address.parse().expect("an address");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // What the broker needs for this many connections at all is not what nonsense costs.
    runtime.block_on(assault(target, 0..AT_ONCE));
    let before = resident_kib(id);
    for tenth in 0..10 {
        let part = CONNECTIONS / 10;
        runtime.block_on(assault(target, tenth * part..(tenth + 1) * part));
        vltava_reading(folder, &["produce", "calm", "-b", address], b"still served\n").ok();
    }
    let grown = resident_kib(id).saturating_sub(before);
    let consumed = vltava(folder, &["consume", "calm", "-o", "beginning", "-e", "-b", address]).ok();
    assert_eq!(consumed.lines().count(), 10, "others were served all along");
    println!("{CONNECTIONS} connections of nonsense: resident memory {before} KiB, grown by {grown} KiB");
    assert!(grown < GROWTH_KIB_MAX, "resident memory grew by {grown} KiB");
}

/// Opens a connection for each seed, some at once, and sees every one of them closed by the broker.
async fn assault(target: SocketAddr, seeds: std::ops::Range<u64>) {
    let mut under_way = JoinSet::new();
    for seed in seeds {
        if under_way.len() as u64 == AT_ONCE {
            under_way.join_next().await.expect("some are under way").expect("no task panics");
        }
        under_way.spawn(speak_nonsense(target, seed));
    }
    while let Some(done) = under_way.join_next().await {
        done.expect("no task panics");
    }
}

async fn speak_nonsense(target: SocketAddr, seed: u64) {
    let mut connection = connect(target, seed).await;
    // The broker may hang up before it has heard everything.
    let _ = connection.write_all(&nonsense(&mut Rng::new(seed))).await;
    let _ = connection.shutdown().await;
    let mut rest = [0; 1024];
    while let Ok(1..) = connection.read(&mut rest).await {}
}

/// From a loopback address that changes with the seed: one address would run out of ports.
async fn connect(target: SocketAddr, seed: u64) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let source = SocketAddr::from(([127, 0, 0, 2 + (seed % 200) as u8], 0));
    socket.bind(source).expect("every loopback address is ours");
    socket.connect(target).await.expect("the broker accepts")
}

fn nonsense(rng: &mut Rng) -> Vec<u8> {
    let random =
        |rng: &mut Rng, most: u64| (0..rng.below(most)).map(|_| rng.bits() as u8).collect::<Vec<_>>();
    match rng.below(5) {
        // Anything.
        0 => random(rng, 4096),
        // A length that promises more than ever comes.
        1 => [&(rng.bits() as u32 | 1 << 24).to_be_bytes()[..], &random(rng, 256)].concat(),
        // A frame of the right length with anything inside.
        2 => {
            let body = random(rng, 1024);
            [&(body.len() as u32).to_be_bytes()[..], &body].concat()
        }
        // A known API, a header that is right, a body that lies about its counts.
        3 => {
            let mut frame = vec![0, rng.below(30) as u8, 0, rng.below(13) as u8, 0, 0, 0, 1, 0xff, 0xff];
            frame.extend([0x7f, 0xff, 0xff, 0xff].repeat(1 + rng.below(50) as usize));
            [&(frame.len() as u32).to_be_bytes()[..], &frame].concat()
        }
        // A whole request, cut off.
        _ => {
            let whole = [
                0, 0, 0, 20, 0, 18, 0, 0, 0, 0, 0, 1, 0, 10, b'n', b'o', b'n', b's', b'e', b'n', b's', b'e',
                b'!', b'!',
            ];
            whole[..rng.below(whole.len() as u64) as usize].to_vec()
        }
    }
}

fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the broker runs");
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).expect("a process has resident memory");
    line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("VmRSS is a number of KiB")
}
