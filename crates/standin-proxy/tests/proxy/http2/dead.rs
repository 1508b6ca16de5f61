//! Connections to origins that have died without a word: a ping finds them (§6.7), and nothing else is taken for one.

use super::peer::{ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PING, Peer, fields, frame};
use crate::rig::{API, Setup, V, World, collect, get, text, within};
use standin_net::Pings;
use std::time::Duration;

/// Pings come at once, and their answers are waited for so long.
async fn world(deadline: Duration) -> World {
    let pings = Pings { interval: Duration::from_millis(10), deadline };
    World::with(Setup { pings: Some(pings), ..Setup::default() }).await
}

/// An origin that answers no ping is given up, whether it has begun its answer or not.
#[tokio::test]
async fn an_origin_that_is_gone_is_given_up() {
    within(async {
        for begun in [false, true] {
            let world = world(Duration::from_secs(2)).await;
            let mut asker = world.asker(API, V::H2).await;
            let answered = asker.ask(get("/x"));
            let mut peer = Peer::origin(world.origin.accept_h2().await, &[]).await;
            peer.next_of(HEADERS, 1).await.unwrap();
            if begun {
                let head = frame(HEADERS, END_HEADERS, 1, fields(&[(":status", "200")]));
                peer.send([head, frame(DATA, 0, 1, "begun")].concat()).await.unwrap();
            }
            let mut answer = answered.await.unwrap().unwrap();
            assert_eq!(answer.status(), if begun { 200 } else { 502 });
            if begun {
                assert_eq!(text(answer.body_mut()).await, "begun");
                assert!(collect(answer.into_body()).await.is_err());
            } else {
                collect(answer.into_body()).await.unwrap();
            }
            drop((asker, peer));
            let rows = world.end().await;
            assert_eq!(rows[0].outcome, if begun { "upstream_closed" } else { "upstream_failed" });
            // Of an answer that has begun the library only says that its stream is gone.
            assert!(begun || rows[0].detail.as_deref().unwrap().contains("keep-alive timed out"), "{rows:#?}");
        }
    })
    .await;
}

/// One that answers them may be silent about the rest for as long as it likes.
#[tokio::test]
async fn an_origin_that_is_silent_is_waited_for() {
    within(async {
        let world = world(Duration::from_secs(30)).await;
        let mut asker = world.asker(API, V::H2).await;
        let answered = asker.ask(get("/x"));
        let mut peer = Peer::origin(world.origin.accept_h2().await, &[]).await;
        peer.next_of(HEADERS, 1).await.unwrap();
        peer.send(frame(HEADERS, END_HEADERS, 1, fields(&[(":status", "200")]))).await.unwrap();
        let answer = answered.await.unwrap().unwrap();
        for _ in 0..5 {
            let ping = peer.next_with(PING, 0).await;
            peer.send(frame(PING, ACK, 0, ping.payload)).await.unwrap();
        }
        peer.send(frame(DATA, END_STREAM, 1, "at last")).await.unwrap();
        assert_eq!(collect(answer.into_body()).await.unwrap().0, "at last");
        drop((asker, peer));
        world.finish(&["h2 GET /x 200 completed in 7"]).await;
    })
    .await;
}
