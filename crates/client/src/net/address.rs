//! Where a broker is: a host and a port, written `host:port` or `[v6]:port`.

use std::{fmt, str::FromStr};

use crate::error::{Error, ErrorKind};

/// The port Kafka listens on unless told otherwise.
const PORT_DEFAULT: u16 = 9092;

/// Where a broker is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name or an IP address, the latter without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Address {
    /// Reads a list such as `a:9092,b:9092`; blanks around its parts do not count.
    pub(crate) fn list(text: &str) -> Result<Vec<Address>, Error> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect()
    }
}

impl FromStr for Address {
    type Err = Error;

    /// A missing port is 9092.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::new(ErrorKind::Config)
                .what(format!("`{text}` is no address of a broker"))
                .fix("write host:port, or [v6]:port")
        };
        let port = |digits: &str| digits.parse().map_err(|_| wrong());
        if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            let port = match rest.strip_prefix(':') {
                Some(digits) => port(digits)?,
                None if rest.is_empty() => PORT_DEFAULT,
                None => return Err(wrong()),
            };
            return Ok(Self { host: host.to_owned(), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, digits)) => (host, port(digits)?),
            None => (text, PORT_DEFAULT),
        };
        let named = !host.is_empty() && !host.contains(['/', ' ']);
        if named { Ok(Self { host: host.to_owned(), port }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_users_write_them() {
        for (text, host, port) in [
            ("kafka.internal:9093", "kafka.internal", 9093),
            ("kafka", "kafka", 9092),
            ("[::1]:29092", "::1", 29092),
            ("[::1]", "::1", 9092),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for text in ["", ":9092", "kafka:port", "kafka:70000", "::1", "http://kafka:9092", "[::1]9092"] {
            let error = text.parse::<Address>().expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn a_list_may_have_blanks() {
        let list = Address::list(" a:1, b:2 ,").expect("a list");
        assert_eq!(list.iter().map(Address::to_string).collect::<Vec<_>>(), ["a:1", "b:2"]);
    }
}
