//! What must not pass: secrets in an origin's frames, stand-ins in a client's where they are not granted.

use super::frames::bye;
use super::handshake::{ALIKE, LEGS, Legs, Opening, open, open_with};
use super::peer::{BINARY, CLOSE, CONTINUE, LAST, PING, PONG, TEXT, closing};
use crate::rig::{API, OPEN, SECRET, STAND_IN, Setup, V, World, empty, within};
use http::Request;
use standin_model::{Caps, OnLeak, SessionCaps, Slot};
use standin_proxy::AlarmParts;
use std::collections::HashMap;
use tokio::sync::mpsc::unbounded_channel;

/// A stand-in that is shorter than its secret.
const SHORT: &str = "sk-standin-of-another-length";

async fn world(stand_in: &'static str, slots: &[&str]) -> World {
    let slots = slots.iter().map(|slot| Slot::parse(slot).unwrap()).collect();
    World::with(Setup { stand_in, slots, ..Setup::default() }).await
}

/// The secret is found wherever its message is cut into frames, and the message may change its length.
#[tokio::test]
async fn a_secret_cut_into_frames_is_found() {
    for legs in LEGS {
        within(async {
            for stand_in in [STAND_IN, SHORT] {
                let world = world(stand_in, &[]).await;
                let opening = Opening::default();
                let (mut client, mut origin, _) = open_with(&world, legs, API, opening).await;
                let told = format!("it is {SECRET}!");
                let clean = format!("it is {stand_in}!").into_bytes();
                for kind in [TEXT, BINARY] {
                    origin.send(LAST | kind, &told).await;
                    assert_eq!(client.message().await, (kind, clean.clone()));
                    for cut in 0..=told.len() {
                        origin.send(kind, &told.as_bytes()[..cut]).await;
                        origin.send(LAST | PING, "").await;
                        origin.send(LAST | CONTINUE, &told.as_bytes()[cut..]).await;
                        assert_eq!(client.message().await, (kind, clean.clone()), "cut at {cut}");
                    }
                }
                origin.send(TEXT, &told[..1]).await;
                for byte in &told.as_bytes()[1..] {
                    origin.send(CONTINUE, [*byte]).await;
                }
                origin.send(LAST | CONTINUE, "").await;
                assert_eq!(client.message().await, (TEXT, clean));
                bye(client, origin).await;
                world.end().await;
            }
        })
        .await;
    }
}

/// Also across the pieces of a message that is too long to be kept in one frame, and in what a control frame carries.
#[tokio::test]
async fn a_secret_is_found_everywhere() {
    within(async {
        for stand_in in [STAND_IN, SHORT] {
            let world = world(stand_in, &[]).await;
            let (mut client, mut origin, _) = open_with(&world, V::H1, API, Opening::default()).await;
            // At every offset around the end of what is read at once.
            for before in (16_384 - 40..16_384 + 2).chain(65_536 - 40..65_536 + 2) {
                let padding = "*".repeat(before);
                origin.say(&format!("{padding}{SECRET}{}", "*".repeat(80_000))).await;
                let (_, got) = client.message().await;
                assert!(got.starts_with(format!("{padding}{stand_in}*").as_bytes()), "at {before}");
            }
            for kind in [PING, PONG] {
                origin.send(LAST | kind, format!("x{SECRET}")).await;
                client.expect(LAST | kind, format!("x{stand_in}")).await;
            }
            // A tail that may be the beginning of a secret waits for the end of its message, and no longer.
            origin.say(&format!("x{}", &SECRET[..10])).await;
            client.expect(LAST | TEXT, format!("x{}", &SECRET[..10])).await;
            origin.send(LAST | CLOSE, closing(1000, &format!("bye {SECRET}"))).await;
            client.expect(LAST | CLOSE, closing(1000, &format!("bye {stand_in}"))).await;
            client.close(1000).await;
            origin.expect_close(1000).await;
            drop((client, origin));
            world.end().await;
        }
    })
    .await;
}

/// A grant in the slot `websocket`: the stand-in in a text message goes out as the secret, in whatever pieces it comes.
#[tokio::test]
async fn a_granted_stand_in_is_exchanged() {
    for legs in LEGS {
        within(async {
            for stand_in in [STAND_IN, SHORT] {
                let world = world(stand_in, &["websocket"]).await;
                let (mut client, mut origin, _) = open_with(&world, legs, API, Opening::default()).await;
                let asked = format!("{{\"auth\":\"{stand_in}\"}}");
                let real = format!("{{\"auth\":\"{SECRET}\"}}");
                for cut in 0..=asked.len() {
                    client.send(TEXT, &asked.as_bytes()[..cut]).await;
                    client.send(LAST | PING, "").await;
                    client.send(LAST | CONTINUE, &asked.as_bytes()[cut..]).await;
                    assert_eq!(origin.message().await, (TEXT, real.clone().into_bytes()), "cut at {cut}");
                }
                client.say(&asked).await;
                origin.expect(LAST | TEXT, &real).await;
                // Its echo comes back clean.
                origin.say(&real).await;
                client.expect(LAST | TEXT, &asked).await;
                // A piece of a word is not the word; a binary message is no slot, nor is a ping.
                for (kind, text) in [(TEXT, format!("x{stand_in}")), (BINARY, asked.clone()), (PING, asked)] {
                    client.send(LAST | kind, &text).await;
                    origin.expect(LAST | kind, &text).await;
                }
                bye(client, origin).await;
                let rows = world.end().await;
                assert_eq!(rows.last().unwrap().credentials, ["key"], "{rows:?}");
            }
        })
        .await;
    }
}

/// Long messages pass as they come, unless a stand-in in them asks to be exchanged.
#[tokio::test]
async fn only_short_messages_are_exchanged() {
    within(async {
        let world = world(STAND_IN, &["websocket"]).await;
        let (mut client, mut origin, _) = open_with(&world, V::H1, API, Opening::default()).await;
        let long = vec![b'*'; (1 << 20) + 1];
        let ((), got) = tokio::join!(client.send(LAST | TEXT, &long), origin.message());
        assert!(got == (TEXT, long.clone()));
        let fits = [STAND_IN.as_bytes(), b" ", &vec![b'*'; (1 << 20) - STAND_IN.len() - 1]].concat();
        let ((), got) = tokio::join!(client.send(LAST | TEXT, &fits), origin.message());
        assert!(got.1.starts_with(SECRET.as_bytes()) && got.1.len() == 1 << 20);
        bye(client, origin).await;
        world.end().await;
        let asked = format!(" {STAND_IN} ").into_bytes();
        for message in [[asked.clone(), long.clone()].concat(), [long, asked].concat()] {
            let world = self::world(STAND_IN, &["websocket"]).await;
            let (mut client, mut origin, _) = open_with(&world, V::H1, API, Opening::default()).await;
            let bytes = super::peer::frame(LAST | TEXT, &message, true);
            // The rest may be unwelcome by the time it is sent.
            let (_, ()) = tokio::join!(client.try_raw(&bytes), async { while origin.next().await.is_some() {} });
            assert!(client.expect_close(1009).await.contains("credential.wrong_slot"));
            drop((client, origin));
            let rows = world.end().await;
            assert_eq!(rows.last().unwrap().reason.as_deref(), Some("credential.wrong_slot"));
        }
    })
    .await;
}

/// What a client's frames carry counts against the caps of the session, before compression.
#[tokio::test]
async fn frames_count_against_the_caps() {
    within(async {
        let session = Caps { bytes_out: Some(10), ..Caps::default() };
        let caps = SessionCaps { session, ..SessionCaps::default() };
        let world = World::with(Setup { caps, ..Setup::default() }).await;
        let (mut client, mut origin) = open(&world, V::H1).await;
        client.say("five!").await;
        client.send(LAST | PING, "four").await;
        client.say("!").await;
        for (first, text) in [(LAST | TEXT, "five!"), (LAST | PING, "four"), (LAST | TEXT, "!")] {
            origin.expect(first, text).await;
        }
        client.say("!").await;
        assert!(client.expect_close(1008).await.contains("cap"));
        origin.expect(LAST | CLOSE, closing(1001, "")).await;
        drop((client, origin));
        let rows = world.end().await;
        assert_eq!(rows.last().unwrap().outcome, "denied", "{rows:?}");
    })
    .await;
}

/// Where a model is told it, a stand-in in a frame is a word like any other, whether its credential is granted there or not.
#[tokio::test]
async fn to_a_model_a_stand_in_is_text() {
    within(async {
        for (legs, host) in LEGS.into_iter().flat_map(|legs| [(legs, API), (legs, OPEN)]) {
            let world = World::with(Setup { conversation: true, ..Setup::default() }).await;
            let (mut client, mut origin, _) = open_with(&world, legs, host, Opening::default()).await;
            let text = format!("my key is {STAND_IN}");
            for kind in [TEXT, BINARY, PING] {
                client.send(LAST | kind, &text).await;
                origin.expect(LAST | kind, &text).await;
            }
            bye(client, origin).await;
            world.end().await;
        }
    })
    .await;
}

/// Where its credential is granted in another slot, it ends the WebSocket as it does elsewhere.
#[tokio::test]
async fn a_stand_in_in_no_slot_ends_the_websocket() {
    for legs in LEGS {
        within(async {
            for kind in [TEXT, BINARY, PING] {
                let whole = super::peer::frame(LAST | kind, format!("my key is {STAND_IN}").as_bytes(), true);
                stopped_at(API, "credential.wrong_slot", legs, &whole).await;
            }
        })
        .await;
    }
}

/// At a host for which it is not good a stand-in ends the WebSocket, however it is cut, and does not leave.
#[tokio::test]
async fn a_stand_in_at_another_host_ends_the_websocket() {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(STAND_IN);
    for legs in ALIKE {
        for (kind, text) in [
            (TEXT, STAND_IN.to_owned()),
            (BINARY, format!("x{STAND_IN}x")),
            (PING, STAND_IN.to_owned()),
            (PONG, STAND_IN.to_owned()),
            (TEXT, encoded.clone()),
        ] {
            let whole = [super::peer::frame(LAST | kind, text.as_bytes(), true)].concat();
            stopped(legs, &whole).await;
        }
        let closing = super::peer::frame(LAST | CLOSE, &closing(1000, STAND_IN), true);
        stopped(legs, &closing).await;
    }
    for cut in 0..=STAND_IN.len() {
        let (a, b) = STAND_IN.as_bytes().split_at(cut);
        let pieces = [super::peer::frame(TEXT, a, true), super::peer::frame(LAST | CONTINUE, b, true)].concat();
        stopped(V::H1, &pieces).await;
    }
    let bytes: Vec<u8> = std::iter::once(super::peer::frame(TEXT, b"", true))
        .chain(STAND_IN.bytes().map(|byte| super::peer::frame(CONTINUE, &[byte], true)))
        .flatten()
        .collect();
    stopped(V::H1, &bytes).await;
}

/// One that went astray elsewhere is worth nothing from then on, also where a WebSocket was open before: neither in its frames nor as what
/// opened it.
#[tokio::test]
async fn a_revoked_stand_in_is_worth_nothing_in_an_open_websocket() {
    for (legs, credential) in LEGS.into_iter().flat_map(|legs| [(legs, true), (legs, false)]) {
        within(async {
            let (told, _leaks) = unbounded_channel();
            let alarm = AlarmParts { each: HashMap::new(), others: OnLeak::Revoke, told };
            let slots = if credential { Vec::new() } else { vec![Slot::WebSocket] };
            let world = World::with(Setup { slots, alarm, ..Setup::default() }).await;
            let opening = Opening { credential, ..Opening::default() };
            let (mut client, mut origin, _) = open_with(&world, legs, API, opening).await;
            client.say("hello").await;
            origin.expect(LAST | TEXT, "hello").await;
            let astray = Request::get("/x").header("x-note", STAND_IN).body(empty()).unwrap();
            assert_eq!(world.asker(OPEN, V::H1).await.ask(astray).await.unwrap().unwrap().status(), 403);
            client.say(if credential { "hello" } else { STAND_IN }).await;
            let why = client.expect_close(1008).await;
            assert!(why.starts_with("Standin: credential.revoked: "), "{why}");
            origin.expect(LAST | CLOSE, closing(1001, "")).await;
            drop((client, origin));
            let rows = world.end().await;
            assert!(rows.iter().any(|row| row.reason.as_deref() == Some("credential.revoked")), "{rows:?}");
        })
        .await;
    }
}

/// Each is watched for itself, since there are many.
async fn stopped(legs: impl Into<Legs>, bytes: &[u8]) {
    within(stopped_at(OPEN, "credential.wrong_destination", legs, bytes)).await;
}

async fn stopped_at(host: &str, code: &str, legs: impl Into<Legs>, bytes: &[u8]) {
    let world = World::new().await;
    let (mut client, mut origin, _) = open_with(&world, legs, host, Opening::default()).await;
    client.raw(bytes).await;
    let why = client.expect_close(1008).await;
    assert!(why.starts_with(&format!("Standin: {code}: ")), "{why}");
    let mut got = Vec::new();
    loop {
        let frame = origin.next().await.expect("a close frame");
        if frame.first == LAST | CLOSE {
            assert_eq!(frame.payload, closing(1001, ""));
            break;
        }
        got.extend(frame.payload);
    }
    assert!(got.len() < STAND_IN.len(), "{}", String::from_utf8_lossy(&got));
    drop((client, origin));
    let rows = world.end().await;
    assert_eq!(rows.last().unwrap().reason.as_deref(), Some(code));
}
