//! What clients send us.

use super::{
    COMPRESSION_ERROR, Connection, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, Failures, LAST, PROTOCOL_ERROR,
    REFUSED_STREAM, Refused, Row, STREAM_CLOSED, Stream, Taken, meet,
};
use crate::http2::peer::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITIZED, PRIORITY,
    PUSH_PROMISE, Peer, RST_STREAM, SETTINGS, WINDOW_UPDATE, fields, frame, remembered, reset, settings, window_update,
};
use crate::rig::{OPEN, World, within};

/// Frames of requests to one host.
pub(super) struct Requests(pub(super) String);

impl Requests {
    /// The fields of a request, and further ones.
    fn fields(&self, method: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let usual = [(":method", method), (":scheme", "https"), (":authority", &self.0), (":path", "/unanswered")];
        fields(&[&usual[..], more].concat())
    }

    /// A whole request that we refuse ourselves.
    pub(super) fn refused(&self, stream: u32) -> Vec<u8> {
        let usual = [(":method", "GET"), (":scheme", "https"), (":authority", &self.0), (":path", "/closed")];
        frame(HEADERS, END_HEADERS | END_STREAM, stream, fields(&usual))
    }

    /// A whole request on stream 1, with these fields besides the usual ones.
    fn with(&self, more: &[(&str, &str)]) -> Vec<u8> {
        frame(HEADERS, END_HEADERS | END_STREAM, 1, self.fields("GET", more))
    }

    /// A request on stream 1 whose body does not end yet.
    fn open(&self, more: &[(&str, &str)]) -> Vec<u8> {
        frame(HEADERS, END_HEADERS, 1, self.fields("POST", more))
    }

    /// The frames of a connection and of streams.
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn framing(&self) -> Vec<Row> {
        let whole = self.with(&[]);
        let open = self.open(&[]);
        let after = |first: &[u8], then: Vec<u8>| [first, &then].concat();
        let more = || frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(&[("x", "y")]));
        let part = |flags| frame(HEADERS, flags, 1, self.fields("GET", &[]));
        vec![
            ("4.1", "a frame of unknown type", frame(0xbe, 0, 0, [0; 8]), Taken),
            ("4.1", "flags that mean nothing", frame(PING, 0xf6, 0, [0; 8]), Taken),
            ("4.1", "the reserved bit of a stream's number", frame(PING, 0, 1 << 31, [0; 8]), Taken),
            ("4.2", "DATA as large as a frame may be", after(&open, frame(DATA, 0, 1, [0; 1 << 14])), Taken),
            (
                "4.2",
                "DATA one byte larger",
                after(&open, frame(DATA, 0, 1, [0; (1 << 14) + 1])),
                Connection(FRAME_SIZE_ERROR),
            ),
            (
                "4.2",
                "HEADERS larger than a frame may be",
                frame(HEADERS, END_HEADERS, 1, [0; (1 << 14) + 1]),
                Connection(FRAME_SIZE_ERROR),
            ),
            ("5.1", "DATA on an idle stream", frame(DATA, 0, 1, "x"), Connection(PROTOCOL_ERROR)),
            ("5.1", "RST_STREAM on an idle stream", reset(1, 8), Connection(PROTOCOL_ERROR)),
            ("5.1", "WINDOW_UPDATE on an idle stream", window_update(1, 1), Connection(PROTOCOL_ERROR)),
            (
                "5.1",
                "CONTINUATION on an idle stream",
                frame(CONTINUATION, END_HEADERS, 1, []),
                Connection(PROTOCOL_ERROR),
            ),
            ("5.1", "DATA after the end", after(&whole, frame(DATA, 0, 1, "x")), Stream(STREAM_CLOSED)),
            ("5.1", "HEADERS after the end", after(&whole, more()), Stream(STREAM_CLOSED)),
            (
                "5.1",
                "CONTINUATION after the end",
                after(&whole, frame(CONTINUATION, END_HEADERS, 1, [])),
                Connection(PROTOCOL_ERROR),
            ),
            ("5.1", "WINDOW_UPDATE after the end", after(&whole, window_update(1, 1)), Taken),
            (
                "5.1",
                "DATA after RST_STREAM",
                [open.clone(), reset(1, 8), frame(DATA, 0, 1, "x")].concat(),
                Stream(STREAM_CLOSED),
            ),
            ("5.1", "HEADERS after RST_STREAM", [open.clone(), reset(1, 8), more()].concat(), Stream(STREAM_CLOSED)),
            ("5.1", "WINDOW_UPDATE after RST_STREAM", [open.clone(), reset(1, 8), window_update(1, 1)].concat(), Taken),
            (
                "5.1.1",
                "a stream with an even number",
                frame(HEADERS, END_HEADERS | END_STREAM, 2, self.fields("GET", &[])),
                Connection(PROTOCOL_ERROR),
            ),
            (
                "5.1.1",
                "a number smaller than the last",
                [self.refused(5), self.refused(3)].concat(),
                Connection(PROTOCOL_ERROR),
            ),
            (
                "5.1.2",
                "one stream more than may be open",
                (0..=250).flat_map(|n| frame(HEADERS, END_HEADERS, 2 * n + 1, self.fields("POST", &[]))).collect(),
                Stream(REFUSED_STREAM),
            ),
            (
                "5.5",
                "an unknown frame in the middle of a head",
                [part(0), frame(0xbe, 0, 0, []), frame(CONTINUATION, END_HEADERS, 1, [])].concat(),
                Connection(PROTOCOL_ERROR),
            ),
            ("6.1", "DATA on stream 0", frame(DATA, 0, 0, "x"), Connection(PROTOCOL_ERROR)),
            ("6.1", "DATA with padding", after(&open, frame(DATA, PADDED, 1, [1, b'x', 0])), Taken),
            (
                "6.1",
                "DATA with more padding than frame",
                after(&open, frame(DATA, PADDED, 1, [3, 0, 0])),
                Connection(PROTOCOL_ERROR),
            ),
            (
                "6.2",
                "HEADERS on stream 0",
                frame(HEADERS, END_HEADERS | END_STREAM, 0, self.fields("GET", &[])),
                Connection(PROTOCOL_ERROR),
            ),
            (
                "6.2",
                "HEADERS with more padding than frame",
                frame(HEADERS, PADDED | END_HEADERS, 1, [3, 0, 0]),
                Connection(PROTOCOL_ERROR),
            ),
            (
                "6.2",
                "HEADERS, then PRIORITY before the head is whole",
                after(&part(END_STREAM), frame(PRIORITY, 0, 1, [0, 0, 0, 0, 16])),
                Connection(PROTOCOL_ERROR),
            ),
            (
                "6.2",
                "HEADERS, then HEADERS of another stream",
                after(&part(END_STREAM), self.refused(3)),
                Connection(PROTOCOL_ERROR),
            ),
            (
                "6.2",
                "HEADERS with a priority",
                frame(
                    HEADERS,
                    PRIORITIZED | END_HEADERS | END_STREAM,
                    1,
                    [&[0, 0, 0, 0, 16][..], &self.fields("GET", &[])].concat(),
                ),
                Taken,
            ),
            (
                "6.10",
                "CONTINUATION on stream 0",
                after(&part(0), frame(CONTINUATION, END_HEADERS, 0, [])),
                Connection(PROTOCOL_ERROR),
            ),
            (
                "6.10",
                "CONTINUATION after a whole head",
                after(&open, frame(CONTINUATION, END_HEADERS, 1, [])),
                Connection(PROTOCOL_ERROR),
            ),
            (
                "6.10",
                "CONTINUATION after DATA",
                [part(0), frame(DATA, 0, 1, "x"), frame(CONTINUATION, END_HEADERS, 1, [])].concat(),
                Connection(PROTOCOL_ERROR),
            ),
            (
                "6.10",
                "a head in three frames",
                [part(0), frame(CONTINUATION, 0, 1, fields(&[("x", "y")])), frame(CONTINUATION, END_HEADERS, 1, [])]
                    .concat(),
                Taken,
            ),
            ("8.4", "PUSH_PROMISE", frame(PUSH_PROMISE, END_HEADERS, 1, [0, 0, 0, 2]), Connection(PROTOCOL_ERROR)),
        ]
    }

    /// Frames that manage the connection.
    fn control(&self) -> Vec<Row> {
        let whole = self.with(&[]);
        vec![
            ("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, [0, 0, 0, 0, 16]), Connection(PROTOCOL_ERROR)),
            (
                "6.3",
                "PRIORITY of four bytes",
                [whole.clone(), frame(PRIORITY, 0, 1, [0; 4])].concat(),
                Stream(FRAME_SIZE_ERROR),
            ),
            ("6.3", "PRIORITY of an idle stream", frame(PRIORITY, 0, 7, [0, 0, 0, 0, 16]), Taken),
            ("6.4", "RST_STREAM on stream 0", reset(0, 8), Connection(PROTOCOL_ERROR)),
            (
                "6.4",
                "RST_STREAM of three bytes",
                [whole.clone(), frame(RST_STREAM, 0, 1, [0; 3])].concat(),
                Connection(FRAME_SIZE_ERROR),
            ),
            ("7", "RST_STREAM with an unknown code", [whole.clone(), reset(1, 0xbeef)].concat(), Taken),
            ("6.5", "SETTINGS acknowledged with values", frame(SETTINGS, ACK, 0, [0; 6]), Connection(FRAME_SIZE_ERROR)),
            ("6.5", "SETTINGS of a stream", frame(SETTINGS, 0, 1, []), Connection(PROTOCOL_ERROR)),
            ("6.5", "SETTINGS of five bytes", frame(SETTINGS, 0, 0, [0; 5]), Connection(FRAME_SIZE_ERROR)),
            ("6.5.2", "ENABLE_PUSH of 2", settings(&[(2, 2)]), Connection(PROTOCOL_ERROR)),
            ("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", settings(&[(4, 1 << 31)]), Connection(FLOW_CONTROL_ERROR)),
            ("6.5.2", "MAX_FRAME_SIZE below 2^14", settings(&[(5, (1 << 14) - 1)]), Connection(PROTOCOL_ERROR)),
            ("6.5.2", "MAX_FRAME_SIZE of 2^24", settings(&[(5, 1 << 24)]), Connection(PROTOCOL_ERROR)),
            ("6.5.2", "an unknown setting", settings(&[(0xbe, 1)]), Taken),
            ("6.7", "PING of a stream", frame(PING, 0, 1, [0; 8]), Connection(PROTOCOL_ERROR)),
            ("6.7", "PING of six bytes", frame(PING, 0, 0, [0; 6]), Connection(FRAME_SIZE_ERROR)),
            ("6.7", "the answer to a PING that was not sent", frame(PING, ACK, 0, [0; 8]), Taken),
            ("6.8", "GOAWAY of a stream", frame(GOAWAY, 0, 1, [0; 8]), Connection(PROTOCOL_ERROR)),
            ("6.9", "WINDOW_UPDATE by nothing", window_update(0, 0), Connection(PROTOCOL_ERROR)),
            (
                "6.9",
                "WINDOW_UPDATE of a stream by nothing",
                [whole.clone(), window_update(1, 0)].concat(),
                Stream(PROTOCOL_ERROR),
            ),
            ("6.9", "WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, 0, [0; 3]), Connection(FRAME_SIZE_ERROR)),
            (
                "6.9.1",
                "a window of more than 2^31 - 1",
                window_update(0, (1 << 31) - 1),
                Connection(FLOW_CONTROL_ERROR),
            ),
            (
                "6.9.1",
                "a stream's window of more",
                [whole, window_update(1, (1 << 31) - 1)].concat(),
                Stream(FLOW_CONTROL_ERROR),
            ),
            ("8441 3", "ENABLE_CONNECT_PROTOCOL of 2", settings(&[(8, 2)]), Connection(PROTOCOL_ERROR)),
        ]
    }

    /// Heads and what they promise.
    fn messages(&self) -> Vec<Row> {
        let head = |list: &[(&str, &str)]| frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(list));
        let body = |length: &str, parts: &[&str]| {
            let mut frames = self.open(&[("content-length", length)]);
            for (n, part) in parts.iter().enumerate() {
                let end = if n + 1 == parts.len() { END_STREAM } else { 0 };
                frames.extend(frame(DATA, end, 1, part));
            }
            frames
        };
        let trailers = |flags, list: &[(&str, &str)]| [self.open(&[]), frame(HEADERS, flags, 1, fields(list))].concat();
        let (method, scheme, authority, path) =
            ((":method", "GET"), (":scheme", "https"), (":authority", self.0.as_str()), (":path", "/unanswered"));
        let mut rows = vec![
            ("8.1", "a second head without END_STREAM", trailers(END_HEADERS, &[("x", "y")]), Stream(PROTOCOL_ERROR)),
            // §8.1 wants a stream error; the library leaves the pseudo-field out (SPECIFICATION.md, known limits).
            ("8.1", "pseudo-fields in trailers", trailers(END_HEADERS | END_STREAM, &[method]), Taken),
            ("8.1.1", "less than Content-Length", body("2", &["x"]), Stream(PROTOCOL_ERROR)),
            ("8.1.1", "more than Content-Length", body("1", &["xy"]), Stream(PROTOCOL_ERROR)),
            ("8.1.1", "more than Content-Length in all", body("3", &["xy", "xy"]), Stream(PROTOCOL_ERROR)),
            (
                "8.1.1",
                "Content-Length and no body",
                frame(HEADERS, END_HEADERS | END_STREAM, 1, self.fields("POST", &[("content-length", "1")])),
                Stream(PROTOCOL_ERROR),
            ),
            ("8.2.2", "TE: trailers", self.with(&[("te", "trailers")]), Taken),
            ("8.2.3", "Cookie in crumbs", self.with(&[("cookie", "a=b"), ("cookie", "c=d")]), Taken),
            ("8.3", "an unknown pseudo-field", self.with(&[(":unknown", "x")]), Stream(PROTOCOL_ERROR)),
            (
                "8.3",
                "an answer's pseudo-field",
                head(&[method, scheme, authority, path, (":status", "200")]),
                Stream(PROTOCOL_ERROR),
            ),
            (
                "8.3",
                "a pseudo-field after others",
                head(&[method, scheme, authority, ("x", "y"), path]),
                Stream(PROTOCOL_ERROR),
            ),
            ("8.3.1", "an empty path", head(&[method, scheme, authority, (":path", "")]), Stream(PROTOCOL_ERROR)),
            ("8.3.1", "no method", head(&[scheme, authority, path]), Stream(PROTOCOL_ERROR)),
            ("8.3.1", "no scheme", head(&[method, authority, path]), Stream(PROTOCOL_ERROR)),
            ("8.3.1", "no path", head(&[method, scheme, authority]), Stream(PROTOCOL_ERROR)),
            ("8.3.1", "two methods", head(&[method, method, scheme, authority, path]), Stream(PROTOCOL_ERROR)),
            ("8.3.1", "two schemes", head(&[method, scheme, scheme, authority, path]), Stream(PROTOCOL_ERROR)),
            ("8.3.1", "two paths", head(&[method, scheme, authority, path, path]), Stream(PROTOCOL_ERROR)),
            ("8.3.1", "two authorities", head(&[method, scheme, authority, authority, path]), Stream(PROTOCOL_ERROR)),
        ];
        for name in ["Upper", "a b", "a\tb", "a\0b", "a\u{7f}b", "a:b", ""] {
            rows.push(("8.2.1", "a name that is none", self.with(&[(name, "x")]), Stream(PROTOCOL_ERROR)));
        }
        for value in ["a\rb", "a\nb", "a\0b"] {
            rows.push(("8.2.1", "a value that is none", self.with(&[("x", value)]), Stream(PROTOCOL_ERROR)));
        }
        for value in [" a", "a ", "\ta"] {
            rows.push(("8.2.1", "space around a value", self.with(&[("x", value)]), Refused));
        }
        for (name, value) in [
            ("connection", "x"),
            ("keep-alive", "x"),
            ("proxy-connection", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "x"),
            ("te", "gzip"),
            ("te", "trailers, deflate"),
        ] {
            rows.push(("8.2.2", "a field of the connection", self.with(&[(name, value)]), Stream(PROTOCOL_ERROR)));
        }
        rows
    }

    /// Heads as their compression writes them (RFC 7541).
    fn compression(&self) -> Vec<Row> {
        let usual = self.fields("GET", &[]);
        let before = |bytes: &[u8]| frame(HEADERS, END_HEADERS | END_STREAM, 1, [bytes, &usual].concat());
        let after = |bytes: &[u8]| frame(HEADERS, END_HEADERS | END_STREAM, 1, [&usual, bytes].concat());
        let broken = Connection(COMPRESSION_ERROR);
        vec![
            ("4.3", "a literal that is cut", after(&[0x00, 0x05, b'a']), broken),
            ("7541 2.3.3", "an index past the table", after(&[0x80 | 0x46]), broken),
            ("7541 2.3.3", "a name's index past the table", after(&[0x40 | 0x3f, 70 - 63, 1, b'x']), broken),
            ("7541 4.2", "a change of the table's size at the end", after(&[0x20]), broken),
            (
                "7541 5.1",
                "an integer that does not end",
                after(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
                broken,
            ),
            (
                "7541 5.2",
                "Huffman's code with eight bits of padding",
                after(&[0x00, 1, b'x', 0x82, 0x1f, 0xff]),
                broken,
            ),
            ("7541 5.2", "padding that is not of ones", after(&[0x00, 1, b'x', 0x81, 0x18]), broken),
            ("7541 5.2", "the end's own symbol", after(&[0x00, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]), broken),
            ("7541 6.1", "index 0", after(&[0x80]), broken),
            (
                "7541 6.2.1",
                "a field that is remembered",
                after(&[remembered("x", "y"), vec![0x80 | 0x3e]].concat()),
                Taken,
            ),
            ("7541 6.3", "a table larger than agreed", before(&[0x3f, 0xe2, 0x1f]), broken),
            ("7541 6.3", "a table as large as agreed", before(&[0x3f, 0xe1, 0x1f]), Taken),
        ]
    }
}

pub(super) async fn check(rows: impl Fn(&Requests) -> Vec<Row>) {
    let world = World::new().await;
    let requests = Requests(world.authority(OPEN));
    let mut failures = Failures::default();
    for (section, what, frames, expected) in rows(&requests) {
        let mut peer = Peer::client(world.client_h2(OPEN).await, &[]).await;
        let met = meet(&mut peer, &frames, &requests.refused(LAST)).await;
        failures.compare(section, what, met, expected);
    }
    failures.none();
    world.end().await;
}

#[tokio::test]
async fn framing() {
    within(check(Requests::framing)).await;
}

#[tokio::test]
async fn control() {
    within(check(Requests::control)).await;
}

#[tokio::test]
async fn messages() {
    within(check(Requests::messages)).await;
}

#[tokio::test]
async fn compression() {
    within(check(Requests::compression)).await;
}
