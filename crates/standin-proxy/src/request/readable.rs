//! What a host with a grant is asked for, and which of its answers can be searched for secrets: no pieces, no
//! compression of its own, no coding that we cannot take off.
//!
//! `identity` is asked for although more could be read: what is searched has to be unfolded first, which costs more than
//! the bytes it saves on the way to us; no decoder faces an origin that does as it is asked; and a secret that is packed
//! together with what the agent chose does not show in the length (CRIME). What comes packed all the same is unpacked,
//! and given on so: packing it again would cost as much again, for a client a few microseconds away.

use super::bind::only_chunked;
use super::fields;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use standin_model::{Denial, DenyReason};
use standin_wire::coding::{self, Coding};

/// What would bring back a part of something, or its difference from something else: with it, an echo of the secret
/// could be fetched in pieces too short to be known. A recipient may ignore a range (RFC 9110 §14.2).
fn asks_for_a_part(name: &str) -> bool {
    matches!(name, "range" | "if-range" | "a-im" | "available-dictionary")
}

/// Codings of single messages, offered: gRPC's and Connect's.
const MESSAGE_CODINGS_OFFERED: &[&str] = &["grpc-accept-encoding", "connect-accept-encoding"];

/// Codings of single messages, chosen. Without one of them no message may be compressed (gRPC over HTTP2, "Compression").
const MESSAGE_CODINGS: &[&str] = &["grpc-encoding", "connect-content-encoding"];

/// Digests of what the origin sent (RFC 9530, and what it replaces). What the client gets may differ, and nobody knows
/// before it has been read.
pub(super) fn is_digest(name: &str) -> bool {
    matches!(name, "content-digest" | "repr-digest" | "unencoded-digest" | "digest" | "content-md5")
}

/// Asks only for what can be searched.
pub(super) fn ask(headers: &mut HeaderMap) {
    const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
    headers.insert(header::ACCEPT_ENCODING, IDENTITY);
    // In most requests there are none: then the names have been looked at once, and nothing else has happened.
    let offered: Vec<HeaderName> =
        headers.keys().filter(|name| MESSAGE_CODINGS_OFFERED.contains(&name.as_str())).cloned().collect();
    for name in offered {
        headers.insert(name, IDENTITY);
    }
    fields::remove(headers, asks_for_a_part);
}

/// The codings to be taken off the body, or why it cannot be searched.
pub(super) fn codings<B>(response: &Response<B>, empty: bool, lengths_kept: bool) -> Result<Vec<Coding>, Denial> {
    let refused = |message: &str| Err(Denial::new(DenyReason::CannotScrub, message));
    let headers = response.headers();
    if is_partial(response.status()) {
        return refused(
            "the origin answered with a part, which cannot be searched for secrets, and none was asked for",
        );
    }
    // hyper takes chunks apart, and passes what they hold as it is.
    if headers.contains_key(header::TRANSFER_ENCODING) && !only_chunked(headers) {
        return refused("the origin answered in a transfer coding that was not asked for and cannot be searched");
    }
    if headers.iter().any(|(name, value)| MESSAGE_CODINGS.contains(&name.as_str()) && value != "identity") {
        return refused(
            "the origin compresses single messages, which cannot be searched for secrets; it may do so because the \
             client does: switch compression off",
        );
    }
    if is_grpc(headers) && !lengths_kept {
        return refused("a stand-in of this session is not as long as its secret, so gRPC messages cannot be scrubbed");
    }
    match of_content(headers) {
        Some(codings) => Ok(codings),
        None if empty => Ok(Vec::new()),
        None => refused("the origin answered in a coding that cannot be searched for secrets, and none was asked for"),
    }
}

/// The same for a host without a grant, where what cannot be searched passes: nobody there should know a secret.
pub(super) fn codings_elsewhere<B>(response: &Response<B>) -> Vec<Coding> {
    if is_partial(response.status()) {
        return Vec::new();
    }
    of_content(response.headers()).unwrap_or_default()
}

/// Lets the head say no more than what holds of the body that the client gets.
pub(super) fn keep_honest(headers: &mut HeaderMap, decoded: bool) {
    fields::remove(headers, is_digest);
    if headers.contains_key(header::ACCEPT_RANGES) {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
    }
    if decoded {
        headers.remove(header::CONTENT_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
        weaken(headers);
    }
}

/// A strong tag tells the coded body from the plain one (RFC 9110 §8.8.3.3), so it is not the plain one's. Where nothing
/// was decoded it stays: a session makes the same of the same body every time, and `If-Match` needs it.
fn weaken(headers: &mut HeaderMap) {
    let weak = match headers.get(header::ETAG).map(HeaderValue::as_bytes) {
        Some(tag) if !tag.starts_with(b"W/") => HeaderValue::from_bytes(&[b"W/", tag].concat()),
        _ => return,
    };
    match weak {
        Ok(weak) => drop(headers.insert(header::ETAG, weak)),
        Err(_) => drop(headers.remove(header::ETAG)),
    }
}

/// A range (RFC 9110 §15.3.7) or a difference (RFC 3229 §10.4.1).
fn is_partial(status: StatusCode) -> bool {
    matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::IM_USED)
}

fn of_content(headers: &HeaderMap) -> Option<Vec<Coding>> {
    coding::codings(headers.get_all(header::CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().get(..16).is_some_and(|v| v.eq_ignore_ascii_case(b"application/grpc")))
}
