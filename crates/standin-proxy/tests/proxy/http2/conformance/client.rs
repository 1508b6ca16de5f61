//! What origins send us.

use super::{
    COMPRESSION_ERROR, Connection, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, Failures, Met, PROTOCOL_ERROR, Refused, Row,
    STREAM_CLOSED, Stream, Taken, code,
};
use crate::http2::peer::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY, PUSH_PROMISE, Peer,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, fields, frame, reset, settings, window_update,
};
use crate::rig::{API, V, World, collect, get, within};

/// Headers of an answer to our request, which is on stream 1.
fn head(flags: u8, more: &[(&str, &str)]) -> Vec<u8> {
    let list = [&[(":status", "200")][..], more].concat();
    frame(HEADERS, flags, 1, fields(&list))
}

/// An answer without a body.
fn whole(more: &[(&str, &str)]) -> Vec<u8> {
    head(END_HEADERS | END_STREAM, more)
}

/// An answer whose body does not end yet.
fn open() -> Vec<u8> {
    head(END_HEADERS, &[])
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn framing() -> Vec<Row> {
    let after = |first: Vec<u8>, then: Vec<u8>| [first, then].concat();
    vec![
        ("4.1", "a frame of unknown type", after(frame(0xbe, 0, 0, [0; 8]), whole(&[])), Taken),
        ("4.1", "the reserved bit of a stream's number", after(frame(PING, 0, 1 << 31, [0; 8]), whole(&[])), Taken),
        ("4.2", "DATA as large as a frame may be", after(open(), frame(DATA, END_STREAM, 1, [b'x'; 1 << 14])), Taken),
        (
            "4.2",
            "DATA one byte larger",
            after(open(), frame(DATA, 0, 1, [0; (1 << 14) + 1])),
            Connection(FRAME_SIZE_ERROR),
        ),
        (
            "4.3",
            "a head that cannot be decompressed",
            frame(HEADERS, END_HEADERS, 1, [0x80]),
            Connection(COMPRESSION_ERROR),
        ),
        ("5.1", "DATA on an idle stream", frame(DATA, 0, 3, "x"), Connection(PROTOCOL_ERROR)),
        ("5.1", "RST_STREAM on an idle stream", reset(3, 8), Connection(PROTOCOL_ERROR)),
        ("5.1", "WINDOW_UPDATE on an idle stream", window_update(3, 1), Connection(PROTOCOL_ERROR)),
        (
            "5.1",
            "HEADERS on an idle stream",
            frame(HEADERS, END_HEADERS, 3, fields(&[(":status", "200")])),
            Connection(PROTOCOL_ERROR),
        ),
        ("5.1", "DATA after the end", after(whole(&[]), frame(DATA, 0, 1, "x")), Stream(STREAM_CLOSED)),
        (
            "5.1.1",
            "a stream that the origin opens",
            frame(HEADERS, END_HEADERS, 2, fields(&[(":status", "200")])),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "5.5",
            "an unknown frame in the middle of a head",
            after(head(0, &[]), frame(0xbe, 0, 0, [])),
            Connection(PROTOCOL_ERROR),
        ),
        ("6.1", "DATA on stream 0", frame(DATA, 0, 0, "x"), Connection(PROTOCOL_ERROR)),
        (
            "6.1",
            "DATA with more padding than frame",
            after(open(), frame(DATA, PADDED, 1, [3, 0, 0])),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "6.2",
            "HEADERS on stream 0",
            frame(HEADERS, END_HEADERS, 0, fields(&[(":status", "200")])),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "6.2",
            "HEADERS, then PRIORITY before the head is whole",
            after(head(0, &[]), frame(PRIORITY, 0, 1, [0, 0, 0, 0, 16])),
            Connection(PROTOCOL_ERROR),
        ),
        (
            "6.10",
            "CONTINUATION after a whole head",
            after(open(), frame(CONTINUATION, END_HEADERS, 1, [])),
            Connection(PROTOCOL_ERROR),
        ),
        ("8.1", "DATA before the head", frame(DATA, END_STREAM, 1, "x"), Connection(PROTOCOL_ERROR)),
        (
            "8.4",
            "PUSH_PROMISE",
            frame(
                PUSH_PROMISE,
                END_HEADERS,
                1,
                [
                    &[0, 0, 0, 2][..],
                    &fields(&[(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")]),
                ]
                .concat(),
            ),
            Connection(PROTOCOL_ERROR),
        ),
    ]
}

fn control() -> Vec<Row> {
    vec![
        ("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, [0, 0, 0, 0, 16]), Connection(PROTOCOL_ERROR)),
        ("6.4", "RST_STREAM on stream 0", reset(0, 8), Connection(PROTOCOL_ERROR)),
        ("6.4", "RST_STREAM of three bytes", frame(RST_STREAM, 0, 1, [0; 3]), Connection(FRAME_SIZE_ERROR)),
        ("6.5", "SETTINGS acknowledged with values", frame(SETTINGS, ACK, 0, [0; 6]), Connection(FRAME_SIZE_ERROR)),
        ("6.5", "SETTINGS of a stream", frame(SETTINGS, 0, 1, []), Connection(PROTOCOL_ERROR)),
        ("6.5", "SETTINGS of five bytes", frame(SETTINGS, 0, 0, [0; 5]), Connection(FRAME_SIZE_ERROR)),
        // §6.5.2 wants a connection error; the library takes it. A promise is still one: see above.
        ("6.5.2", "ENABLE_PUSH by a server", [settings(&[(2, 1)]), whole(&[])].concat(), Taken),
        ("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", settings(&[(4, 1 << 31)]), Connection(FLOW_CONTROL_ERROR)),
        ("6.5.2", "MAX_FRAME_SIZE below 2^14", settings(&[(5, (1 << 14) - 1)]), Connection(PROTOCOL_ERROR)),
        ("6.5.2", "MAX_FRAME_SIZE of 2^24", settings(&[(5, 1 << 24)]), Connection(PROTOCOL_ERROR)),
        ("6.5.2", "an unknown setting", [settings(&[(0xbe, 1)]), whole(&[])].concat(), Taken),
        ("8441 3", "ENABLE_CONNECT_PROTOCOL of 2", settings(&[(8, 2)]), Connection(PROTOCOL_ERROR)),
        ("6.7", "PING of a stream", frame(PING, 0, 1, [0; 8]), Connection(PROTOCOL_ERROR)),
        ("6.7", "PING of six bytes", frame(PING, 0, 0, [0; 6]), Connection(FRAME_SIZE_ERROR)),
        ("6.8", "GOAWAY of a stream", frame(GOAWAY, 0, 1, [0; 8]), Connection(PROTOCOL_ERROR)),
        ("6.9", "WINDOW_UPDATE by nothing", window_update(0, 0), Connection(PROTOCOL_ERROR)),
        ("6.9", "WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, 0, [0; 3]), Connection(FRAME_SIZE_ERROR)),
        ("6.9.1", "a window of more than 2^31 - 1", window_update(0, (1 << 31) - 1), Connection(FLOW_CONTROL_ERROR)),
    ]
}

fn messages() -> Vec<Row> {
    let only = |list: &[(&str, &str)]| frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(list));
    let body = |length: &str, part: &str| {
        [head(END_HEADERS, &[("content-length", length)]), frame(DATA, END_STREAM, 1, part)].concat()
    };
    let mut rows = vec![
        (
            "8.1",
            "a second head that is no end",
            [open(), frame(HEADERS, END_HEADERS, 1, fields(&[("x", "y")]))].concat(),
            Stream(PROTOCOL_ERROR),
        ),
        ("8.1.1", "less than Content-Length", body("2", "x"), Stream(PROTOCOL_ERROR)),
        ("8.1.1", "more than Content-Length", body("1", "xy"), Stream(PROTOCOL_ERROR)),
        ("8.1.1", "Content-Length and no body", whole(&[("content-length", "1")]), Refused),
        // §8.3 wants it refused; the library leaves it out.
        ("8.3", "a request's pseudo-field", only(&[(":status", "200"), (":path", "/")]), Taken),
        ("8.3", "an unknown pseudo-field", whole(&[(":unknown", "x")]), Stream(PROTOCOL_ERROR)),
        ("8.3", "a pseudo-field after others", only(&[("x", "y"), (":status", "200")]), Stream(PROTOCOL_ERROR)),
        ("8.3.2", "no status", only(&[("x", "y")]), Refused),
        ("8.3.2", "two of them", only(&[(":status", "200"), (":status", "200")]), Stream(PROTOCOL_ERROR)),
        ("8.3.2", "a status that is none", only(&[(":status", "2 0")]), Stream(PROTOCOL_ERROR)),
        ("8.6", "101", only(&[(":status", "101")]), Refused),
    ];
    for name in ["Upper", "a b", "a\0b", "a:b", ""] {
        rows.push(("8.2.1", "a name that is none", whole(&[(name, "x")]), Stream(PROTOCOL_ERROR)));
    }
    for value in ["a\rb", "a\nb", "a\0b"] {
        rows.push(("8.2.1", "a value that is none", whole(&[("x", value)]), Stream(PROTOCOL_ERROR)));
    }
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
        rows.push(("8.2.2", "a field of the connection", whole(&[(name, "x")]), Stream(PROTOCOL_ERROR)));
    }
    rows
}

/// Answers our request so. Tells what becomes of that, and whether the client got the whole of an answer of the origin's.
async fn meet(world: &World, frames: &[u8]) -> (Met, bool) {
    let mut asker = world.asker(API, V::H2).await;
    let answered = asker.ask(get("/x"));
    let mut peer = Peer::origin(world.origin.accept_h2().await, &[]).await;
    peer.next_of(HEADERS, 1).await.unwrap();
    drop(peer.send(frames).await);
    let mut met = Taken;
    // What it says of a stream may come after its answer to one ping, and before that to the next.
    for mark in ["all said", "and more"] {
        drop(peer.send(frame(PING, 0, 0, mark)).await);
        while let Some(frame) = peer.next().await {
            match frame.kind {
                RST_STREAM => met = Stream(code(&frame.payload)),
                GOAWAY => met = Connection(peer.goaway().await.unwrap()),
                PING if frame.flags & ACK != 0 && frame.payload == mark.as_bytes() => break,
                _ => {}
            }
        }
    }
    drop(peer);
    let whole = match answered.await.unwrap() {
        Ok(answer) => answer.status() == 200 && collect(answer.into_body()).await.is_ok(),
        Err(_) => false,
    };
    (if met == Taken && !whole { Refused } else { met }, whole)
}

async fn check(rows: Vec<Row>) {
    let world = World::new().await;
    let mut failures = Failures::default();
    for (section, what, frames, expected) in rows {
        let (met, whole) = meet(&world, &frames).await;
        failures.compare(section, what, met, expected);
        // Whoever breaks the rules has not answered, unless that was after the answer's end.
        assert_eq!(whole, matches!(met, Taken | Stream(STREAM_CLOSED)), "{what}");
    }
    failures.none();
    world.end().await;
}

#[tokio::test]
async fn framing_of_origins() {
    within(check(framing())).await;
}

#[tokio::test]
async fn control_of_origins() {
    within(check(control())).await;
}

#[tokio::test]
async fn messages_of_origins() {
    within(check(messages())).await;
}
