//! A client that is nothing but frames.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use vltava_broker::Broker;
use vltava_wire::{Request, frame};

/// What decoding a response may allocate.
const BUDGET: usize = 16 << 20;

/// One connection to a broker.
pub(crate) struct Caller {
    pub(crate) pipe: DuplexStream,
    correlation_id: i32,
}

impl Caller {
    pub(crate) fn of(broker: &Broker) -> Self {
        Self { pipe: broker.connect(), correlation_id: 0 }
    }

    /// Sends a request and waits for its response.
    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        let id = self.send(version, &request).await;
        self.receive::<R>(version, id).await
    }

    /// Sends a request without waiting; says its correlation id.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation_id += 1;
        let frame = frame::request(version, self.correlation_id, Some("tester"), request).expect("encodes");
        self.pipe.write_all(&frame.into_bytes()).await.expect("the broker reads");
        self.correlation_id
    }

    /// The next response, which must be the one to this request.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16, id: i32) -> R::Response {
        let frame = self.frame().await;
        assert_eq!(frame::correlation_id(&frame), Some(id), "responses come in the order of the requests");
        frame::response_body::<R>(frame, version, BUDGET).expect("the response decodes")
    }

    /// The next response as it is, without its length.
    pub(crate) async fn frame(&mut self) -> Bytes {
        let length = self.pipe.read_u32().await.expect("a response comes");
        let mut frame = vec![0; length as usize];
        self.pipe.read_exact(&mut frame).await.expect("the response is whole");
        frame.into()
    }

    /// Waits until the broker closes the connection, and asserts that it said nothing before.
    pub(crate) async fn closed(mut self) {
        let mut rest = Vec::new();
        // A pipe whose other end was dropped reads as ended.
        self.pipe.read_to_end(&mut rest).await.expect("a pipe can be read to its end");
        assert!(rest.is_empty(), "the broker said {rest:?} before it closed the connection");
    }
}
