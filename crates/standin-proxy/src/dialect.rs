//! How a refusal is written: for people and models as we do, for AWS's SDKs as their services do, so that they say why.

use crate::connection::Tunnel;
use crate::request::endpoint;
use bytes::Bytes;
use http::{Request, header};
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
}

impl Dialect {
    /// What the client of this request reads.
    pub(crate) fn of<B>(tunnel: &Tunnel, request: &Request<B>) -> Self {
        let Some((_, endpoint)) = endpoint(&tunnel.destination.authority.host) else { return Self::Ours };
        let is_form = |value: &header::HeaderValue| value.as_bytes().starts_with(b"application/x-www-form-urlencoded");
        let asks_in_form = request.headers().get(header::CONTENT_TYPE).is_some_and(is_form)
            || request.uri().query().is_some_and(|query| query.contains("Action="));
        match endpoint {
            endpoint if endpoint.objects => Self::Objects,
            endpoint if endpoint.xml || asks_in_form => Self::Xml,
            _ => Self::Json,
        }
    }

    /// The type of [`Dialect::body`].
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Ours | Self::Json => "application/json",
            Self::Objects | Self::Xml => "application/xml",
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
            Self::Objects => format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{error}\n"),
            Self::Xml => {
                format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ErrorResponse>{error}</ErrorResponse>\n")
            }
        };
        Bytes::from(text)
    }
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
        assert_eq!(body(Dialect::Json), "{\"__type\":\"a.b\",\"message\":\"not </Code> \\u0001& so\"}\n");
    }
}
