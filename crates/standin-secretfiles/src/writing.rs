//! How a value is written in its place, so that who reads the file reads that value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

/// The way a place is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writing {
    /// As it is.
    Plain,
    /// Between double quotes, with a backslash before what would end or change it.
    Quoted,
    /// Between the quotes of JSON or TOML.
    Json,
    /// In a URL.
    Percent,
    /// In base64.
    Base64,
    /// `user:value` in base64, the user's name as given.
    Basic(String),
}

impl Writing {
    /// The text to stand there.
    pub fn write(&self, value: &str) -> String {
        match self {
            Self::Plain => value.to_owned(),
            Self::Quoted => value.chars().fold(String::new(), |mut text, c| {
                if matches!(c, '"' | '\\' | '$' | '`') {
                    text.push('\\');
                }
                text.push(c);
                text
            }),
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Self::Percent => utf8_percent_encode(value, RESERVED).to_string(),
            Self::Base64 => STANDARD.encode(value),
            Self::Basic(user) => STANDARD.encode(format!("{user}:{value}")),
        }
    }
}

/// All but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A part of a URL, decoded.
pub(crate) fn percent_decoded(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(percent_decode_str(text).collect())
}

/// The two halves of `user:password` in base64, if it is that.
pub(crate) fn basic(text: &str) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let decoded = Zeroizing::new(STANDARD.decode(text).ok()?);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((user, Zeroizing::new(decoded[colon + 1..].to_vec())))
}

/// What is in base64, decoded to text.
pub(crate) fn from_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let decoded = Zeroizing::new(STANDARD.decode(text).ok()?);
    std::str::from_utf8(&decoded).is_ok().then_some(decoded)
}
