//! Opening a connection: the stream, then the first exchange, in which both ends agree on versions.

use std::{io, sync::Arc};

use vltava_core::session::{Handshake, HandshakeError, Versions};
use vltava_wire::{Api, frame};

use super::{
    Stream, Unresolved,
    frames::{Reader, Writer},
};
use crate::{
    context::Context,
    error::{Broker, Error, ErrorKind, Result},
};

/// A connection that is ready for requests.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Stream>,
    /// Has what came behind the last answer, if anything.
    pub(super) reader: Reader,
    pub(super) versions: Versions,
}

/// Opens a connection. The caller bounds how long that may take.
pub(super) async fn open(context: &Arc<Context>, broker: &Broker) -> Result<Opened> {
    let dialled = context.dial.dial(&broker.address).await;
    let mut stream = dialled.map_err(|error| not_connected(error, broker))?;
    let mut reader = Reader::new(context.memory.clone());
    let versions = greet(context, &mut stream, &mut reader).await?;
    Ok(Opened { stream, reader, versions })
}

async fn greet(context: &Context, stream: &mut Box<dyn Stream>, reader: &mut Reader) -> Result<Versions> {
    let mut handshake = Handshake::new("vltava", env!("CARGO_PKG_VERSION"));
    while let Some((version, request)) = handshake.poll() {
        let client_id = context.connection.client_id.as_str();
        let encoder = frame::request(version, 0, Some(client_id), &request)
            .expect("an introduction can be written in every version");
        let mut writer = Writer::default();
        writer.push(encoder.into_segments());
        while !writer.is_idle() {
            writer.write(stream).await.map_err(hung_up)?;
        }
        let bytes_max = Api::ApiVersions.response_bytes_max();
        let frame = reader.next(stream, bytes_max).await.map_err(hung_up)?;
        let frame = frame.ok_or_else(|| hung_up(io::ErrorKind::UnexpectedEof.into()))?;
        match handshake.on_answer(frame.bytes) {
            Ok(Some(versions)) => return Ok(versions),
            Ok(None) => (),
            Err(error) => return Err(refused(error)),
        }
    }
    unreachable!("a handshake ends with versions or with an error")
}

fn not_connected(error: io::Error, broker: &Broker) -> Error {
    let unresolved = error.get_ref().is_some_and(|inner| inner.is::<Unresolved>());
    let kind = if unresolved { ErrorKind::Dns } else { ErrorKind::Tcp };
    let fix = match broker.node {
        Some(node) => {
            format!(
                "set advertised.listeners on broker {node} to an address that clients can reach from here"
            )
        }
        None => "check the address, and that the broker is running".to_owned(),
    };
    Error::new(kind).what(error.to_string()).fix(fix).because(error)
}

fn hung_up(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::InvalidData => ErrorKind::Malformed,
        _ => ErrorKind::Disconnected,
    };
    Error::new(kind)
        .what(format!("the connection broke at the first exchange: {error}"))
        .fix("check that a Kafka broker listens there, and that this port wants neither TLS nor SASL")
        .because(error)
}

fn refused(error: HandshakeError) -> Error {
    let kind = match error {
        HandshakeError::Unreadable(_) => ErrorKind::Malformed,
        HandshakeError::Refused(code) => ErrorKind::Refused(code),
        HandshakeError::NoVersion => ErrorKind::Unsupported,
    };
    Error::new(kind).what(error.to_string()).because(error)
}
