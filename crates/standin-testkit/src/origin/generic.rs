//! A host without a service: says what it was asked, secrets included.

use super::{Body, reply};
use crate::Seen;
use http::Response;

pub(super) fn answer(seen: &Seen) -> Response<Body> {
    match seen.target.split('?').next().unwrap_or_default() {
        "/redirect" => {
            let mut response = reply(302, "text/plain", "");
            response.headers_mut().insert("location", http::HeaderValue::from_static("https://elsewhere.example/"));
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
