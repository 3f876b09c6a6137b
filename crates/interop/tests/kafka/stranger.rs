//! Kafka's own client, which asks for the newest version of everything, against our broker.

use vltava_broker::Broker;

use vltava_interop::stranger;

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_own_client_finds_our_broker_as_it_should_be() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let start = Broker::open(folder.path()).listen("127.0.0.1:0").start();
    let broker = start.await.expect("the broker starts");
    let address = broker.bootstrap();
    tokio::task::spawn_blocking(move || stranger(&address)).await.expect("it finds nothing amiss");
    broker.shutdown().await.expect("the broker stops cleanly");
}
