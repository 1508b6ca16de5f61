//! The places of a request in which a credential travels.

mod path;
mod pointer;

pub use path::PathSlot;
pub use pointer::JsonPointer;

use std::fmt;

/// One place. A stand-in is exchanged in a slot and nowhere else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The value of this header, in lower case. For `authorization` and `proxy-authorization`-like headers every
    /// scheme is understood: `Bearer v`, `token v`, a raw value, and either half of `Basic`.
    Header(String),
    /// The value of this query parameter.
    Query(String),
    /// The value of this cookie.
    Cookie(String),
    /// A segment of the path, or its end.
    Path(PathSlot),
    /// The value of this field of a body in `application/x-www-form-urlencoded`.
    Form(String),
    /// The string at this place of a body in JSON.
    Json(JsonPointer),
    /// A text message that the client sends over a WebSocket.
    WebSocket,
    /// The signature of a request to AWS (Signature Version 4), which is made anew: the secret itself goes nowhere.
    /// It takes a key's name and its secret together, so the catalogue alone can name it.
    SigV4,
}

/// Why a text is not a slot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// None of the forms.
    #[error(
        "a slot is written `header:NAME`, `query:NAME`, `cookie:NAME`, `path:/bot{{}}`, `form:FIELD`, `json:/POINTER` or \
         `websocket`"
    )]
    Form,
    /// A name that no header can have (RFC 9110 §5.1).
    #[error("`{0}` cannot be the name of a header")]
    HeaderName(String),
    /// A header that says where a message goes and how it is framed.
    #[error("the header `{0}` is no place for a credential")]
    Framing(String),
    /// A name that no cookie can have (RFC 6265 §4.1.1).
    #[error("`{0}` cannot be the name of a cookie")]
    CookieName(String),
    /// Not the beginning of a path up to a credential.
    #[error(
        "a path slot is the beginning of a path, up to the place of the credential, which is written `{{}}`: \
         `path:/bot{{}}`, `path:/hooks/*/{{}}` (`*` is any one segment)"
    )]
    Path,
    /// Not a JSON pointer, or one that means the whole document.
    #[error("a place in JSON is written as RFC 6901 has it: `json:/client/secret`, with `~1` for a slash in a name")]
    Pointer,
}

/// Fields that a credential never stands in, and that `always` must never write.
const FRAMING: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

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
    /// Parses a slot as it stands in a configuration.
    pub fn parse(text: &str) -> Result<Self, SlotError> {
        match text.split_once(':') {
            Some(("header", name)) if is_token(name) => {
                let name = name.to_ascii_lowercase();
                if FRAMING.contains(&name.as_str()) { Err(SlotError::Framing(name)) } else { Ok(Self::Header(name)) }
            }
            Some(("header", name)) => Err(SlotError::HeaderName(name.to_owned())),
            Some(("cookie", name)) if is_token(name) => Ok(Self::Cookie(name.to_owned())),
            Some(("cookie", name)) => Err(SlotError::CookieName(name.to_owned())),
            Some(("query", name)) if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            Some(("form", name)) if !name.is_empty() => Ok(Self::Form(name.to_owned())),
            Some(("path", path)) => PathSlot::parse(path).map(Self::Path).ok_or(SlotError::Path),
            Some(("json", pointer)) => JsonPointer::parse(pointer).map(Self::Json).ok_or(SlotError::Pointer),
            None if text == "websocket" => Ok(Self::WebSocket),
            _ => Err(SlotError::Form),
        }
    }

    /// Whether it lies in a body.
    pub fn is_in_body(&self) -> bool {
        matches!(self, Self::Form(_) | Self::Json(_))
    }

    /// Whether a credential may be put there although nothing stood there (`always`): it has to be one place, in the
    /// head, that exists in every request.
    pub fn can_be_filled(&self) -> bool {
        match self {
            Self::Header(name) => name != "cookie",
            Self::Query(_) => true,
            Self::Cookie(_) | Self::Path(_) | Self::Form(_) | Self::Json(_) | Self::WebSocket | Self::SigV4 => false,
        }
    }
}

/// `token` of RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Path(path) => write!(f, "path:{}", path.as_str()),
            Self::Form(name) => write!(f, "form:{name}"),
            Self::Json(pointer) => write!(f, "json:{}", pointer.as_str()),
            Self::WebSocket => f.write_str("websocket"),
            Self::SigV4 => f.write_str("sigv4"),
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
        for text in ["websocket", "cookie:SID", "path:/bot{}", "path:/a/*/{}", "form:client_secret", "json:/a/~1b/0"] {
            assert_eq!(Slot::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_slot() {
        for (text, error) in [
            ("websocket:x", SlotError::Form),
            ("header:a b", SlotError::HeaderName("a b".into())),
            ("header:Host", SlotError::Framing("host".into())),
            ("body:x", SlotError::Form),
            ("query:", SlotError::Form),
            ("form:", SlotError::Form),
            ("cookie:", SlotError::CookieName(String::new())),
            ("cookie:a=b", SlotError::CookieName("a=b".into())),
            ("path:", SlotError::Path),
            ("path:bot{}", SlotError::Path),
            ("json:", SlotError::Pointer),
            ("json:a", SlotError::Pointer),
            ("json:/a~2", SlotError::Pointer),
        ] {
            assert_eq!(Slot::parse(text), Err(error), "{text}");
        }
    }
}
