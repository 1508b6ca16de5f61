//! AWS Signature Version 4, from the middle: what was signed with one key is verified, and signed anew with another.
//!
//! * [`Claim`]: the signature of a request, read strictly: who signed what, when, for which service;
//! * [`Keys`]: what is signed with;
//! * [`chunks`]: bodies that are signed piece by piece (`aws-chunked`), while they stream.
//!
//! The canonical request is `aws-sigv4`'s, for verifying as for signing: what is verified is signed once more and
//! compared. Where that crate and AWS could read a request differently it is refused: two readings are a way around one
//! of them. Nothing here knows HTTP connections, policy, or which key is real.

pub mod chunks;
mod claim;
mod query;
mod sign;

pub use claim::{Claim, Payload, Scope};
pub use sign::{Keys, Signed};

use http::HeaderMap;
use std::time::Duration;

/// How far a signature's time may be from now, as AWS has it.
pub const MAX_SKEW: Duration = Duration::from_secs(15 * 60);
/// Longest time that a presigned URL may be good, in seconds: seven days, as AWS has it.
pub const MAX_EXPIRES: u64 = 7 * 24 * 3600;
/// What is named as the hash of a body that is not signed.
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// A request's head, as it is signed.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The method.
    pub method: &'a str,
    /// The host, with its port where that is not the scheme's.
    pub host: &'a str,
    /// The path, as it is on the wire.
    pub path: &'a str,
    /// What follows the `?`.
    pub query: Option<&'a str>,
    /// The fields.
    pub headers: &'a HeaderMap,
}

/// How a service wants its paths signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Amazon S3 and its relatives: as they are. A key may hold anything.
    Objects,
    /// All others: in normal form, and escaped once more.
    Usual,
}

/// Why a signature is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// SigV4a: its key is derived from the secret, so a signature of it could be verified, but regions are in a set.
    #[error(
        "it is signed with SigV4a (AWS4-ECDSA-P256-SHA256), which is not made here; use a regional endpoint and SigV4"
    )]
    Asymmetric,
    /// Another scheme of AWS's, or none that is known.
    #[error("it is signed with `{0}`, and only AWS4-HMAC-SHA256 is made here")]
    Scheme(String),
    /// Something that has to be there, once.
    #[error("its {0} is missing or malformed")]
    Malformed(&'static str),
    /// Something that is there twice, or in two places.
    #[error("its {0} is there more than once, or in two places")]
    Ambiguous(String),
    /// A field that must be signed.
    #[error("the field {0} is not signed")]
    Unsigned(String),
    /// A field that is signed and is not there, or may not be carried on.
    #[error("the field {0} is signed and is not there, or does not go further than here")]
    Missing(String),
    /// The path or query of the request has two readings.
    #[error("{0}")]
    Target(&'static str),
    /// The time.
    #[error("it was signed more than 15 minutes before or after now, or has expired")]
    Time,
    /// The token of temporary keys.
    #[error("the session token is not the one that belongs to the key")]
    Token,
    /// The body's hash is of another kind.
    #[error("x-amz-content-sha256 is `{0}`, which is not made here")]
    Payload(String),
    /// The signature is another one.
    #[error("the signature is not that of this request with this key")]
    Mismatch,
    /// A piece of a body.
    #[error("its body, in signed chunks, {0}")]
    Chunk(&'static str),
    /// What cannot be signed at all.
    #[error("it cannot be signed")]
    Unsignable,
}

#[cfg(test)]
mod tests;
