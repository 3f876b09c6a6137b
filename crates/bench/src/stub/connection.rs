//! A connection: frames come in, are answered in their order, and the answers go out in one write each.

use std::{
    io::{self, IoSlice, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use vltava_wire::{Api, Decoder, Encoder, Wire, frame, messages::*};

use super::{Shared, answers, group};

/// No client sends more at once.
const FRAME_BYTES_MAX: usize = 200 << 20;

/// What a request may allocate.
const BUDGET: usize = 64 << 20;

pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        let shared = shared.clone();
        thread::spawn(move || {
            // A client that hangs up, or says what is not served, ends its connection and no more.
            if let Err(error) = serve(stream, &shared)
                && !hung_up(&error)
            {
                eprintln!("stub: {error}");
            }
        });
    }
}

fn hung_up(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

fn serve(mut stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::new();
    if shared.rtt.is_zero() {
        loop {
            let frame = read(&mut stream, &mut buffer)?;
            answer(&mut stream, frame, shared)?;
        }
    }
    let (hand, taken) = mpsc::channel::<(Instant, Bytes)>();
    let (mut writer, own) = (stream.try_clone()?, shared.clone());
    let answering = thread::spawn(move || {
        taken.into_iter().try_for_each(|(due, frame)| {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            answer(&mut writer, frame, &own)
        })
    });
    loop {
        let frame = read(&mut stream, &mut buffer)?;
        if hand.send((Instant::now() + shared.rtt, frame)).is_err() {
            return answering.join().unwrap_or(Ok(()));
        }
    }
}

fn read(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Bytes> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    buffer.resize(length, 0);
    stream.read_exact(buffer)?;
    Ok(buffer.split().freeze())
}

fn answer(stream: &mut TcpStream, frame: Bytes, shared: &Shared) -> io::Result<()> {
    let Some(answer) = answered(frame, shared).map_err(io::Error::other)? else { return Ok(()) };
    let segments = answer.into_segments();
    let mut slices: Vec<_> = segments.iter().map(|it| IoSlice::new(it)).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        let written = stream.write_vectored(rest)?;
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

/// The answer to a request, if it wants one.
fn answered(frame: Bytes, shared: &Shared) -> Result<Option<Encoder>, String> {
    let mut body = Decoder::new(frame, Api::ApiVersions.version(0), BUDGET);
    let header = frame::request_header(&mut body).map_err(|error| error.to_string())?;
    let asked = Asked { version: header.api_version, id: header.correlation_id };
    let api = Api::from_key(header.api_key).ok_or_else(|| format!("API {} is not served", header.api_key))?;
    if api == Api::Produce {
        let request = ProduceRequest::decode(&mut body).map_err(|error| error.to_string())?;
        let wanted = request.acks != 0;
        let answer = answers::produce(request, shared);
        return wanted.then(|| asked.answer::<ProduceRequest>(&answer)).transpose();
    }
    let served = match api {
        Api::ApiVersions => answers::versions(asked, &mut body),
        Api::Metadata => asked.by(&mut body, |it| answers::metadata(&it, shared)),
        Api::ListOffsets => asked.by(&mut body, |it| answers::list_offsets(it, shared)),
        Api::OffsetForLeaderEpoch => asked.by(&mut body, |it| answers::epochs(it, shared)),
        Api::InitProducerId => asked.by(&mut body, |_: InitProducerIdRequest| answers::producer()),
        Api::Fetch => asked.by(&mut body, |it| fetched(it, shared)),
        Api::FindCoordinator => asked.by(&mut body, |it| group::found(it, shared)),
        Api::JoinGroup => asked.by(&mut body, group::joined),
        Api::SyncGroup => asked.by(&mut body, group::synced),
        Api::Heartbeat => asked.by(&mut body, |_: HeartbeatRequest| HeartbeatResponse::default()),
        Api::LeaveGroup => asked.by(&mut body, group::left),
        Api::OffsetFetch => asked.by(&mut body, group::offsets),
        Api::OffsetCommit => asked.by(&mut body, group::committed),
        api => Err(format!("{api:?} is not served")),
    };
    served.map(Some)
}

/// Records, or what a broker says that has none: not at once.
fn fetched(request: FetchRequest, shared: &Shared) -> FetchResponse {
    const WAIT_MAX: Duration = Duration::from_millis(100);
    let wait = Duration::from_millis(request.max_wait_ms.max(0) as u64).min(WAIT_MAX);
    let (answer, any) = answers::fetch(request, shared);
    if !any {
        thread::sleep(wait);
    }
    answer
}

/// Which question an answer is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    version: i16,
    id: i32,
}

impl Asked {
    pub(super) fn version(self) -> i16 {
        self.version
    }

    fn by<R: vltava_wire::Request>(
        self,
        body: &mut Decoder,
        serve: impl FnOnce(R) -> R::Response,
    ) -> Result<Encoder, String> {
        let request = R::decode(body).map_err(|error| error.to_string())?;
        self.answer::<R>(&serve(request))
    }

    pub(super) fn answer<R: vltava_wire::Request>(self, answer: &R::Response) -> Result<Encoder, String> {
        self.answer_in::<R>(self.version, answer)
    }

    pub(super) fn answer_in<R: vltava_wire::Request>(
        self,
        version: i16,
        answer: &R::Response,
    ) -> Result<Encoder, String> {
        frame::response(R::API, version, self.id, answer).map_err(|error| error.to_string())
    }
}
