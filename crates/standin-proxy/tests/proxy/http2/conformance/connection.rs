//! How a connection begins, and what it keeps to.

use super::server::Requests;
use super::{FLOW_CONTROL_ERROR, PROTOCOL_ERROR};
use crate::http2::peer::{
    ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PING, Peer, RST_STREAM, SETTINGS, fields, frame, settings,
    window_update,
};
use crate::rig::{API, OPEN, V, World, full, within};
use http::{Request, Response};

/// A connection begins with the preface, or not at all (§3.4).
#[tokio::test]
async fn preface() {
    within(async {
        let world = World::new().await;
        // (The library does not mind a first frame other than SETTINGS: SPECIFICATION.md, known limits.)
        for first in ["PRI * HTTP/1.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n\r\n----"] {
            let mut peer = Peer::mute(world.client_h2(OPEN).await);
            peer.send(first).await.unwrap();
            // It ends; a word about that may be left out.
            assert!(matches!(peer.goaway().await, None | Some(PROTOCOL_ERROR)));
        }
        world.finish(&["raw http.malformed"; 2]).await;
    })
    .await;
}

/// SETTINGS are acknowledged (§6.5.3), and a PING comes back as it was (§6.7).
#[tokio::test]
async fn acknowledgements() {
    within(async {
        let world = World::new().await;
        let mut peer = Peer::client(world.client_h2(OPEN).await, &[]).await;
        assert_eq!(peer.next_with(SETTINGS, ACK).await.payload.len(), 0);
        peer.send(frame(PING, 0, 0, "payload!")).await.unwrap();
        assert_eq!(peer.next_with(PING, ACK).await.payload, b"payload!");
        drop(peer);
        world.finish(&["raw downstream_closed"]).await;
    })
    .await;
}

/// No more DATA goes out than a client has room for (§6.9.1), whose windows may shrink below nothing (§6.9.2).
#[tokio::test]
async fn windows() {
    within(async {
        let world = World::new().await;
        let requests = Requests(world.authority(OPEN));
        let mut peer = Peer::client(world.client_h2(OPEN).await, &[(4, 3)]).await;
        peer.send(requests.refused(1)).await.unwrap();
        assert_eq!(peer.next_with(DATA, 0).await.payload.len(), 3);
        // Three are out, so the window is -2 now, and 0 after two more.
        peer.send([settings(&[(4, 1)]), window_update(1, 2), frame(PING, 0, 0, "nothing!")].concat()).await.unwrap();
        assert_eq!(peer.next_unless(PING, DATA).await.payload, b"nothing!");
        peer.send(window_update(1, 1)).await.unwrap();
        assert_eq!(peer.next_with(DATA, 0).await.payload.len(), 1);
        // And with the last of two values for all streams (§6.5.3).
        peer.send(settings(&[(4, 2), (4, 65_535)])).await.unwrap();
        let rest = peer.next_with(DATA, END_STREAM).await;
        assert!(rest.payload.len() > 1);
        drop(peer);
        world.finish(&["h2 GET /closed 403 http.request_not_allowed"]).await;
    })
    .await;
}

/// An origin that sends more than a stream has room for is stopped (§6.9.1). The client reads nothing, so none is made.
#[tokio::test]
async fn more_than_a_window() {
    within(async {
        let world = World::new().await;
        let mut unread = h2::client::Builder::new();
        unread.initial_window_size(0);
        let mut client = world.frames_with(API, &unread).await.ready().await.unwrap();
        let request = Request::get(format!("https://{}/", world.authority(API))).body(()).unwrap();
        let (answered, _) = client.send_request(request, true).unwrap();
        let mut peer = Peer::origin(world.origin.accept_h2().await, &[]).await;
        peer.next_of(HEADERS, 1).await.unwrap();
        peer.send(frame(HEADERS, END_HEADERS, 1, fields(&[(":status", "200")]))).await.unwrap();
        let answer = answered.await.unwrap();
        // Its window is a mebibyte: 64 frames fit.
        for _ in 0..65 {
            peer.send(frame(DATA, 0, 1, [0; 1 << 14])).await.unwrap();
        }
        let reset = peer.next_of(RST_STREAM, 1).await.unwrap();
        assert_eq!(reset.payload, FLOW_CONTROL_ERROR.to_be_bytes());
        drop((answer, client, peer));
        world.end().await;
    })
    .await;
}

/// A head may be as large from an origin as from a client: 128 KiB, within a factor of two.
#[tokio::test]
async fn large_heads() {
    within(async {
        let world = World::new().await;
        let mut requests = world.origin.accept_all(V::H2);
        for (length, status) in [(60_000, 200), (300_000, 502)] {
            let mut client = world.frames(API).await.ready().await.unwrap();
            let request = Request::get(format!("https://{}/", world.authority(API))).body(()).unwrap();
            let (answered, _) = client.send_request(request, true).unwrap();
            let answer = Response::builder().header("x", "y".repeat(length)).body(full("ok")).unwrap();
            requests.recv().await.unwrap().answer(answer);
            assert_eq!(answered.await.unwrap().status(), status);
        }
        drop(requests);
        world.end().await;
    })
    .await;
}
