//! `host:port`, and the two schemes Standin speaks.

use crate::host::{Host, HostError};
use std::fmt;

/// A host and a port: what is dialled, what `Host`/`:authority` must equal (RFC 3986 §3.2).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The TCP port.
    pub port: u16,
}

/// How the bytes of a tunnel are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// In clear. Nothing is ever injected here.
    Http,
    /// In TLS.
    Https,
}

/// Why a text is not an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The host part is not a host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The port is missing where it is needed, not decimal, zero or above 65535.
    #[error("the port is missing or not a number from 1 to 65535")]
    Port,
}

impl Authority {
    /// Puts the two together.
    pub fn new(host: Host, port: u16) -> Self {
        Self { host, port }
    }

    /// Parses `host[:port]`; without a port, `default_port` is meant, and without either it is an error.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, AuthorityError> {
        let (host, port) = split_port(text);
        let port = match port {
            None | Some("") => default_port.ok_or(AuthorityError::Port)?,
            Some(digits) => parse_port(digits)?,
        };
        Ok(Self { host: Host::parse(host)?, port })
    }
}

/// Splits at the colon that follows the host; brackets keep an IPv6 literal whole.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let after_host = text.rfind(']').map_or(0, |bracket| bracket + 1);
    match text[after_host..].find(':') {
        Some(colon) => (&text[..after_host + colon], Some(&text[after_host + colon + 1..])),
        None => (text, None),
    }
}

fn parse_port(digits: &str) -> Result<u16, AuthorityError> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AuthorityError::Port); // `+80` parses as a number, but is no port
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(AuthorityError::Port),
        Ok(port) => Ok(port),
    }
}

impl Scheme {
    /// The port a URL of this scheme means when it names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// As in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        let got = match Authority::parse(input, Some(443)) {
            Ok(authority) => authority.to_string(),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, expected, "input {input:?}");
    }

    #[test]
    fn authorities() {
        let port = "error: the port is missing or not a number from 1 to 65535";
        check("example.com", "example.com:443");
        check("example.com:", "example.com:443");
        check("example.com:8443", "example.com:8443");
        check("[::1]:80", "[::1]:80");
        check("[::1]", "[::1]:443");
        check("example.com:0", port);
        check("example.com:65536", port);
        check("example.com:+80", port);
        check("example.com:80:90", port);
        check("::1", port);
        check("user@example.com", "error: the host has a forbidden character '@'");
        assert_eq!(Authority::parse("example.com", None), Err(AuthorityError::Port));
    }
}
