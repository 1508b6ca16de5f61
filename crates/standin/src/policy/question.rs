//! A request to ask about, read as the proxy reads it.

use crate::exit::{self, Failure};
use bytes::Bytes;
use http::Uri;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use standin_model::{Authority, Commands, Denial, DenyReason, NoEvidence, RefUpdate, Scheme};
use standin_policy::{Policy, RequestFacts};
use standin_wire::facts::{Known, Seen};
use standin_wire::path::{self, Target};

/// A request.
pub(super) struct Question {
    pub(super) method: String,
    pub(super) authority: Authority,
    pub(super) scheme: Scheme,
    /// In normal form; or why it has none.
    pub(super) target: Result<Target, Denial>,
    headers: HeaderMap,
    body: Bytes,
    /// What it pushes, if it does.
    push: Vec<RefUpdate>,
}

impl Question {
    /// Reads a method and a URL.
    pub(super) fn parse(method: &str, url: &str) -> Result<Self, Failure> {
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(format!("`{url}` is not a URL to ask about: {why}"))
                .hint("write https://host/path, or http://…")
                .code(exit::USAGE)
        };
        if !method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') || method.is_empty() {
            return Err(Failure::new(format!("`{method}` is not a method"))
                .hint("the method comes first: GET https://…")
                .code(exit::USAGE));
        }
        let uri: Uri = url.parse().map_err(|error| wrong(&error))?;
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(wrong(&"it begins with neither https:// nor http://")),
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let authority = Authority::parse(authority, Some(scheme.default_port())).map_err(|error| wrong(&error))?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let target = path::normalise(target)
            .map_err(|error| Denial::new(DenyReason::Malformed, format!("the path cannot be judged: {error}")));
        let (headers, body, push) = (HeaderMap::new(), Bytes::new(), Vec::new());
        Ok(Self { method: method.to_owned(), authority, scheme, target, headers, body, push })
    }

    /// Adds a field of its head, as `name: value`.
    pub(super) fn header(&mut self, field: &str) -> Result<(), Failure> {
        let wrong =
            || Failure::new(format!("`{field}` is no field of a head")).hint("write `name: value`").code(exit::USAGE);
        let (name, value) = field.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        self.headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| wrong())?);
        Ok(())
    }

    /// Adds its body: JSON, unless its head says otherwise.
    pub(super) fn body(&mut self, body: impl Into<Bytes>) {
        self.body = body.into();
        let json = HeaderValue::from_static("application/json");
        self.headers.entry(header::CONTENT_TYPE).or_insert(json);
    }

    /// Adds a ref that it pushes to, or deletes, if `-` stands before it.
    pub(super) fn push(&mut self, name: &str) {
        let (name, deletes) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
        self.push.push(RefUpdate { name: name.to_owned(), deletes });
    }
}

impl Question {
    /// Asks with what a policy is told of it. `target` is its own.
    pub(super) fn ask<T>(&self, target: &Target, policy: &Policy, ask: impl FnOnce(&RequestFacts<'_>) -> T) -> T {
        let Authority { host, port } = &self.authority;
        let (scheme, method, path) = (self.scheme, self.method.as_str(), target.path.as_str());
        let head = RequestFacts { host, port: *port, scheme, method, path, evidence: &NoEvidence };
        let seen = match self.push.as_slice() {
            [] => Seen::of(&self.headers, self.body.clone(), policy.wants(&head)),
            push => Seen::Push(Commands(push.to_vec())),
        };
        let known = Known::new(&self.headers, target.query.as_deref(), &seen);
        ask(&RequestFacts { evidence: &known, ..head })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> String {
        match Question::parse("GET", url) {
            Err(failure) => failure.message().to_owned(),
            Ok(Question { authority, target, .. }) => match target {
                Ok(target) => format!("{authority} {}", target.path),
                Err(denial) => denial.to_string(),
            },
        }
    }

    #[test]
    fn a_url_is_read_as_the_proxy_reads_it() {
        assert_eq!(read("https://API.example.com"), "api.example.com:443 /");
        assert_eq!(read("http://api.example.com:8080/a/../b?c=/../d"), "api.example.com:8080 /b");
        assert_eq!(read("https://[::1]/%61"), "[::1]:443 /a");
        assert_eq!(
            read("https://a.example/../b"),
            "http.malformed: the path cannot be judged: its dot segments are ambiguous"
        );
        for wrong in
            ["a.example", "ftp://a.example/", "https://", "https://me@a.example/", "https://a.example:0/", "/x"]
        {
            assert!(read(wrong).contains("is not a URL to ask about"), "{wrong}: {}", read(wrong));
        }
        assert!(Question::parse("https://a.example/", "GET").is_err());
    }
}
