//! The strict host type: parsed once, then used for matching, resolving, dialling, SNI and the record.
//!
//! Two parsers that disagree on one spelling are a way out (THREATS 6-14), so nothing else in Standin
//! interprets a host name. The heavy lifting (UTS-46, every spelling `inet_aton` takes for an IPv4
//! address) is the WHATWG parser's; this module refuses what that parser is lenient about.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Longest name in presentation form, in octets, without the trailing dot (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;
/// Longest label, in octets (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// Where a connection is meant to go: a name, or an address literal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A DNS name.
    Name(Name),
    /// An address literal in any of its spellings; IPv4-mapped IPv6 has become IPv4.
    Ip(IpAddr),
}

/// A DNS name: lower case, A-labels, letters, digits and hyphens only, no trailing dot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Why a text is not a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing there.
    #[error("the host is empty")]
    Empty,
    /// A control byte, blank, `%`, `\`, `@` or another octet no host contains.
    #[error("the host has a forbidden character {0:?}")]
    Forbidden(char),
    /// Longer than RFC 1035 allows.
    #[error("the host is too long")]
    TooLong,
    /// A label that is empty, too long, or begins or ends with a hyphen.
    #[error("the host has a malformed label")]
    Label,
    /// UTS-46 or the address parser refused it.
    #[error("the host is not a valid name or address")]
    Invalid,
}

impl Host {
    /// Parses a host as it stands in an authority: `example.com`, `127.0.0.1`, `[::1]`.
    ///
    /// One trailing dot is stripped. Userinfo, ports, NUL, CR, LF, tab, backslash, `%` and underscores
    /// are refused, not cleaned.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HostError::Invalid)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| HostError::Invalid)?;
            return Ok(Self::from(IpAddr::V6(address)));
        }
        if let Some(bad) = text.chars().find(|c| is_forbidden(*c)) {
            return Err(HostError::Forbidden(bad));
        }
        let undotted = text.strip_suffix('.').unwrap_or(text);
        if undotted.is_empty() || undotted.ends_with('.') {
            return Err(HostError::Label);
        }
        match url::Host::parse(undotted).map_err(|_| HostError::Invalid)? {
            url::Host::Ipv4(address) => Ok(Self::Ip(IpAddr::V4(address))),
            url::Host::Ipv6(address) => Ok(Self::from(IpAddr::V6(address))),
            url::Host::Domain(name) => Name::checked(&name).map(Self::Name),
        }
    }

    /// The name, unless this is an address literal.
    pub fn as_name(&self) -> Option<&Name> {
        match self {
            Self::Name(name) => Some(name),
            Self::Ip(_) => None,
        }
    }
}

impl Name {
    /// The name in lower case without a trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels from left to right.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    fn checked(name: &str) -> Result<Self, HostError> {
        // UTS-46 maps other full stops (U+3002 …) to `.`, so the trailing one is looked for again.
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        if name.len() > MAX_NAME {
            return Err(HostError::TooLong);
        }
        for label in name.split('.') {
            if label.is_empty() || label.len() > MAX_LABEL || label.starts_with('-') || label.ends_with('-') {
                return Err(HostError::Label);
            }
            if let Some(bad) = label.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')) {
                return Err(HostError::Forbidden(bad));
            }
        }
        Ok(Self(Arc::from(name)))
    }
}

/// What no host contains before IDNA, whatever a lenient parser would make of it.
fn is_forbidden(c: char) -> bool {
    c.is_control() || c.is_whitespace() || (c.is_ascii() && !(c.is_ascii_alphanumeric() || c == '-' || c == '.'))
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V6(v6) => Self::Ip(v6.to_ipv4_mapped().map_or(address, IpAddr::V4)),
            IpAddr::V4(_) => Self::Ip(address),
        }
    }
}

impl From<Ipv4Addr> for Host {
    fn from(address: Ipv4Addr) -> Self {
        Self::Ip(IpAddr::V4(address))
    }
}

impl std::str::FromStr for Host {
    type Err = HostError;
    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::parse(text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name.as_str()),
            Self::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({self})")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        let got = match Host::parse(input) {
            Ok(Host::Name(name)) => format!("name {name}"),
            Ok(Host::Ip(address)) => format!("ip {address}"),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, expected, "input {input:?}");
    }

    #[test]
    fn names_have_one_spelling() {
        check("example.com", "name example.com");
        check("EXAMPLE.com.", "name example.com");
        check("ⓔxample.com", "name example.com");
        check("bücher.example", "name xn--bcher-kva.example");
        check("example。com", "name example.com");
    }

    #[test]
    fn every_spelling_of_an_address_is_a_literal() {
        for spelling in
            ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "127。0。0。1", "①②⑦.⓪.⓪.①"]
        {
            check(spelling, "ip 127.0.0.1");
        }
        check("169.254.43518", "ip 169.254.169.254");
        check("[::ffff:169.254.169.254]", "ip 169.254.169.254");
        check("[2606:4700::1111]", "ip 2606:4700::1111");
    }

    #[test]
    fn doubtful_hosts_are_refused() {
        check("", "error: the host is empty");
        check("evil.example\0.ok.example", "error: the host has a forbidden character '\\0'");
        check("ok.example\r\nX: y", "error: the host has a forbidden character '\\r'");
        check("user@ok.example", "error: the host has a forbidden character '@'");
        check("ok.example%00", "error: the host has a forbidden character '%'");
        check("ok\\.example", "error: the host has a forbidden character '\\\\'");
        check("a_b.example", "error: the host has a forbidden character '_'");
        check("ok.example..", "error: the host has a malformed label");
        check("a..b", "error: the host has a malformed label");
        check("-a.example", "error: the host has a malformed label");
        check(".", "error: the host has a malformed label");
        check("[::1", "error: the host is not a valid name or address");
        check("[fe80::1%eth0]", "error: the host is not a valid name or address");
        check("1.2.3.4.5", "error: the host is not a valid name or address");
        check(&"a".repeat(64), "error: the host has a malformed label");
    }

    proptest::proptest! {
        #[test]
        fn parsing_is_idempotent(text in ".{0,40}") {
            if let Ok(host) = Host::parse(&text) {
                proptest::prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
            }
        }
    }
}
