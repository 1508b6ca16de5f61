//! The request belongs to its tunnel, and can be read in one way only.

use super::fields;
use super::unread::Unread;
use super::upload::RequestBody;
use super::websocket::Asked;
use crate::connection::Tunnel;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Version, request};
use hyper::body::Incoming;
use standin_model::{Authority, Denial, DenyReason};
use standin_wire::path::{self, Target};

/// Fields that belong to one hop (RFC 9110 §7.6.1) or would make the origin see another method (THREATS 34), path or host.
fn is_not_forwarded(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "x-http-method-override"
            | "x-http-method"
            | "x-method-override"
            | "x-original-url"
            | "x-rewrite-url"
            | "x-forwarded-host"
            | "x-forwarded-path"
            | "x-forwarded-prefix"
            | "x-forwarded-uri"
            | "x-host"
    )
}

/// Fields that say how a message is framed, where it goes or what it asks; behind the body they are too late.
fn is_too_late(name: &str) -> bool {
    matches!(name, "host" | "content-length" | "content-encoding" | "content-type" | "te" | "trailer" | "expect")
}

/// A request whose authority equals the tunnel's destination and whose path is in normal form.
pub(super) struct BoundRequest {
    pub(super) head: request::Parts,
    pub(super) body: RequestBody,
    /// Normal form: what is judged is what is sent.
    pub(super) target: Target,
    /// The client's side, if this asks for a WebSocket.
    pub(super) upgrade: Option<Asked>,
}

/// Binds a request to its tunnel.
pub(super) fn bind(tunnel: &Tunnel, request: Request<Incoming>) -> Result<BoundRequest, Denial> {
    let mut request = {
        let (head, body) = request.into_parts();
        let body = Unread::new(&head, body);
        Request::from_parts(head, body)
    };
    authority_agrees(tunnel, &request)?;
    framing_is_unambiguous(&request)?;
    values_are_bare(request.headers())?;
    let raw = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let target = path::normalise(raw)
        .map_err(|error| Denial::new(DenyReason::Malformed, format!("the path cannot be judged: {error}")))?;
    let upgrade = Asked::find(&mut request)?;
    let (mut head, body) = request.into_parts();
    strip_hop_by_hop(&mut head.headers);
    if let Some(asked) = &upgrade {
        asked.pass_on(&mut head.headers);
    }
    Ok(BoundRequest { head, body: RequestBody::Streaming(body), target, upgrade })
}

/// `Host`, `:authority` and the tunnel's destination are one (RFC 9110 §7.4: otherwise 421).
fn authority_agrees(tunnel: &Tunnel, request: &Request<Unread>) -> Result<(), Denial> {
    let destination = &tunnel.destination.authority;
    let default_port = Some(tunnel.scheme.default_port());
    let mismatch = || {
        Denial::new(
            DenyReason::AuthorityMismatch,
            format!("this connection was made to {destination}; the request names another host"),
        )
    };
    let usual = tunnel.spelling.as_str();
    let same = |text: &str| text == usual || Authority::parse(text, default_port).as_ref() == Ok(destination);
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Denial::new(DenyReason::Malformed, "the request has more than one Host field"));
    }
    match (host, request.uri().authority()) {
        (None, None) => Err(Denial::new(DenyReason::Malformed, "the request names no host")),
        (host, authority) => {
            let host_agrees = host.is_none_or(|value| value.to_str().is_ok_and(same));
            let authority_agrees = authority.is_none_or(|authority| same(authority.as_str()));
            if host_agrees && authority_agrees { Ok(()) } else { Err(mismatch()) }
        }
    }
}

/// One length, told in one way (RFC 9112 §6.3, RFC 9113 §8.2.2). hyper has refused the rest.
fn framing_is_unambiguous(request: &Request<Unread>) -> Result<(), Denial> {
    let headers = request.headers();
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    if lengths > 1 || (lengths == 1 && chunked) || (chunked && request.version() != Version::HTTP_11) {
        return Err(Denial::new(DenyReason::Malformed, "the length of the request can be read in two ways"));
    }
    // hyper takes the chunks apart and leaves a coding beneath them; the field that says so is not forwarded.
    if chunked && !only_chunked(headers) {
        return Err(Denial::new(DenyReason::Malformed, "the only transfer coding understood here is `chunked`"));
    }
    Ok(())
}

/// No field's value begins or ends with white space (RFC 9113 §8.2.1), which the library lets pass in HTTP/2; in HTTP/1.1 it
/// is no part of the value (RFC 9112 §5).
fn values_are_bare(headers: &HeaderMap) -> Result<(), Denial> {
    let bare = |value: &HeaderValue| value.as_bytes().trim_ascii() == value.as_bytes();
    match headers.iter().find(|(_, value)| !bare(value)) {
        Some((name, _)) => {
            Err(Denial::new(DenyReason::Malformed, format!("the value of the field {name} has white space around it")))
        }
        None => Ok(()),
    }
}

/// Whether a message is chunked and nothing else (RFC 9112 §6.1).
pub(super) fn only_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    codings.next().is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

/// Removes the fields that `Connection` names: they are for one hop (RFC 9110 §7.6.1).
pub(super) fn remove_nominated(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CONNECTION) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// Leaves out of a request's trailers what must not be there.
pub(super) fn strip_trailers(trailers: &mut HeaderMap) {
    remove_nominated(trailers);
    fields::remove(trailers, |name| is_not_forwarded(name) || is_disguised(name) || is_too_late(name));
}

/// Servers of the CGI tradition take `X_HTTP_Method_Override` for the field with hyphens (RFC 3875 §4.1.18).
fn is_disguised(name: &str) -> bool {
    let is_meant = |name: &str| is_not_forwarded(name) || matches!(name, "host" | "content-length");
    name.contains('_') && is_meant(&name.replace('_', "-"))
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    remove_nominated(headers);
    fields::remove(headers, |name| is_not_forwarded(name) || is_disguised(name));
    let trailers = headers.get(header::TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    if !trailers {
        headers.remove(header::TE);
    }
}
