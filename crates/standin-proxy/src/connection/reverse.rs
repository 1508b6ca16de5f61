//! The proxy for clients that cannot be given a certificate, but another base URL: `http://GATEWAY/NAME/…` is
//! `https://HOST/…`, where `NAME` is a service or a credential of this session and `HOST` the first host it is granted at.
//!
//! The request becomes the one that a captured connection to that host would have brought, before anything judges it:
//! policy, injection and scrubbing are the same. The name is compared byte by byte, and what follows it can only be a
//! path: neither dots nor slashes lead from one name to another (`standin_wire::path` refuses what climbs over its root).

use super::explicit::{nowhere, refused};
use super::{Destination, admit_one};
use crate::request::{self, Afterwards, ReplyBody, Reset};
use crate::session::{Ingress, Session};
use http::header::{self, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response};
use hyper::body::Incoming;
use standin_model::{Authority, Denial, DenyReason, Host, Scheme};
use standin_policy::Policy;
use std::sync::Arc;

/// Whether a request to the gateway is of this kind: in origin form (RFC 9112 §3.2.1).
pub(super) fn is_meant(uri: &Uri) -> bool {
    uri.scheme().is_none() && uri.authority().is_none()
}

/// Serves one request to the host that its path names.
pub(super) async fn serve(
    session: &Arc<Session>,
    afterwards: &Afterwards,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Reset> {
    let (authority, request) = match unwrap(session, request) {
        Ok(unwrapped) => unwrapped,
        Err(denial) => return Ok(refused(session, &nowhere(Ingress::Reverse), &denial.into()).await),
    };
    let destination = Destination::new(authority, Ingress::Reverse);
    match admit_one(session, &destination, Scheme::Https).await {
        Ok(tunnel) => request::serve(&Arc::new(tunnel), afterwards, request).await,
        Err(refusal) => Ok(refused(session, &destination, &refusal).await),
    }
}

/// The destination, and the request as it would have come there.
fn unwrap<B>(session: &Session, mut request: Request<B>) -> Result<(Authority, Request<B>), Denial> {
    is_for_us(session, &request)?;
    let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let (name, rest) = split(target);
    let rules = session.in_force();
    let authority = rules.policy.destination_of(name).ok_or_else(|| unknown(&rules.policy))?.clone();
    let malformed = || Denial::new(DenyReason::Malformed, "the path behind the name cannot be judged");
    *request.uri_mut() = Uri::from(PathAndQuery::try_from(rest).map_err(|_| malformed())?);
    let host = HeaderValue::from_str(&authority.to_string()).map_err(|_| malformed())?;
    request.headers_mut().insert(header::HOST, host);
    Ok((authority, request))
}

/// A request that names another host than this one was not meant for it, whatever its path says.
fn is_for_us<B>(session: &Session, request: &Request<B>) -> Result<(), Denial> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Denial::new(DenyReason::Malformed, "the request has no Host field, or more than one"));
    };
    match host.to_str().map(|host| Authority::parse(host, Some(80))) {
        Ok(Ok(Authority { host: Host::Ip(address), .. })) if session.gateway.contains(&address) => Ok(()),
        _ => Err(Denial::new(DenyReason::AuthorityMismatch, "this is a proxy; the request names another host")),
    }
}

/// The first segment, and what follows it as a target of its own.
fn split(target: &str) -> (&str, String) {
    let target = target.strip_prefix('/').unwrap_or("");
    let end = target.find(['/', '?']).unwrap_or(target.len());
    let (name, rest) = target.split_at(end);
    (name, if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") })
}

fn unknown(policy: &Policy) -> Denial {
    let names: Vec<_> = policy.destinations().collect();
    let known = if names.is_empty() { "there is none in this session".to_owned() } else { names.join(", ") };
    Denial::new(
        DenyReason::HostNotAllowed,
        format!("this is a proxy; a path here begins with the name of a service that is lent: {known}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_first_segment() {
        for (target, name, rest) in [
            ("/api", "api", "/"),
            ("/api/", "api", "/"),
            ("/api?x=/y", "api", "/?x=/y"),
            ("/api/v1/x?y", "api", "/v1/x?y"),
            ("/api//evil.example/x", "api", "//evil.example/x"),
            ("/api/../other/x", "api", "/../other/x"),
            ("//api/x", "", "/api/x"),
            ("/./api/x", ".", "/api/x"),
            ("/%61pi/x", "%61pi", "/x"),
            ("/api%2Fx", "api%2Fx", "/"),
            ("/", "", "/"),
            ("*", "", "/"),
        ] {
            assert_eq!(split(target), (name, rest.to_owned()), "{target}");
        }
    }
}
