//! The places of a request in which a credential travels.

use std::fmt;

/// One place. A stand-in is exchanged in a slot and nowhere else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The value of this header, in lower case. For `authorization` and `proxy-authorization`-like headers every
    /// scheme is understood: `Bearer v`, `token v`, a raw value, and either half of `Basic`.
    Header(String),
    /// The value of this query parameter.
    Query(String),
    /// A text message that the client sends over a WebSocket.
    WebSocket,
}

/// Why a text is not a slot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// None of the forms.
    #[error("a slot is written `header:NAME`, `query:NAME` or `websocket`")]
    Form,
    /// A name that no header can have (RFC 9110 §5.1).
    #[error("`{0}` cannot be the name of a header")]
    HeaderName(String),
}

/// Headers that carry credentials by convention. Without an explicit list a grant covers these, and at a
/// host with a grant a value in one of them that is not our stand-in is a foreign credential.
pub const AUTH_HEADERS: &[&str] = &[
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "private-token",
    "job-token",
    "deploy-token",
    "x-auth-token",
    "x-access-token",
    "x-amz-security-token",
    "x-vault-token",
    "x-figma-token",
    "x-shopify-access-token",
    "dd-api-key",
    "dd-application-key",
    "x-algolia-api-key",
    "xi-api-key",
    "apikey",
    "x-apikey",
    "x-auth-key",
    "x-authorization",
    "x-rapidapi-key",
    "x-serverless-authorization",
    "ocp-apim-subscription-key",
    "cookie",
];

impl Slot {
    /// Parses `header:NAME`, `query:NAME` or `websocket`.
    pub fn parse(text: &str) -> Result<Self, SlotError> {
        match text.split_once(':') {
            Some(("header", name)) if is_token(name) => Ok(Self::Header(name.to_ascii_lowercase())),
            Some(("header", name)) => Err(SlotError::HeaderName(name.to_owned())),
            Some(("query", name)) if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            None if text == "websocket" => Ok(Self::WebSocket),
            _ => Err(SlotError::Form),
        }
    }
}

/// `token` of RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::WebSocket => f.write_str("websocket"),
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_round_trip() {
        assert_eq!(Slot::parse("header:X-API-Key").unwrap().to_string(), "header:x-api-key");
        assert_eq!(Slot::parse("query:key").unwrap(), Slot::Query("key".into()));
        assert_eq!(Slot::parse("websocket").unwrap().to_string(), "websocket");
        assert_eq!(Slot::parse("websocket:x"), Err(SlotError::Form));
        assert_eq!(Slot::parse("header:a b"), Err(SlotError::HeaderName("a b".into())));
        assert_eq!(Slot::parse("body:x"), Err(SlotError::Form));
        assert_eq!(Slot::parse("query:"), Err(SlotError::Form));
    }
}
