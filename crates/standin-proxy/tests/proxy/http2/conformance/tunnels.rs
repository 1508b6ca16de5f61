//! What clients ask for in the way of tunnels (RFC 9113 §8.5, RFC 8441 §4).

use super::server::{Requests, check};
use super::{PROTOCOL_ERROR, Row, Stream};
use crate::http2::peer::{END_HEADERS, END_STREAM, HEADERS, fields, frame};
use crate::rig::within;

fn rows(requests: &Requests) -> Vec<Row> {
    let whole = |list: &[(&str, &str)]| frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(list));
    let (method, connect, protocol) = ((":method", "GET"), (":method", "CONNECT"), (":protocol", "websocket"));
    let (scheme, authority, path) =
        ((":scheme", "https"), (":authority", requests.0.as_str()), (":path", "/unanswered"));
    vec![
        ("8441 4", "a protocol of a GET", whole(&[method, protocol, scheme, authority, path]), Stream(PROTOCOL_ERROR)),
        ("8441 4", "a tunnel without a path", whole(&[connect, protocol, scheme, authority]), Stream(PROTOCOL_ERROR)),
        ("8441 4", "a tunnel without a scheme", whole(&[connect, protocol, authority, path]), Stream(PROTOCOL_ERROR)),
        (
            "8441 4",
            "two protocols",
            whole(&[connect, protocol, protocol, scheme, authority, path]),
            Stream(PROTOCOL_ERROR),
        ),
        ("8.5", "a CONNECT with a path", whole(&[connect, scheme, authority, path]), Stream(PROTOCOL_ERROR)),
    ]
}

#[tokio::test]
async fn tunnels() {
    within(check(rows)).await;
}
