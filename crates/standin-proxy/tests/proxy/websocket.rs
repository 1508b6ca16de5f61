//! A WebSocket (RFC 6455) towards HTTP/1.1: bytes both ways, scrubbed on the way back, one record.

use crate::rig::{API, SECRET, STAND_IN, Setup, Wire, World, holds_secret, within};

/// Both sides after the handshake.
async fn open(world: &World) -> (Wire, Wire) {
    let host = world.authority(API);
    let mut client = world.client(API).await;
    client
        .send(format!(
            "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Extensions: permessage-deflate\r\nAuthorization: Bearer {STAND_IN}\r\n\r\n"
        ))
        .await;
    let mut origin = world.origin.accept().await;
    let head = origin.head().await.to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
    assert!(!head.contains("extensions"), "none is offered: {head}");
    assert!(head.contains(&SECRET.to_ascii_lowercase()), "the credential is put in");
    origin
        .send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )
        .await;
    let head = client.head().await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("sec-websocket-accept: "), "{head}");
    (client, origin)
}

/// A short text frame, unmasked as a server's (RFC 6455 §5.2).
fn frame(text: &str) -> Vec<u8> {
    [&[0x81, u8::try_from(text.len()).expect("short")], text.as_bytes()].concat()
}

#[tokio::test]
async fn frames_pass_both_ways_and_the_secret_does_not() {
    within(async {
        let world = World::new().await;
        let (mut client, mut origin) = open(&world).await;
        for text in ["hello!", "what key?"] {
            client.send(frame(text)).await;
            origin.expect(frame(text)).await;
        }
        let told = frame(&format!("it is {SECRET}!"));
        // Cut within the secret: its first half waits for the rest.
        let (first, second) = told.split_at(20);
        origin.send(first).await;
        client.expect(&frame(&format!("it is {STAND_IN}!"))[..8]).await;
        origin.send(second).await;
        client.expect(&frame(&format!("it is {STAND_IN}!"))[8..]).await;
        client.shut().await;
        assert_eq!(origin.rest().await.unwrap(), b"");
        drop((client, origin));
        let told = told.len();
        world.finish(&[&format!("websocket GET /ws 101 completed out 19 in {told}")]).await;
    })
    .await;
}

#[tokio::test]
async fn the_origin_may_close_first() {
    within(async {
        let world = World::new().await;
        let (mut client, mut origin) = open(&world).await;
        origin.send(frame("bye!")).await;
        origin.shut().await;
        assert_eq!(client.rest().await.unwrap(), frame("bye!"));
        drop((client, origin));
        world.finish(&["websocket GET /ws 101 completed in 6"]).await;
    })
    .await;
}

/// A tail that may be the beginning of a secret is given out at the end.
#[tokio::test]
async fn what_is_held_back_comes_at_the_end() {
    within(async {
        let world = World::new().await;
        let (mut client, mut origin) = open(&world).await;
        origin.send(format!("x{}", &SECRET[..10])).await;
        client.expect("x").await;
        origin.shut().await;
        let rest = client.rest().await.unwrap();
        assert_eq!(String::from_utf8(rest).unwrap(), SECRET[..10]);
        drop((client, origin));
        world.finish(&["websocket GET /ws 101 completed in 11"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_breaks_off_is_the_one_to_blame() {
    within(async {
        let world = World::new().await;
        let (client, mut origin) = open(&world).await;
        client.cut();
        origin.until_gone().await;
        drop(origin);
        world.finish(&["websocket GET /ws 101 downstream_closed"]).await;
    })
    .await;
}

#[tokio::test]
async fn an_origin_that_breaks_off_is_the_one_to_blame() {
    within(async {
        let world = World::new().await;
        let (mut client, origin) = open(&world).await;
        origin.cut();
        client.until_gone().await;
        drop(client);
        world.finish(&["websocket GET /ws 101 upstream_closed"]).await;
    })
    .await;
}

/// An origin that does not want a WebSocket answers as usual, and the connection goes on.
#[tokio::test]
async fn an_upgrade_may_be_declined() {
    within(async {
        let world = World::new().await;
        let host = world.authority(API);
        let mut client = world.client(API).await;
        client
            .send(format!("GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
            .await;
        let mut origin = world.origin.accept().await;
        origin.head().await;
        origin.send("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno").await;
        assert!(client.head().await.starts_with("HTTP/1.1 426 "));
        client.expect("no").await;
        client.cut();
        world.finish(&["h1 GET /ws 426 completed in 2"]).await;
    })
    .await;
}

/// Frames that cannot be scrubbed in place do not begin: an extension, stand-ins of another length, a 101 out of the
/// blue, another protocol.
#[tokio::test]
async fn what_cannot_be_scrubbed_is_refused() {
    within(async {
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        let short = "sk-standin-of-another-length";
        for (stand_in, fields, answer, code) in [
            (STAND_IN, upgrade, "Sec-WebSocket-Extensions: permessage-deflate\r\n", "scrub.unsupported_coding"),
            (short, upgrade, "", "scrub.unsupported_coding"),
            (STAND_IN, "", "", "http.malformed"),
            (STAND_IN, "Connection: Upgrade\r\nUpgrade: h2c\r\n", "", "http.malformed"),
        ] {
            let world = World::with(Setup { stand_in, ..Setup::default() }).await;
            let host = world.authority(API);
            let mut client = world.client(API).await;
            client.send(format!("GET /ws HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")).await;
            let mut origin = world.origin.accept().await;
            origin.head().await;
            origin
                .send(format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{answer}\r\n{SECRET}"
                ))
                .await;
            let head = client.head().await;
            assert!(head.contains(code), "{head}");
            client.shut().await;
            assert!(!holds_secret(&client.until_gone().await));
            drop((client, origin));
            let status = if code == "http.malformed" { 400 } else { 502 };
            world.finish(&[&format!("h1 GET /ws {status} {code}")]).await;
        }
    })
    .await;
}
