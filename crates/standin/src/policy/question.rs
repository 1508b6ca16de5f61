//! A request to ask about, read as the proxy reads it.

use crate::exit::{self, Failure};
use http::Uri;
use standin_model::{Authority, Denial, DenyReason, Scheme};
use standin_wire::path;

/// A request.
pub(super) struct Question {
    pub(super) method: String,
    pub(super) authority: Authority,
    pub(super) scheme: Scheme,
    /// In normal form, without the query; or why it has none.
    pub(super) path: Result<String, Denial>,
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
        let path = path::normalise(target)
            .map(|target| target.path)
            .map_err(|error| Denial::new(DenyReason::Malformed, format!("the path cannot be judged: {error}")));
        Ok(Self { method: method.to_owned(), authority, scheme, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> String {
        match Question::parse("GET", url) {
            Err(failure) => failure.message().to_owned(),
            Ok(Question { authority, path, .. }) => match path {
                Ok(path) => format!("{authority} {path}"),
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
