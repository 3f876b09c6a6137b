//! Addresses: how they are written, and listening on them.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;
use tracing::debug;

use crate::{Error, ErrorKind, Result, call::Advertised};

/// Listens on every address that `address` names, so many ports further on; a port that is free is as good for all.
pub(crate) async fn listen(address: &str, further: u16) -> Result<Vec<TcpListener>> {
    let Advertised { host, port } = parse_address(address)?;
    let port = if port == 0 { 0 } else { port_after(address, port, further)? };
    let refused = |error| refused(&format!("{host}:{port}"), error);
    if !host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![TcpListener::bind((host.as_str(), port)).await.map_err(refused)?]);
    }
    let first = TcpListener::bind(("127.0.0.1", port)).await.map_err(refused)?;
    let port = first.local_addr().map_err(refused)?.port();
    match TcpListener::bind(("::1", port)).await {
        Ok(second) => Ok(vec![first, second]),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(self::refused(&format!("[::1]:{port}"), error))
        }
        Err(error) => {
            debug!(%error, "this machine has no ::1");
            Ok(vec![first])
        }
    }
}

/// Listens where was listened before.
pub(crate) async fn listen_again(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|error| refused(&address.to_string(), error))?);
    }
    Ok(listeners)
}

fn refused(address: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Listen, format!("cannot listen on {address}")).because(error)
}

/// The port of the node that comes so many after the first.
pub(crate) fn port_after(address: &str, first: u16, further: u16) -> Result<u16> {
    first.checked_add(further).ok_or_else(|| {
        let message = format!("address {address:?} leaves node {} without a port", u32::from(further) + 1);
        Error::new(ErrorKind::Config, message)
    })
}

/// `host:port`, where an IPv6 address is in brackets.
pub(crate) fn parse_address(address: &str) -> Result<Advertised> {
    let wrong = || Error::new(ErrorKind::Config, format!("address {address:?} is not of the form host:port"));
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bare.unwrap_or(host) {
        "" => Err(wrong()),
        host if bare.is_none() && host.contains(':') => Err(wrong()),
        host => Ok(Advertised { host: host.to_owned(), port }),
    }
}
