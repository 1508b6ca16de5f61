//! PostgreSQL's messages, as far as they are read and written without a connection (protocol 3.0, chapter 55 of its manual).
//!
//! * [`startup`]: a client's first words, which have no tag;
//! * [`frames`]: every later message has one, and a length: they are cut out of a stream;
//! * here: the few messages that are ours to send.

pub mod frames;
pub mod startup;

/// What clients in TLS without a request for it name as their protocol (ALPN), and others from version 17 on.
pub const ALPN: &[u8] = b"postgresql";
/// The server takes TLS.
pub const TLS_ACCEPTED: u8 = b'S';
/// The server takes none of it, or no GSSAPI.
pub const NOT_ACCEPTED: u8 = b'N';
/// Longest reason that clients are told, in bytes.
const MAX_REASON: usize = 1000;

/// Why a connection ends, in the classes of PostgreSQL's own codes (appendix A of its manual).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What was asked for is not allowed: `28000`.
    NotAllowed,
    /// The password is not the one: `28P01`.
    Password,
    /// The server is out of reach: `08006`.
    Unreachable,
    /// The client spoke in a way that is not understood: `08P01`.
    Protocol,
    /// It is over for a reason of the one who runs it: `57P01`.
    Ended,
}

impl Class {
    fn code(self) -> &'static str {
        match self {
            Self::NotAllowed => "28000",
            Self::Password => "28P01",
            Self::Unreachable => "08006",
            Self::Protocol => "08P01",
            Self::Ended => "57P01",
        }
    }
}

/// A message: its tag, the length of what follows and itself, and what follows.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(4 + body.len()).expect("what we send is short");
    let mut bytes = Vec::with_capacity(5 + body.len());
    bytes.push(tag);
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// `ErrorResponse`, after which the connection ends. Clients print its text.
pub fn fatal(class: Class, reason: &str) -> Vec<u8> {
    error(b"FATAL", class.code(), reason)
}

fn error(severity: &[u8], code: &str, reason: &str) -> Vec<u8> {
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let reason = &reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON)];
    let mut body = Vec::new();
    for (field, text) in [(b'S', severity), (b'V', severity), (b'C', code.as_bytes()), (b'M', reason)] {
        body.push(field);
        body.extend(text);
        body.push(0);
    }
    body.push(0);
    message(b'E', &body)
}

/// `Authentication…`, by its number.
pub fn authentication(number: u32, data: &[u8]) -> Vec<u8> {
    message(b'R', &[&number.to_be_bytes()[..], data].concat())
}

/// `BackendKeyData`: what a client names when it wants to cancel something.
pub fn key_data(process: [u8; 4], key: [u8; 4]) -> Vec<u8> {
    message(b'K', &[process, key].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_message_in_one_line() {
        let bytes = fatal(Class::NotAllowed, "no\n\x1b[31m\0way");
        assert_eq!(bytes, b"E\0\0\0\x28SFATAL\0VFATAL\0C28000\0Mno  [31m way\0\0");
        let long = fatal(Class::Ended, &"é".repeat(5000));
        assert!(
            long.len() < MAX_REASON + 64
                && u32::from_be_bytes(long[1..5].try_into().unwrap()) as usize == long.len() - 1
        );
    }
}
