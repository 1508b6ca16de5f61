//! Takes real secrets out of an answer: its headers here, its body while it streams.

use super::authorize::Permit;
use super::bind::remove_nominated;
use super::content::Content;
use super::fields;
use super::readable;
use super::reply::Reply;
use super::signed;
use super::tokens::NoTokens;
use super::upstream::UpstreamResponse;
use crate::connection::Tunnel;
use crate::fault::Refusal;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use standin_model::{Denial, DenyReason};
use std::sync::Arc;

/// Hop-by-hop fields, and those that would lead the client to a protocol we do not judge (RFC 7838, HTTP/3).
fn is_not_returned(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-connection"
            | "transfer-encoding"
            | "upgrade"
            | "alt-svc"
    )
}

/// Prepares the answer for the client. Takes the proof that no new tokens are in it: those are not known yet.
pub(super) fn scrub(tunnel: &Tunnel, permit: &Permit, _: NoTokens, answer: UpstreamResponse) -> Result<Reply, Refusal> {
    let lent = tunnel.session.lent();
    let scrubber = &lent.scrubber;
    let UpstreamResponse { mut response, upgrade, head, .. } = answer;
    let opened = match upgrade {
        Some(asked) => asked.answered(&response)?,
        None => None,
    };
    if opened.is_none() && response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Refusal::Denied(Denial::new(DenyReason::Malformed, "an upgrade nobody asked for")));
    }
    let empty = head || response.body().is_end_stream();
    let objects = response.status().is_success() && signed::keeps_objects(tunnel, permit);
    let granted = permit.granted_host() && !objects;
    let codings = if granted {
        readable::codings(&response, empty, scrubber.preserves_length())?
    } else if objects {
        Vec::new() // a key's owner put it there as it is, and its checksums are those of what it is
    } else {
        readable::codings_elsewhere(&response)
    };
    write_head_anew(&mut response);
    let headers = response.headers_mut();
    scrub_headers(scrubber, headers);
    if let Some(opened) = opened {
        let (response, websocket) = opened.join(response, tunnel, permit)?;
        return Ok(Reply::switching(response, websocket));
    }
    if granted {
        readable::keep_honest(headers, !codings.is_empty());
    }
    if !scrubber.preserves_length() {
        headers.remove(header::CONTENT_LENGTH);
    }
    let content = if empty || codings.is_empty() || scrubber.is_empty() {
        Content::plain(scrubber, granted)
    } else {
        let place = Arc::clone(&tunnel.session.decoders).try_acquire_owned().map_err(|_| too_many())?;
        Content::coded(scrubber, granted, &codings, place)
    };
    Ok(Reply::streaming(response, content))
}

fn too_many() -> Denial {
    Denial::new(DenyReason::CannotScrub, "too many answers in content codings are open at once; ask again later")
}

/// The head is ours from here on: our version, our words for the status, no field of the hop behind us.
fn write_head_anew(response: &mut Response<Incoming>) {
    *response.version_mut() = Version::HTTP_11;
    // The origin's own words for a status mean nothing (RFC 9112 §4) and may repeat the secret.
    response.extensions_mut().remove::<ReasonPhrase>();
    let headers = response.headers_mut();
    remove_nominated(headers);
    fields::remove(headers, is_not_returned);
}

/// Replaces secrets in field values. A field whose name holds one is dropped: no client knows such a field.
pub(super) fn scrub_headers(scrubber: &standin_wire::scrub::Scrubber, headers: &mut HeaderMap) {
    fields::remove(headers, |name| scrubber.is_in_name(name));
    for value in headers.values_mut() {
        if let Some(clean) = scrubber.scrub_header(value.as_bytes()) {
            // Replacing octets by stand-in octets keeps a value valid; if not, it is dropped with its secret.
            *value = HeaderValue::from_bytes(&clean).unwrap_or_else(|_| HeaderValue::from_static(""));
        }
    }
}
