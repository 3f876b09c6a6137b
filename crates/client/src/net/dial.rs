//! The seam to the network: from an address to a stream of bytes. TCP unless told otherwise; a test or a
//! simulation hands in pipes.

use std::{fmt, io, pin::Pin};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::Address;

/// A future in a box, as the seams return it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens streams to brokers.
pub trait Dial: Send + Sync + 'static {
    /// Opens one. The caller bounds how long it waits; a name that cannot be resolved is told by an error that
    /// holds [`Unresolved`].
    fn dial(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>>;
}

/// Plain TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

/// A host's name cannot be resolved.
#[derive(Debug)]
pub struct Unresolved(pub io::Error);

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name cannot be resolved: {}", self.0)
    }
}

impl std::error::Error for Unresolved {}

impl Dial for Tcp {
    /// Tries the addresses of a name one after another.
    fn dial(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let Address { host, port } = address.clone();
        Box::pin(async move {
            let resolved = tokio::net::lookup_host((host, port)).await;
            let addresses = resolved.map_err(|error| io::Error::other(Unresolved(error)))?;
            let mut failure = io::Error::other(Unresolved(io::ErrorKind::NotFound.into()));
            for address in addresses {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        stream.set_nodelay(true)?;
                        return Ok(Box::new(stream) as _);
                    }
                    Err(error) => failure = error,
                }
            }
            Err(failure)
        })
    }
}
