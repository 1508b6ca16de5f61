//! What is not read is not gathered: a slow reader holds the other side up, and then everything arrives.

use super::handshake::{Legs, Opening, open_with};
use super::peer::{BINARY, LAST, frame};
use crate::rig::{API, Setup, V, World, within};
use standin_model::Slot;
use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

/// One message's payload.
const PIECE: usize = 1 << 20;
/// Messages in all.
const PIECES: usize = 48;
/// What may be on its way, in messages: kernel buffers and flow control included.
const BETWEEN: usize = 40;

async fn held_up(client: V, origin: V, to_client: bool) {
    // A grant in text messages gathers those, and nothing else.
    let world = World::with(Setup { slots: vec![Slot::WebSocket], ..Setup::default() }).await;
    let (client, origin, _) = open_with(&world, Legs { client, origin }, API, Opening::default()).await;
    let (mut sender, mut reader) = if to_client { (origin, client) } else { (client, origin) };
    let bytes = frame(LAST | BINARY, &vec![b'.'; PIECE], !to_client);
    let taken = Cell::new(0);
    let mut sending = pin!(async {
        for _ in 0..PIECES {
            sender.raw(&bytes).await;
            taken.set(taken.get() + 1);
        }
        sender.close(1000).await;
    });
    loop {
        let before = taken.get();
        let ended = tokio::time::timeout(Duration::from_millis(300), &mut sending).await.is_ok();
        assert!(!ended && taken.get() < BETWEEN, "{} messages were taken for somebody who reads nothing", taken.get());
        if taken.get() == before {
            break;
        }
    }
    let reading = async {
        for _ in 0..PIECES {
            let (kind, payload) = reader.message().await;
            assert_eq!((kind, payload.len()), (BINARY, PIECE));
        }
    };
    tokio::join!(sending, reading);
    reader.expect_close(1000).await;
    world.end().await;
}

#[tokio::test]
async fn a_slow_client_holds_the_origin_up_h1_h1() {
    within(held_up(V::H1, V::H1, true)).await;
}

#[tokio::test]
async fn a_slow_client_holds_the_origin_up_h1_h2() {
    within(held_up(V::H1, V::H2, true)).await;
}

#[tokio::test]
async fn a_slow_client_holds_the_origin_up_h2_h1() {
    within(held_up(V::H2, V::H1, true)).await;
}

#[tokio::test]
async fn a_slow_origin_holds_the_client_up_h1_h1() {
    within(held_up(V::H1, V::H1, false)).await;
}

#[tokio::test]
async fn a_slow_origin_holds_the_client_up_h1_h2() {
    within(held_up(V::H1, V::H2, false)).await;
}

#[tokio::test]
async fn a_slow_origin_holds_the_client_up_h2_h1() {
    within(held_up(V::H2, V::H1, false)).await;
}
