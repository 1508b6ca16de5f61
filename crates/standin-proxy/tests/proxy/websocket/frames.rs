//! Framing, as the Autobahn test suite has it (its groups 1 to 6 and 9), through the proxy and on every pairing of legs.

use super::handshake::{ALIKE, LEGS, Legs, open};
use super::peer::{BINARY, CONTINUE, LAST, PING, PONG, RSV1, TEXT, frame};
use crate::rig::{World, within};

/// What it is, and frames by their first byte and payload.
type Case<'a> = (&'a str, Vec<(u8, &'a [u8])>);

/// Groups 1.x and 9.x: every length at which a head changes its form, and large ones.
#[tokio::test]
async fn messages_of_every_size_pass_both_ways() {
    for legs in ALIKE {
        within(async {
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            for length in [0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 1 << 20] {
                for kind in [TEXT, BINARY] {
                    let payload = vec![b'*'; length];
                    let ((), got) = tokio::join!(client.send(LAST | kind, &payload), origin.message());
                    assert!(got == (kind, payload.clone()), "{length} bytes out");
                    let ((), got) = tokio::join!(origin.send(LAST | kind, &payload), client.message());
                    assert!(got == (kind, payload), "{length} bytes back");
                }
            }
            bye(client, origin).await;
            world.end().await;
        })
        .await;
        within(async {
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            let payload = vec![b'*'; 16 << 20];
            let ((), got) = tokio::join!(client.send(LAST | BINARY, &payload), origin.message());
            assert!(got == (BINARY, payload.clone()), "16 MiB out");
            let ((), got) = tokio::join!(origin.send(LAST | TEXT, &payload), client.message());
            assert!(got == (TEXT, payload), "16 MiB back");
            bye(client, origin).await;
            world.end().await;
        })
        .await;
    }
}

/// Up to 64 KiB a message in one frame stays in one, also if it comes byte by byte (1.1.8, 1.2.8).
#[tokio::test]
async fn a_small_message_keeps_its_frame() {
    for legs in LEGS {
        within(async {
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            let payload = "*".repeat(300);
            for byte in frame(LAST | TEXT, payload.as_bytes(), true) {
                client.raw(&[byte]).await;
            }
            origin.expect(LAST | TEXT, &payload).await;
            let payload = vec![0xfe; 60_000];
            let bytes = frame(LAST | BINARY, &payload, false);
            for piece in bytes.chunks(997) {
                origin.raw(piece).await;
            }
            client.expect(LAST | BINARY, &payload).await;
            bye(client, origin).await;
            world.end().await;
        })
        .await;
    }
}

/// Groups 2.x and 5.x: control frames pass at once, also within a message, which goes on after them.
#[tokio::test]
async fn control_frames_pass_between_fragments() {
    for legs in LEGS {
        within(async {
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            for payload in [&b""[..], b"Hello", &[0, 0xff, 0xfe, 0xfd], &[0xfe; 125]] {
                client.send(LAST | PING, payload).await;
                origin.expect(LAST | PING, payload).await;
                origin.send(LAST | PONG, payload).await;
                client.expect(LAST | PONG, payload).await;
                origin.send(LAST | PING, payload).await;
                client.expect(LAST | PING, payload).await;
            }
            client.send(TEXT, "first ").await;
            origin.expect(TEXT, "first ").await;
            client.send(LAST | PING, "in between").await;
            origin.expect(LAST | PING, "in between").await;
            origin.send(LAST | PONG, "in between").await;
            client.expect(LAST | PONG, "in between").await;
            client.send(CONTINUE, "").await; // says nothing, and is not passed on
            client.send(CONTINUE, "second ").await;
            origin.expect(CONTINUE, "second ").await;
            client.send(LAST | CONTINUE, "").await;
            origin.expect(LAST | CONTINUE, "").await;
            bye(client, origin).await;
            world.end().await;
        })
        .await;
    }
}

/// Groups 2.5, 3.x, 4.x and 5.x: what breaks the protocol ends the WebSocket, whoever breaks it. The one to blame gets
/// 1002, and the other side is told that it is over.
#[tokio::test]
async fn broken_frames_end_the_websocket() {
    let long = [0xfe; 126];
    let cases: Vec<Case<'_>> = vec![
        ("a ping of 126 bytes", vec![(LAST | PING, &long)]),
        ("RSV1 without an extension", vec![(LAST | RSV1 | TEXT, b"x")]),
        ("RSV2", vec![(LAST | 0x20 | TEXT, b"x")]),
        ("RSV3", vec![(LAST | 0x10 | BINARY, b"x")]),
        ("RSV2 and RSV3 in a ping", vec![(LAST | 0x30 | PING, b"x")]),
        ("opcode 3", vec![(LAST | 0x3, b"")]),
        ("opcode 7", vec![(LAST | 0x7, b"x")]),
        ("opcode 11", vec![(LAST | 0xb, b"")]),
        ("opcode 15", vec![(LAST | 0xf, b"x")]),
        ("a fragmented ping", vec![(PING, b"x")]),
        ("a fragmented pong", vec![(PONG, b"x")]),
        ("a continuation of nothing", vec![(CONTINUE, b"x")]),
        ("a last continuation of nothing", vec![(LAST | CONTINUE, b"x")]),
        ("a continuation after the end", vec![(TEXT, b"x"), (LAST | CONTINUE, b"x"), (CONTINUE, b"x")]),
        ("a text within a text", vec![(TEXT, b"x"), (LAST | TEXT, b"x")]),
        ("a binary within a text", vec![(TEXT, b"x"), (BINARY, b"x")]),
        ("RSV1 in a continuation", vec![(TEXT, b"x"), (LAST | RSV1 | CONTINUE, b"x")]),
    ];
    for legs in ALIKE {
        for (name, frames) in &cases {
            for masked in [true, false] {
                let bytes: Vec<u8> =
                    frames.iter().flat_map(|(first, payload)| frame(*first, payload, masked)).collect();
                broken(legs, name, &bytes, masked, 1002).await;
            }
        }
        // 4.x of section 5.1 of the RFC: masks where they belong, and nowhere else.
        broken(legs, "a client's frame without a mask", &frame(LAST | TEXT, b"x", false), true, 1002).await;
        broken(legs, "a server's frame with one", &frame(LAST | TEXT, b"x", true), false, 1002).await;
        // §5.2: the shortest form, and 63 bits.
        broken(legs, "16 bits for 5", &[0x81, 0xfe, 0, 5, 0, 0, 0, 0], true, 1002).await;
        broken(legs, "64 bits for 5", &[0x81, 127, 0, 0, 0, 0, 0, 0, 0, 5], false, 1002).await;
        broken(legs, "64 bits set", &[0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 5], false, 1002).await;
    }
}

/// Groups 6.x: a text that is not UTF-8, in whatever pieces, ends the WebSocket with 1007.
#[tokio::test]
async fn texts_are_utf8() {
    for legs in ALIKE {
        for masked in [true, false] {
            for text in [
                &b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"[..],
                b"\x80",
                b"\xc0\xaf",
                b"\xf4\x90\x80\x80",
                b"\xff",
                b"ends in the middle \xe2\x82",
            ] {
                broken(legs, "not UTF-8", &frame(LAST | TEXT, text, masked), masked, 1007).await;
                let (a, b) = text.split_at(text.len() / 2);
                let pieces = [frame(TEXT, a, masked), frame(LAST | CONTINUE, b, masked)].concat();
                broken(legs, "not UTF-8, in pieces", &pieces, masked, 1007).await;
            }
        }
        within(async {
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            let text = "Hello-µ@ßöäüàá-UTF-8!! κόσμε 😀";
            for cut in 0..=text.len() {
                client.send(TEXT, &text.as_bytes()[..cut]).await;
                client.send(LAST | CONTINUE, &text.as_bytes()[cut..]).await;
                assert_eq!(origin.message().await, (TEXT, text.into()));
                origin.send(TEXT, &text.as_bytes()[..cut]).await;
                origin.send(LAST | CONTINUE, &text.as_bytes()[cut..]).await;
                assert_eq!(client.message().await, (TEXT, text.into()));
            }
            // In a binary message anything goes.
            client.send(LAST | BINARY, b"\xff\x80").await;
            origin.expect(LAST | BINARY, b"\xff\x80").await;
            bye(client, origin).await;
            world.end().await;
        })
        .await;
    }
}

/// One side sends `bytes`, which the other side must not see as they are. Each is watched for itself, since there are many.
pub async fn broken(legs: impl Into<Legs>, name: &str, bytes: &[u8], by_client: bool, code: u16) {
    within(sent_broken(legs.into(), name, bytes, by_client, code)).await;
}

async fn sent_broken(legs: Legs, name: &str, bytes: &[u8], by_client: bool, code: u16) {
    let world = World::new().await;
    let (mut client, mut origin) = open(&world, legs).await;
    if by_client {
        client.raw(bytes).await;
        assert!(client.expect_close(code).await.starts_with("Standin: "), "{name}");
        assert_eq!(origin.expect_close(1001).await, "", "{name}");
    } else {
        origin.raw(bytes).await;
        assert!(origin.expect_close(code).await.starts_with("Standin: "), "{name}");
        client.expect_close(1014).await;
    }
    client.ended().await;
    origin.ended().await;
    drop((client, origin));
    let rows = world.end().await;
    let row = rows.last().unwrap();
    let (reason, outcome) = if by_client { (Some("http.malformed"), "denied") } else { (None, "upstream_closed") };
    assert_eq!((row.reason.as_deref(), row.outcome.as_str()), (reason, outcome), "{name}: {row:?}");
    assert_eq!(row.protocol, "websocket", "{name}");
}

/// Both sides close as they should.
pub async fn bye(mut client: super::peer::End, mut origin: super::peer::End) {
    client.close(1000).await;
    assert_eq!(origin.expect_close(1000).await, "");
    origin.close(1000).await;
    assert_eq!(client.expect_close(1000).await, "");
    client.ended().await;
    origin.ended().await;
}
