//! A host without a service: says what it was asked, secrets included.

use super::{Body, reply};
use crate::Seen;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, Full};

pub(super) fn answer(seen: &Seen) -> Response<Body> {
    match seen.target.split('?').next().unwrap_or_default() {
        _ if seen.header("content-type") == Some("application/grpc") => grpc(),
        "/redirect" => {
            let mut response = reply(302, "text/plain", "");
            response.headers_mut().insert("location", HeaderValue::from_static("https://elsewhere.example/"));
            response
        }
        path if path.starts_with("/bytes/") => {
            let count = path["/bytes/".len()..].parse().unwrap_or(0);
            reply(200, "application/octet-stream", vec![b'x'; count])
        }
        _ => {
            let mut response = reply(200, "application/json", serde_json::to_vec(seen).unwrap_or_default());
            // Back in a header, too.
            if let Some(key) = seen.header("authorization").and_then(|key| key.parse().ok()) {
                response.headers_mut().insert("x-echo", key);
            }
            response
        }
    }
}

/// The answer to any gRPC call: one message, not compressed, and success in a trailer.
fn grpc() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let message = Full::new(Bytes::from_static(b"\0\0\0\0\x05hello"));
    let body = message.with_trailers(std::future::ready(Some(Ok(trailers))));
    Response::builder()
        .header("content-type", "application/grpc")
        .body(body.boxed_unsync())
        .expect("our own headers are valid")
}
