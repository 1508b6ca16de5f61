//! Takes real secrets out of an answer: its headers here, its body while it streams.

use super::authorize::Permit;
use super::reply::Reply;
use super::upstream::UpstreamResponse;
use crate::connection::Tunnel;
use crate::fault::Refusal;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use standin_model::{Denial, DenyReason};

/// Hop-by-hop fields, and those that would lead the client to a protocol we do not judge (RFC 7838, HTTP/3).
const NOT_RETURNED: &[&str] =
    &["connection", "keep-alive", "proxy-authenticate", "proxy-connection", "transfer-encoding", "upgrade", "alt-svc"];

/// Prepares the answer for the client.
pub(super) fn scrub(tunnel: &Tunnel, permit: &Permit, answer: UpstreamResponse) -> Result<Reply, Refusal> {
    let scrubber = &tunnel.session.scrubber;
    let UpstreamResponse { mut response, upgrade, head, .. } = answer;
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if permit.granted_host() && !is_readable(response.headers()) {
        return Err(Refusal::Denied(Denial::new(
            DenyReason::CannotScrub,
            "the origin answered in a coding that cannot be searched for secrets, although none was asked for",
        )));
    }
    let headers = response.headers_mut();
    for name in NOT_RETURNED {
        headers.remove(*name);
    }
    scrub_headers(scrubber, headers);
    if !scrubber.preserves_length() && !head && !switching {
        headers.remove(header::CONTENT_LENGTH);
    }
    let stream = scrubber.stream();
    match upgrade {
        Some(client) if switching => Reply::switching(response, client, tunnel),
        _ if switching => Err(Refusal::Denied(Denial::new(DenyReason::Malformed, "an upgrade nobody asked for"))),
        _ => Ok(Reply::streaming(response, stream, scrubber.clone())),
    }
}

/// Replaces secrets in field values. Names come from the origin's program and hold none.
pub(super) fn scrub_headers(scrubber: &standin_wire::scrub::Scrubber, headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        if let Some(clean) = scrubber.scrub_header(value.as_bytes()) {
            // Replacing octets by stand-in octets keeps a value valid; if not, it is dropped with its secret.
            *value = HeaderValue::from_bytes(&clean).unwrap_or_else(|_| HeaderValue::from_static(""));
        }
    }
}

fn is_readable(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}
