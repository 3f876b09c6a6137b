//! The seam to the network: from an address to a stream of bytes. TCP unless told otherwise; a test or a
//! simulation hands in pipes.

use std::{fmt, io, pin::Pin, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::Address;

/// A connection on which nothing happens for so long is probed by the operating system.
const PROBED_AFTER: Duration = Duration::from_secs(60);

/// And then again so often, until one probe is answered. When none of a few is (nine on Linux, ten elsewhere), the
/// connection is broken. Brokers that fall silent while an answer is due are noticed by its deadline, long before.
const PROBED_EVERY: Duration = Duration::from_secs(10);

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
                        set_up(&stream)?;
                        return Ok(Box::new(stream) as _);
                    }
                    Err(error) => failure = error,
                }
            }
            Err(failure)
        })
    }
}

/// Has requests leave at once, and a peer that is gone without a word noticed also while nothing is asked.
fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let probes = TcpKeepalive::new().with_time(PROBED_AFTER).with_interval(PROBED_EVERY);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_on_which_nothing_happens_is_probed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let address = listener.local_addr().expect("it is bound");
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        set_up(&stream).expect("a connected socket takes options");
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().expect("it can be asked") && stream.nodelay().expect("it can be asked"));
        assert_eq!(socket.tcp_keepalive_time().expect("it can be asked"), PROBED_AFTER);
        assert_eq!(socket.tcp_keepalive_interval().expect("it can be asked"), PROBED_EVERY);
    }
}
