//! Towards origins in a stream of HTTP/2 (RFC 8441): when that is chosen, and what origins make of it. That frames pass in it
//! as they do elsewhere, the other rooms hold for every pairing of legs.

use super::frames::bye;
use super::handshake::{LEGS, Opening, accept_streams, agree_http2, ask_http2, open, status};
use super::peer::{End, LAST, TEXT, frame};
use crate::http2::peer::{ACK, END_HEADERS, END_STREAM, HEADERS, Peer, SETTINGS, fields, frame as h2_frame, settings};
use crate::rig::{API, SECRET, V, World, get, holds_secret, within};
use h2::Reason;
use http::{Response, StatusCode};

/// `SETTINGS_ENABLE_CONNECT_PROTOCOL` (RFC 8441 §3).
const ENABLE: u16 = 8;
/// The clients' faces.
const FACES: [V; 2] = [V::H1, V::H2];

/// A client in HTTP/2 shares a connection that is there, if its origin opens WebSockets in streams; one in HTTP/1.1 gets what
/// it would have got without us, a connection of its own.
#[tokio::test]
async fn a_connection_that_is_there_is_shared() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(API, V::H2).await;
        let answered = asker.ask(get("/x"));
        let mut streams = accept_streams(&world, true).await;
        let (_, mut respond) = streams.recv().await.unwrap();
        respond.send_response(Response::new(()), true).unwrap();
        answered.await.unwrap().unwrap();

        let fields = [("sec-websocket-version", "13".to_owned())];
        let (answer, send) = ask_http2(&world, API, "websocket", &fields).await;
        let (request, respond) = streams.recv().await.unwrap();
        let mut origin = agree_http2(request, respond, &Opening::default());
        let mut client = End::stream(send, answer.await.unwrap().into_body(), true);
        client.say("hello").await;
        origin.expect(LAST | TEXT, "hello").await;

        // A request beside it, and another WebSocket.
        let answered = asker.ask(get("/y"));
        let (_, mut respond) = streams.recv().await.unwrap();
        respond.send_response(Response::new(()), true).unwrap();
        answered.await.unwrap().unwrap();
        bye(client, origin).await;
        assert!(world.origin.is_untouched(), "all of it on one connection");

        let (client, origin) = open(&world, V::H1).await;
        bye(client, origin).await;
        drop(asker);
        world.end().await;
    })
    .await;
}

/// An origin that has nothing but HTTP/2 and opens no WebSockets in it is not asked for one, however often.
#[tokio::test]
async fn an_origin_that_opens_none_is_not_asked() {
    within(async {
        for face in FACES {
            let world = World::new().await;
            let ((answer, reason), mut streams) =
                tokio::join!(status(&world, face), async { accept_streams(&world, false).await });
            assert_eq!((answer, reason.as_deref()), (502, Some("upstream.failed")));
            assert_eq!(status(&world, face).await.0, 502);
            assert!(world.origin.is_untouched(), "nobody dials to hear the same again");
            let mut asker = world.asker(API, V::H2).await;
            let answered = asker.ask(get("/x"));
            let (request, mut respond) = streams.recv().await.unwrap();
            assert_eq!(request.uri().path(), "/x", "the first that it is asked for");
            respond.send_response(Response::new(()), true).unwrap();
            answered.await.unwrap().unwrap();
            drop(asker);
            world.end().await;
        }
    })
    .await;
}

/// What an origin offers is known when its settings are there, and what it takes back is not used any more.
#[tokio::test]
async fn settings_are_waited_for_and_kept_to() {
    within(async {
        let world = World::new().await;
        let (answer, send) = ask_http2(&world, API, "websocket", &[]).await;
        let mut origin = Peer::mute_origin(world.origin.accept_h2().await).await;
        // Settings of ours come; nothing else does before those of the origin are there and acknowledged.
        assert_eq!(origin.next_unless(SETTINGS, HEADERS).await.flags, 0);
        origin.send(settings(&[(ENABLE, 1)])).await.unwrap();
        loop {
            let frame = origin.next_unless(SETTINGS, HEADERS).await;
            if frame.flags == ACK {
                break;
            }
        }
        let asked = origin.next_with(HEADERS, END_HEADERS).await;
        let open = h2_frame(HEADERS, END_HEADERS, asked.stream, fields(&[(":status", "200")]));
        origin.send(open).await.unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        drop(send);

        // RFC 8441 §3 has it that this does not happen.
        origin.send(settings(&[(ENABLE, 0)])).await.unwrap();
        origin.next_with(SETTINGS, ACK).await;
        for face in FACES {
            assert_eq!(status(&world, face).await.0, 502);
        }
        let mut asker = world.asker(API, V::H2).await;
        let answered = asker.ask(get("/x"));
        let asked = origin.next_with(HEADERS, END_HEADERS | END_STREAM).await;
        let end = h2_frame(HEADERS, END_HEADERS | END_STREAM, asked.stream, fields(&[(":status", "204")]));
        origin.send(end).await.unwrap();
        assert_eq!(answered.await.unwrap().unwrap().status(), StatusCode::NO_CONTENT);
        drop((asker, origin));
        world.end().await;
    })
    .await;
}

/// An origin that does not want it answers as usual. In HTTP/2 a success means a WebSocket, so one that means none, or that
/// is of HTTP/1.1, is a failure.
#[tokio::test]
async fn a_stream_may_be_declined() {
    within(async {
        for face in FACES {
            for (said, heard, reason) in [
                (404, 404, None),
                (401, 401, None),
                (302, 302, None),
                (204, 502, Some("upstream.failed")),
                (201, 502, Some("upstream.failed")),
            ] {
                let world = World::new().await;
                let (answer, ()) = tokio::join!(status(&world, face), async {
                    let (_, mut respond) = accept_streams(&world, true).await.recv().await.unwrap();
                    let response = Response::builder().status(said).header("x-note", SECRET).body(()).unwrap();
                    let mut body = respond.send_response(response, false).unwrap();
                    body.send_data(frame(LAST | TEXT, SECRET.as_bytes(), false).into(), true).unwrap();
                });
                assert_eq!((answer.0, answer.1.as_deref()), (heard, reason), "{said}");
                world.end().await;
            }
        }
    })
    .await;
}

/// A stream that is reset instead of an answer: its code reaches a client in HTTP/2.
#[tokio::test]
async fn a_reset_instead_of_an_answer() {
    within(async {
        let refuse = async |world: &World| {
            let (_, mut respond) = accept_streams(world, true).await.recv().await.unwrap();
            respond.send_reset(Reason::REFUSED_STREAM);
        };
        let world = World::new().await;
        let (answer, ()) = tokio::join!(status(&world, V::H1), refuse(&world));
        assert_eq!(answer, (502, Some("upstream.failed".to_owned())));
        world.finish(&["h1 GET /ws 502 upstream_failed in 133"]).await;

        let world = World::new().await;
        let (answer, send) = ask_http2(&world, API, "websocket", &[]).await;
        let (error, ()) = tokio::join!(async { answer.await.unwrap_err() }, refuse(&world));
        assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
        drop(send);
        world.end().await;
    })
    .await;
}

/// Either side's reset in the middle of a frame ends both, at once and on record; no piece of what was cut off passes.
#[tokio::test]
async fn a_reset_in_the_middle_of_a_frame() {
    for legs in LEGS {
        within(async {
            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            let told = frame(LAST | TEXT, format!("it is {SECRET}").as_bytes(), false);
            origin.say("whole").await;
            origin.raw(&told[..told.len() - 1]).await;
            client.expect(LAST | TEXT, "whole").await;
            origin.cut();
            assert!(!holds_secret(&client.rest().await));
            drop(client);
            let rows = world.end().await;
            let row = rows.last().unwrap();
            assert_eq!(
                (row.outcome.as_str(), row.protocol.as_str()),
                ("upstream_closed", "websocket"),
                "{legs:?} {row:?}"
            );

            let world = World::new().await;
            let (mut client, mut origin) = open(&world, legs).await;
            client.say("whole").await;
            client.raw(&frame(LAST | TEXT, b"cut off", true)[..9]).await;
            origin.expect(LAST | TEXT, "whole").await;
            client.cut();
            while origin.next().await.is_some() {}
            drop(origin);
            let rows = world.end().await;
            assert_eq!(rows.last().unwrap().outcome, "downstream_closed", "{legs:?} {rows:?}");
        })
        .await;
    }
}

/// A client in HTTP/1.1 whose origin answers in HTTP/2 is told what its key asks for, so it has to have one.
#[tokio::test]
async fn a_key_is_needed_where_we_answer_it() {
    within(async {
        for key in ["", "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: b\r\n"] {
            let world = World::new().await;
            let mut client = world.client(API).await;
            let authority = world.authority(API);
            client
                .send(format!(
                    "GET /ws HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\n{key}\r\n"
                ))
                .await;
            let (request, respond) = accept_streams(&world, true).await.recv().await.unwrap();
            let mut origin = agree_http2(request, respond, &Opening::default());
            assert!(client.head().await.contains("http.malformed"));
            origin.ended().await;
            drop((client, origin));
            world.finish(&["h1 GET /ws 400 http.malformed"]).await;
        }
    })
    .await;
}
