//! How a refusal is written: for people and models as we do, for AWS's SDKs and git as their servers do, so that they say why.

use crate::connection::Tunnel;
use crate::request::endpoint;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use serde_json::json;

/// How errors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Our own.
    Ours,
    /// Amazon S3's.
    Objects,
    /// That of services that are asked in forms.
    Xml,
    /// That of services that are asked in JSON.
    Json,
    /// What git shows of an answer that is none to its first question: a text.
    Text,
    /// The end of a push, as git's servers tell it. An answer that says by its status that it refuses is not shown.
    Push,
}

/// Longest message of a push, in bytes: a line of git's protocol has at most 65,520 (gitprotocol-common, "pkt-line Format").
const MAX_LINE: usize = 4096;

impl Dialect {
    /// What the client of this request reads.
    pub(crate) fn of<B>(tunnel: &Tunnel, request: &Request<B>) -> Self {
        let Some((_, endpoint)) = endpoint(&tunnel.destination.authority.host) else { return Self::of_git(request) };
        let is_form = |value: &header::HeaderValue| value.as_bytes().starts_with(b"application/x-www-form-urlencoded");
        let asks_in_form = request.headers().get(header::CONTENT_TYPE).is_some_and(is_form)
            || request.uri().query().is_some_and(|query| query.contains("Action="));
        match endpoint {
            endpoint if endpoint.objects => Self::Objects,
            endpoint if endpoint.xml || asks_in_form => Self::Xml,
            _ => Self::Json,
        }
    }

    fn of_git<B>(request: &Request<B>) -> Self {
        let has_type =
            |wanted: &[u8]| request.headers().get(header::CONTENT_TYPE).is_some_and(|is| is.as_bytes() == wanted);
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        if path.ends_with("/git-receive-pack") && has_type(b"application/x-git-receive-pack-request") {
            Self::Push
        } else if path.ends_with("/info/refs") && query.starts_with("service=git-") {
            Self::Text
        } else {
            Self::Ours
        }
    }

    /// The status with which it is told.
    pub(crate) fn status(self, status: StatusCode) -> StatusCode {
        if self == Self::Push { StatusCode::OK } else { status }
    }

    /// The type of [`Dialect::body`].
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Ours | Self::Json => "application/json",
            Self::Objects | Self::Xml => "application/xml",
            Self::Text => "text/plain; charset=utf-8",
            Self::Push => "application/x-git-receive-pack-result",
        }
    }

    /// A refusal.
    pub(crate) fn body(self, code: &str, message: &str) -> Bytes {
        let error = format!("<Error><Code>{}</Code><Message>{}</Message></Error>", escaped(code), escaped(message));
        let text = match self {
            Self::Ours => {
                let error = json!({ "error": { "type": "standin_refused", "code": code, "message": message } });
                format!("{error}\n")
            }
            Self::Json => format!("{}\n", json!({ "__type": code, "message": message })),
            Self::Text => format!("{message} ({code})\n"),
            Self::Push => fatal(&format!("{message} ({code})")),
            Self::Objects => format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{error}\n"),
            Self::Xml => {
                format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ErrorResponse>{error}</ErrorResponse>\n")
            }
        };
        Bytes::from(text)
    }
}

/// A line of the band for what ends a push (gitprotocol-pack, "Packfile Data"), and the end of all lines.
fn fatal(message: &str) -> String {
    let plain: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let shown = &plain[..plain.floor_char_boundary(MAX_LINE)];
    format!("{:04x}\u{3}{shown}\n0000", shown.len() + 6)
}

/// What stands between the tags of XML. A message may repeat a path.
fn escaped(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_as_its_clients_read_it() {
        let body = |dialect: Dialect| String::from_utf8(dialect.body("a.b", "not </Code> \u{1}& so").to_vec()).unwrap();
        assert_eq!(
            body(Dialect::Objects).lines().last().unwrap(),
            "<Error><Code>a.b</Code><Message>not &lt;/Code&gt;  &amp; so</Message></Error>"
        );
        assert!(body(Dialect::Xml).trim_end().ends_with("</Error></ErrorResponse>"));
        assert_eq!(body(Dialect::Text), "not </Code> \u{1}& so (a.b)\n");
        assert_eq!(body(Dialect::Push), "001d\u{3}not </Code>  & so (a.b)\n0000");
        assert_eq!(body(Dialect::Json), "{\"__type\":\"a.b\",\"message\":\"not </Code> \\u0001& so\"}\n");
    }
}
