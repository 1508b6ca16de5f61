//! The form that a request takes in the version of HTTP of the connection that carries it.
//!
//! Up to here it is in absolute form, and in the words of HTTP/1.1. A request that was not written after all is given its
//! form back: the next connection may speak the other version.

use crate::pool::Body;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Uri, Version};
use hyper::ext::Protocol;

/// What a request was before.
pub(crate) enum Before {
    /// Absolute.
    Target(Uri),
    /// In HTTP/1.1.
    Version,
    /// The `GET` that asks for a WebSocket.
    Upgrade(HeaderMap),
}

/// HTTP/1.1 names the host in a field, not in the target (RFC 9112 §3.2.1).
pub(crate) fn http1(request: &mut Request<Body>) -> Before {
    let target = request.uri().clone();
    if let Some(authority) = target.authority()
        && !is_told(request.headers(), authority)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    if let Some(path) = target.path_and_query() {
        *request.uri_mut() = Uri::from(path.clone());
    }
    Before::Target(target)
}

/// Whether the field says this already, as most clients write it.
fn is_told(headers: &HeaderMap, authority: &Authority) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    hosts.next().is_some_and(|host| host.as_bytes() == authority.as_str().as_bytes()) && hosts.next().is_none()
}

/// HTTP/2 names it in the target (RFC 9113 §8.3.1), and asks for a WebSocket by a method (RFC 8441 §5).
pub(crate) fn http2(request: &mut Request<Body>, websocket: bool) -> Before {
    let before = if websocket { Before::Upgrade(ask_by_method(request)) } else { Before::Version };
    request.headers_mut().remove(header::HOST);
    *request.version_mut() = Version::HTTP_2;
    before
}

/// Turns an upgrade of HTTP/1.1 into an extended `CONNECT`; gives its fields as they were.
fn ask_by_method(request: &mut Request<Body>) -> HeaderMap {
    let fields = request.headers().clone();
    for name in [header::CONNECTION, header::UPGRADE, header::SEC_WEBSOCKET_KEY] {
        request.headers_mut().remove(name);
    }
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    fields
}

impl Before {
    /// Gives a request its form back.
    pub(crate) fn restore(self, mut request: Request<Body>) -> Request<Body> {
        *request.version_mut() = Version::HTTP_11;
        match self {
            Self::Target(target) => *request.uri_mut() = target,
            Self::Version => {}
            Self::Upgrade(fields) => {
                *request.headers_mut() = fields;
                *request.method_mut() = Method::GET;
                request.extensions_mut().remove::<Protocol>();
            }
        }
        request
    }
}
