//! Which connection a request goes out on, and what happens when the origin does not play along.

use crate::http2::peer::{END_HEADERS, END_STREAM, HEADERS, Peer, fields, frame, settings};
use crate::rig::{API, Bytes, Setup, V, World, collect, full, get, text, within};
use http::{Request, Response, Version};
use std::time::Duration;

/// An HTTP/1.1 client gets HTTP/1.1 from an origin that has both, and an HTTP/2 client HTTP/2, also when a connection
/// of the other kind is idle.
#[tokio::test]
async fn the_origin_is_spoken_to_as_the_client_speaks() {
    within(async {
        let world = World::new().await;
        for (client, expected) in [(V::H1, Version::HTTP_11), (V::H2, Version::HTTP_2)] {
            let mut asker = world.asker(API, client).await;
            let answered = asker.ask(get("/x"));
            let mut origin = world.origin.accept_either().await;
            let seen = origin.recv().await.unwrap();
            assert_eq!(seen.request.version(), expected);
            seen.answer(Response::new(full("ok")));
            assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "ok");
        }
        world.finish(&["h1 GET /x 200 completed in 2", "h2 GET /x 200 completed in 2"]).await;
    })
    .await;
}

/// A request on a pooled connection that the origin has closed goes over a new one, also if it has a body: nothing of
/// it was sent.
#[tokio::test]
async fn a_request_that_was_not_sent_is_sent() {
    within(async {
        for client in [V::H1, V::H2] {
            let world = World::new().await;
            let mut asker = world.asker(API, client).await;
            let answered = asker.ask(get("/1"));
            let mut origin = world.origin.accept().await;
            origin.head().await;
            origin.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1").await;
            assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "1");
            origin.shut().await;
            origin.until_gone().await; // the proxy has seen it
            let answered = asker.ask(Request::post("/2").body(full("body")).unwrap());
            let mut origin = world.origin.accept().await;
            assert!(origin.head().await.starts_with("POST /2 "));
            origin.expect("body").await;
            origin.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2").await;
            assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "2");
            drop(asker);
            let c = client.name();
            world
                .finish(&[&format!("{c} GET /1 200 completed in 1"), &format!("{c} POST /2 200 completed out 4 in 1")])
                .await;
        }
    })
    .await;
}

/// A request of which the origin saw something is never sent again: it may have acted on it.
#[tokio::test]
async fn a_request_that_was_sent_is_not_sent_again() {
    within(async {
        for method in ["GET", "POST"] {
            let world = World::new().await;
            let mut asker = world.asker(API, V::H1).await;
            let answered = asker.ask(get("/1"));
            let mut origin = world.origin.accept().await;
            origin.head().await;
            origin.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1").await;
            collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
            let answered = asker.ask(Request::builder().method(method).uri("/2").body(full("")).unwrap());
            origin.head().await; // on the pooled connection
            origin.cut();
            let response = answered.await.unwrap().unwrap();
            assert_eq!(response.status(), 502);
            collect(response.into_body()).await.unwrap();
            assert!(world.origin.is_untouched());
            drop(asker);
            world
                .finish(&["h1 GET /1 200 completed in 1", &format!("h1 {method} /2 502 upstream_failed in 133")])
                .await;
        }
    })
    .await;
}

/// An origin that takes a request and says nothing is given up, and the answer and the record say so.
#[tokio::test]
async fn an_origin_that_says_nothing_is_given_up() {
    within(async {
        for (client, server) in [(V::H1, V::H1), (V::H2, V::H1), (V::H2, V::H2)] {
            let world = World::with(Setup { patience: Some(Duration::from_millis(100)), ..Setup::default() }).await;
            let mut asker = world.asker(API, client).await;
            let answered = asker.ask(Request::post("/x").body(full("body")).unwrap());
            let mut origin = world.origin.accept_requests(server).await;
            let mut seen = origin.recv().await.unwrap();
            let response = answered.await.unwrap().unwrap();
            let reason = response.headers()["x-standin-reason"].clone();
            assert_eq!((response.status().as_u16(), reason.to_str().unwrap()), (504, "upstream.silent"));
            collect(response.into_body()).await.unwrap();
            seen.answer.closed().await; // the origin learns of it
            drop(asker);
            let rows = world.end().await;
            assert_eq!(rows.len(), 1);
            assert_eq!(
                (rows[0].status, rows[0].outcome.as_str(), rows[0].bytes_out),
                (Some(504), "upstream_failed", 4)
            );
            assert!(rows[0].detail.as_deref().unwrap().contains("did not begin to answer"));
        }
    })
    .await;
}

/// The origin's patience is not the client's: who takes long over a request is waited for.
#[tokio::test]
async fn a_slow_client_is_not_a_silent_origin() {
    within(async {
        let world = World::with(Setup { patience: Some(Duration::from_millis(50)), ..Setup::default() }).await;
        let mut asker = world.asker(API, V::H1).await;
        let (mut upload, request_body) = crate::rig::body();
        let answered = asker.ask(Request::post("/x").body(request_body).unwrap());
        let mut origin = world.origin.accept_requests(V::H1).await;
        let seen = origin.recv().await.unwrap();
        // Many times the origin's patience. If this is too short on a slow machine, the test shows less; it does not fail.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!answered.is_finished());
        upload.send_data("late".into()).await.unwrap();
        drop(upload);
        let (body, answer, _) = seen.whole().await;
        assert_eq!(body, "late");
        answer.send(Response::new(full("ok"))).unwrap();
        collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
        drop(asker);
        world.finish(&["h1 POST /x 200 completed out 4 in 2"]).await;
    })
    .await;
}

/// Downloads that nobody reads, as many as share a connection, leave room for one more to the same host.
#[tokio::test]
async fn stalled_downloads_do_not_block_their_host() {
    const STALLED: usize = 40;
    within(async {
        let world = World::new().await;
        let mut origin = world.origin.accept_all(V::H2);
        let mut stalled = Vec::new();
        for n in 0..STALLED {
            // A client each: their own windows must not be what holds them up.
            let mut asker = world.asker(API, V::H2).await;
            let answered = asker.ask(get(&format!("/{n}")));
            let (mut download, response_body) = crate::rig::body();
            origin.recv().await.unwrap().answer(Response::new(response_body));
            let response = answered.await.unwrap().unwrap();
            let sending = tokio::spawn(async move {
                let piece = Bytes::from(vec![b'.'; 64 * 1024]);
                while download.send_data(piece.clone()).await.is_ok() {}
            });
            stalled.push((asker, response, sending));
        }
        let mut asker = world.asker(API, V::H2).await;
        for _ in 0..8 {
            let answered = asker.ask(get("/more"));
            let (mut download, response_body) = crate::rig::body();
            origin.recv().await.unwrap().answer(Response::new(response_body));
            let mut response = answered.await.unwrap().unwrap();
            download.send_data("ok".into()).await.unwrap();
            assert_eq!(text(response.body_mut()).await, "ok");
        }
        drop((asker, stalled));
        world.end().await;
    })
    .await;
}

/// An origin that answers and then allows no streams at all, each time on a connection of its own, does not leave us all of them.
#[tokio::test]
async fn connections_that_allow_nothing_are_not_kept() {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(API, V::H2).await;
        let mut former: Option<Peer> = None;
        for _ in 0..3 {
            let answered = asker.ask(get("/x"));
            let mut origin = Peer::origin(world.origin.accept_h2().await, &[(MAX_CONCURRENT_STREAMS, 1)]).await;
            let asked = origin.next_with(HEADERS, END_HEADERS | END_STREAM).await;
            let answer = frame(HEADERS, END_HEADERS | END_STREAM, asked.stream, fields(&[(":status", "204")]));
            origin.send([answer, settings(&[(MAX_CONCURRENT_STREAMS, 0)])].concat()).await.unwrap();
            assert_eq!(answered.await.unwrap().unwrap().status(), 204);
            if let Some(mut former) = former.replace(origin) {
                assert_eq!(former.goaway().await, Some(0), "it is kept");
            }
        }
        drop(asker);
        world.end().await;
    })
    .await;
}

/// An origin may answer in full over HTTP/1.1 while the request still comes in, and keep its connection. Nobody reads
/// the rest, so both connections end with the answer (RFC 9112 §9.3, §9.6), and neither side waits for the other.
#[tokio::test]
async fn an_early_answer_ends_both_connections() {
    within(async {
        for framing in ["Content-Length: 8", "Transfer-Encoding: chunked"] {
            let world = World::new().await;
            let mut client = world.client(API).await;
            client.send(format!("POST /x HTTP/1.1\r\nHost: {}\r\n{framing}\r\n\r\n", world.authority(API))).await;
            client.send(if framing.contains('8') { "some" } else { "4\r\nsome\r\n" }).await;
            let mut origin = world.origin.accept().await;
            origin.head().await;
            origin.exactly(if framing.contains('8') { 4 } else { 9 }).await;
            origin.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
            assert_eq!(client.head().await.lines().next(), Some("HTTP/1.1 403 Forbidden"));
            assert!(client.until_gone().await.ends_with(b"no"));
            origin.until_gone().await;
            world.finish(&["h1 POST /x 403 completed out 4 in 2"]).await;
        }
    })
    .await;
}

/// The same for a client that shares its connection: the stream ends, the connection stays.
#[tokio::test]
async fn an_early_answer_ends_the_stream() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(API, V::H2).await;
        let (mut upload, request_body) = crate::rig::body();
        let answered = asker.ask(Request::post("/x").body(request_body).unwrap());
        let mut origin = world.origin.accept().await;
        origin.head().await;
        upload.send_data("some".into()).await.unwrap();
        origin.exactly(9).await;
        origin.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
        assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "no");
        origin.until_gone().await;
        while upload.send_data(vec![b'x'; 1 << 14].into()).await.is_ok() {} // the client learns that nobody reads it
        let answered = asker.ask(get("/y"));
        let mut origin = world.origin.accept_requests(V::H1).await;
        origin.recv().await.unwrap().answer(Response::new(full("ok")));
        assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "ok");
        drop(asker);
        let rows = world.end().await;
        let rows: Vec<_> = rows.iter().map(|row| (row.status, row.outcome.as_str(), row.bytes_in)).collect();
        assert_eq!(rows, [(Some(403), "completed", 2), (Some(200), "completed", 2)]);
    })
    .await;
}

/// Roots that the configuration names are believed besides the host's.
#[tokio::test]
async fn further_roots_are_believed() {
    within(async {
        let world = World::with(Setup { believes_host: true, ..Setup::default() }).await;
        let mut asker = world.asker(API, V::H2).await;
        let answered = asker.ask(get("/x"));
        let mut origin = world.origin.accept_requests(V::H2).await;
        origin.recv().await.unwrap().answer(Response::new(full("ok")));
        collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
        drop(asker);
        world.finish(&["h2 GET /x 200 completed in 2"]).await;
    })
    .await;
}
