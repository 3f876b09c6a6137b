//! A broker for tests that says what it is told to say: it agrees on versions by itself, everything else is in a
//! script.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use vltava_core::session::greeting;
use vltava_wire::{
    Api, Decoder, Request, Wire,
    frame::{self, RequestHeader},
    messages::{
        ApiVersionsRequest, ProduceRequest, ProduceResponse,
        produce::{PartitionProduceResponse, TopicProduceResponse},
    },
    record::{Batch, Limits},
};

use crate::{
    SystemClock, config,
    context::Context,
    net::{Address, BoxFuture, Dial, Stream},
};

/// What the peer does about a request.
pub(crate) enum Reply {
    /// Answers with this frame, its length included.
    Frame(Bytes),
    /// Answers with this frame after so long.
    Late(Bytes, Duration),
    /// Answers with this frame, a byte after each such time.
    Drip(Bytes, Duration),
    /// Answers with this frame and closes the connection.
    Last(Bytes),
    /// Says nothing.
    Silence,
    /// Closes the connection.
    Cut,
}

/// A request as the peer got it.
pub(crate) struct Asked {
    /// Where it was dialled.
    pub(crate) address: Address,
    pub(crate) header: RequestHeader,
    body: Decoder,
}

impl Asked {
    pub(crate) fn api(&self) -> Api {
        Api::from_key(self.header.api_key).expect("the client speaks what this crate speaks")
    }

    /// The request itself.
    pub(crate) fn read<R: Request>(&mut self) -> R {
        R::decode(&mut self.body).expect("the client sends what can be read")
    }

    /// An answer to it.
    pub(crate) fn answer<T: Wire>(&self, body: &T) -> Reply {
        let encoder = frame::response(self.api(), self.header.api_version, self.header.correlation_id, body);
        Reply::Frame(encoder.expect("the answer can be written").into_bytes())
    }
}

/// That all of a request is written, and its records: topic, partition and value of each.
pub(crate) fn written(request: ProduceRequest) -> (ProduceResponse, Vec<(String, i32, String)>) {
    let (mut responses, mut got) = (Vec::new(), Vec::new());
    for topic in request.topic_data {
        let mut partition_responses = Vec::new();
        for it in topic.partition_data {
            let batch = Batch::parse(it.records.expect("a batch")).expect("it is sound");
            batch.check_produced().expect("it is what was summed up");
            for record in &batch.decompress(Limits::default()).expect("it is sound") {
                let value = String::from_utf8(record.value().expect("it has one").to_vec());
                got.push((topic.name.clone(), it.index, value.expect("it is text")));
            }
            partition_responses.push(PartitionProduceResponse { index: it.index, ..Default::default() });
        }
        let answered = TopicProduceResponse { name: topic.name, partition_responses, ..Default::default() };
        responses.push(answered);
    }
    (ProduceResponse { responses, ..Default::default() }, got)
}

type Script = Box<dyn FnMut(Asked) -> Reply + Send>;

/// What a pipe to a peer takes before somebody reads.
const PIPE_BYTES: usize = 1 << 16;

/// Every connection to it is served by the same script, whatever the address.
#[derive(Clone)]
pub(crate) struct Peer {
    script: Arc<Mutex<Script>>,
    pipe_bytes: usize,
}

impl Peer {
    pub(crate) fn new(script: impl FnMut(Asked) -> Reply + Send + 'static) -> Self {
        Self { script: Arc::new(Mutex::new(Box::new(script))), pipe_bytes: PIPE_BYTES }
    }

    /// The same one at the end of pipes that take so much at a time.
    pub(crate) fn behind(self, pipe_bytes: usize) -> Self {
        Self { pipe_bytes, ..self }
    }

    /// What a client that dials this peer is made of.
    pub(crate) fn context(&self, connection: config::Connection) -> Arc<Context> {
        Context::new(Arc::new(SystemClock::new()), Arc::new(self.clone()), connection, 7)
    }

    fn reply(&self, address: Address, frame: Bytes) -> Reply {
        let mut body = Decoder::new(frame, Api::ApiVersions.version(0), 1 << 20);
        let header = frame::request_header(&mut body).expect("the client sends headers");
        let mut asked = Asked { address, header, body };
        if asked.api() == Api::ApiVersions {
            let version = asked.header.api_version;
            let answer = greeting::answer(Api::ALL, version, &asked.read::<ApiVersionsRequest>());
            return asked.answer(&answer);
        }
        (self.script.lock().expect("no script panics"))(asked)
    }

    async fn serve(self, address: Address, mut stream: DuplexStream) -> io::Result<()> {
        loop {
            let mut frame = BytesMut::zeroed(stream.read_u32().await? as usize);
            stream.read_exact(&mut frame).await?;
            match self.reply(address.clone(), frame.freeze()) {
                Reply::Frame(frame) => stream.write_all(&frame).await?,
                Reply::Late(frame, wait) => {
                    tokio::time::sleep(wait).await;
                    stream.write_all(&frame).await?;
                }
                Reply::Drip(frame, wait) => {
                    for byte in frame {
                        tokio::time::sleep(wait).await;
                        stream.write_u8(byte).await?;
                    }
                }
                Reply::Last(frame) => return stream.write_all(&frame).await,
                Reply::Silence => (),
                Reply::Cut => return Ok(()),
            }
        }
    }
}

impl Dial for Peer {
    fn dial(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let (near, far) = tokio::io::duplex(self.pipe_bytes);
        tokio::spawn(self.clone().serve(address.clone(), far));
        Box::pin(async move { Ok(Box::new(near) as _) })
    }
}
