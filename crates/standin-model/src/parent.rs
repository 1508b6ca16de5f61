//! The proxy behind which the host itself sits: how it is written, and what goes past it.

use crate::{Authority, AuthorityError, Host};
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;

/// A parent proxy, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentProxy {
    /// What it speaks.
    pub protocol: ParentProtocol,
    /// Where it is.
    pub authority: Authority,
    /// Who we are to it.
    pub user: Option<String>,
}

/// What a parent proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentProtocol {
    /// HTTP, in clear: `CONNECT` (RFC 9110 §9.3.6).
    Http,
    /// SOCKS5 (RFC 1928).
    Socks5,
}

/// Why a text names no parent proxy. It never repeats the text: that may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParentError {
    /// Another scheme.
    #[error("only `http://` and `socks5://` proxies are spoken to")]
    Scheme,
    /// The host or the port; there is no usual port.
    #[error("the proxy's host or port is not understood")]
    Authority(#[source] AuthorityError),
    /// The user or the password.
    #[error("the proxy's user or password is not text")]
    Login,
    /// There is more than an authority.
    #[error("a proxy has no path")]
    Path,
}

/// The hosts that are reached without the parent proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bypass(Vec<Past>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Past {
    /// `*`
    Every,
    /// A name and all below it.
    Domain(String),
    /// Addresses.
    Block(IpNet),
}

impl ParentProxy {
    /// Reads `http://user@host:port` (or `socks5://…`, or without a scheme), and the password if there is one.
    pub fn parse(text: &str) -> Result<(Self, Option<String>), ParentError> {
        let (protocol, rest) = match text.split_once("://") {
            None | Some(("http", _)) => (ParentProtocol::Http, text.strip_prefix("http://").unwrap_or(text)),
            Some(("socks5" | "socks5h", rest)) => (ParentProtocol::Socks5, rest),
            Some(_) => return Err(ParentError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(ParentError::Path);
        }
        let (login, host) = rest.rsplit_once('@').map_or((None, rest), |(login, host)| (Some(login), host));
        let authority = Authority::parse(host, None).map_err(ParentError::Authority)?;
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            None => (None, None),
            Some((user, "")) => (Some(decoded(user)?), None),
            Some((user, password)) => (Some(decoded(user)?), Some(decoded(password)?)),
        };
        Ok((Self { protocol, authority, user }, password))
    }
}

fn decoded(text: &str) -> Result<String, ParentError> {
    percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| ParentError::Login)
}

impl Bypass {
    /// Reads entries as `NO_PROXY` has them: names (which mean those below them too), addresses, blocks, `*`.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> Self {
        let past = |entry: &str| match entry {
            "*" => Past::Every,
            _ => match (entry.parse::<IpNet>(), entry.parse::<IpAddr>()) {
                (Ok(block), _) => Past::Block(block),
                (_, Ok(address)) => Past::Block(address.into()),
                _ => Past::Domain(entry.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase()),
            },
        };
        Self(entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty()).map(past).collect())
    }

    /// Whether this host is among them.
    pub fn covers(&self, host: &Host) -> bool {
        self.0.iter().any(|past| match (past, host) {
            (Past::Every, _) => true,
            (Past::Block(block), Host::Ip(address)) => block.contains(address),
            (Past::Domain(domain), Host::Name(name)) => {
                name.as_str().strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents() {
        for (text, expected) in [
            ("http://proxy.example:3128", "Http proxy.example:3128 None None"),
            ("proxy.example:3128/", "Http proxy.example:3128 None None"),
            ("http://me@proxy.example:3128", "Http proxy.example:3128 Some(\"me\") None"),
            ("http://me:p%40s:s@10.0.0.1:80", "Http 10.0.0.1:80 Some(\"me\") Some(\"p@s:s\")"),
            ("socks5://[fd00::1]:1080", "Socks5 [fd00::1]:1080 None None"),
            ("socks5h://proxy.example:1080", "Socks5 proxy.example:1080 None None"),
            ("https://me:secret@proxy.example:443", "only `http://` and `socks5://` proxies are spoken to"),
            ("http://proxy.example", "the proxy's host or port is not understood"),
            ("http://me:%ff@proxy.example:80", "the proxy's user or password is not text"),
            ("http://proxy.example:80/x", "a proxy has no path"),
            ("", "the proxy's host or port is not understood"),
        ] {
            let got = match ParentProxy::parse(text) {
                Ok((p, password)) => format!("{:?} {} {:?} {password:?}", p.protocol, p.authority, p.user),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn what_goes_past() {
        for (entries, host, expected) in [
            (&["example.com"][..], "example.com", true),
            (&["example.com"], "a.example.com", true),
            (&[".example.com"], "a.example.com", true),
            (&["*.Example.com"], "a.example.com", true),
            (&["example.com"], "notexample.com", false),
            (&["10.0.0.0/8"], "10.1.2.3", true),
            (&["10.0.0.1"], "10.0.0.2", false),
            (&["*"], "a.example", true),
            (&["", " "], "a.example", false),
        ] {
            let bypass = Bypass::new(entries.iter().copied());
            assert_eq!(bypass.covers(&Host::parse(host).unwrap()), expected, "{entries:?} {host}");
        }
    }
}
