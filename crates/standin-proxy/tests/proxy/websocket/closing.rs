//! How a WebSocket ends (RFC 6455 §7, Autobahn's group 7), and what its record says.

use super::frames::broken;
use super::handshake::{ALIKE, LEGS, open};
use super::peer::{BINARY, CLOSE, End, LAST, PING, TEXT, closing, frame};
use crate::rig::{V, World, within};

async fn ended(world: World, client: End, origin: End, expected: (&str, &str)) {
    drop((client, origin));
    let rows = world.end().await;
    let row = rows.last().unwrap();
    assert_eq!((row.outcome.as_str(), row.detail.as_deref().unwrap_or_default()), expected, "{row:?}");
}

/// Whoever closes first is on record, and so is the code.
#[tokio::test]
async fn who_closes_first_is_recorded() {
    for legs in LEGS {
        within(async {
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            client.say("hi").await;
            origin.expect(LAST | TEXT, "hi").await;
            client.close(1000).await;
            origin.expect_close(1000).await;
            origin.close(1000).await;
            client.expect_close(1000).await;
            ended(world, client, origin, ("completed", "closed by the client: 1000")).await;

            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            origin.send(LAST | CLOSE, closing(4321, "enough")).await;
            client.expect(LAST | CLOSE, closing(4321, "enough")).await;
            client.send(LAST | CLOSE, "").await;
            origin.expect(LAST | CLOSE, "").await;
            client.ended().await;
            origin.ended().await;
            ended(world, client, origin, ("completed", "closed by the origin: 4321")).await;
        })
        .await;
    }
}

/// What is under way in the other direction arrives: the first end is not everybody's.
#[tokio::test]
async fn what_is_under_way_arrives() {
    for legs in LEGS {
        within(async {
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            client.close(1000).await;
            origin.expect_close(1000).await;
            let large = vec![b'*'; 1 << 20];
            let ((), got) = tokio::join!(origin.send(LAST | BINARY, &large), client.message());
            assert!(got == (BINARY, large.clone()));
            origin.close(1000).await;
            client.expect_close(1000).await;
            client.ended().await;
            ended(world, client, origin, ("completed", "closed by the client: 1000")).await;

            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            origin.close(1001).await;
            client.expect_close(1001).await;
            let ((), got) = tokio::join!(client.send(LAST | BINARY, &large), origin.message());
            assert!(got == (BINARY, large));
            client.close(1001).await;
            origin.expect_close(1001).await;
            ended(world, client, origin, ("completed", "closed by the origin: 1001")).await;
        })
        .await;
    }
}

/// A side that does not answer a close frame is not waited for without end. (This test waits for that end, which is ten
/// seconds off.)
#[tokio::test]
async fn a_close_that_is_not_answered() {
    within(async {
        let world = World::new().await;
        let (mut client, mut origin) = open(&world, V::H1).await;
        client.close(1000).await;
        origin.expect_close(1000).await;
        let (client_ended, origin_ended) = tokio::join!(client.next(), origin.next());
        assert_eq!((client_ended, origin_ended), (None, None));
        ended(world, client, origin, ("completed", "closed by the client: 1000")).await;
    })
    .await;
}

/// A side may end its connection without a word; the other side may still finish.
#[tokio::test]
async fn an_end_without_a_close_frame() {
    for legs in LEGS {
        within(async {
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            client.shut().await;
            origin.ended().await;
            origin.say("one more thing").await;
            client.expect(LAST | TEXT, "one more thing").await;
            origin.shut().await;
            client.ended().await;
            ended(world, client, origin, ("completed", "the client ended the connection without a close frame")).await;

            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            origin.say("bye").await;
            origin.shut().await;
            client.expect(LAST | TEXT, "bye").await;
            client.ended().await;
            client.shut().await;
            origin.ended().await;
            ended(world, client, origin, ("completed", "the origin ended the connection without a close frame")).await;
        })
        .await;
    }
}

/// An end in the middle of a message or frame is nobody's idea of an end.
#[tokio::test]
async fn an_end_in_the_middle_is_a_break() {
    for legs in LEGS {
        within(async {
            for first in [frame(TEXT, b"half!", true), frame(LAST | TEXT, b"half!", true)[..7].to_vec(), vec![0x81]] {
                let world = World::new().await;
                let (mut client, mut origin) = open(&world, legs).await;
                client.raw(&first).await;
                client.shut().await;
                while origin.next().await.is_some() {}
                origin.shut().await;
                client.ended().await;
                ended(world, client, origin, ("downstream_closed", "the connection ended in the middle of a message"))
                    .await;
            }
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            origin.send(TEXT, "half!").await;
            client.expect(TEXT, "half!").await;
            origin.shut().await;
            client.ended().await;
            client.shut().await;
            origin.ended().await;
            ended(world, client, origin, ("upstream_closed", "the connection ended in the middle of a message")).await;
        })
        .await;
    }
}

#[tokio::test]
async fn whoever_breaks_off_is_to_blame() {
    for legs in LEGS {
        within(async {
            let world = World::new().await;
            let (client, mut origin) = open(&world, legs).await;
            client.cut();
            origin.ended().await;
            drop(origin);
            let rows = world.end().await;
            assert_eq!(rows.last().unwrap().outcome, "downstream_closed", "{rows:?}");

            let world = World::new().await;
            let (mut client, origin) = open(&world, legs).await;
            origin.cut();
            client.ended().await;
            drop(client);
            let rows = world.end().await;
            assert_eq!(rows.last().unwrap().outcome, "upstream_closed", "{rows:?}");
        })
        .await;
    }
}

/// The end of the session ends an open WebSocket, and leaves its record.
#[tokio::test]
async fn the_session_may_end_first() {
    for legs in LEGS {
        within(async {
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            client.say("hi").await;
            origin.expect(LAST | TEXT, "hi").await;
            let rows = world.end().await;
            assert_eq!(rows.last().unwrap().outcome, "downstream_closed", "{rows:?}");
            drop((client, origin));
        })
        .await;
    }
}

/// 7.3.x, 7.5.x, 7.9.x: what a close frame may not hold.
#[tokio::test]
async fn broken_close_frames() {
    for legs in ALIKE {
        for masked in [true, false] {
            broken(legs, "half a code", &frame(LAST | CLOSE, &[3], masked), masked, 1002).await;
            broken(legs, "126 bytes", &frame(LAST | CLOSE, &closing(1000, &"*".repeat(124)), masked), masked, 1002)
                .await;
            broken(legs, "not UTF-8", &frame(LAST | CLOSE, b"\x03\xe8\xff", masked), masked, 1007).await;
            for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
                let bytes = frame(LAST | CLOSE, &closing(code, ""), masked);
                broken(legs, &code.to_string(), &bytes, masked, 1002).await;
            }
        }
    }
}

/// 7.1.x, 7.7.x: every code that may be sent passes, with its reason; what follows it is not looked at.
#[tokio::test]
async fn close_frames_pass() {
    within(async {
        let longest = "*".repeat(123);
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, V::H1).await;
            client.send(LAST | CLOSE, closing(code, &longest)).await;
            client.try_raw(&frame(LAST | PING, b"too late", true)).await.ok();
            assert_eq!(origin.expect_close(code).await, longest);
            origin.close(code).await;
            client.expect_close(code).await;
            client.ended().await;
            origin.ended().await;
            drop((client, origin));
            world.end().await;
        }
        let world = World::new().await;
        let (mut client, mut origin) = open(&world, V::H1).await;
        // 7.1.6: a close frame within a message.
        client.send(TEXT, "unfinished").await;
        client.close(1000).await;
        origin.expect(TEXT, "unfinished").await;
        origin.expect_close(1000).await;
        origin.close(1000).await;
        client.expect_close(1000).await;
        ended(world, client, origin, ("completed", "closed by the client: 1000")).await;
    })
    .await;
}
