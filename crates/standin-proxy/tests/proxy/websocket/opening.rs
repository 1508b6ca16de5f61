//! The opening handshake: in HTTP/1.1 (RFC 6455 §4) and in HTTP/2 (RFC 8441).

use super::frames::bye;
use super::handshake::{LEGS, Opening, accept_value, ask_http2, field, open_with, settled, status};
use crate::rig::{API, OPEN, SECRET, STAND_IN, Setup, V, World, collect, full, get, holds_secret, within};
use http::Response;
use standin_model::{Caps, SessionCaps};

/// The credential is put in on every pairing of legs, and no leg shows the other's fields (`peer` looks at those).
#[tokio::test]
async fn the_credential_goes_with_the_handshake() {
    for legs in LEGS {
        within(async {
            let world = World::new().await;
            let opening = Opening { credential: true, ..Opening::default() };
            let (client, origin, extensions) = open_with(&world, legs, API, opening).await;
            assert_eq!(extensions, None);
            bye(client, origin).await;
            let rows = world.end().await;
            let row = rows.last().unwrap();
            let (method, status) = if legs.client == V::H1 { ("GET", 101) } else { ("CONNECT", 200) };
            assert_eq!((row.method.as_deref(), row.target.as_deref()), (Some(method), Some("/ws")));
            assert_eq!(row.protocol, "websocket");
            assert_eq!(row.status, Some(status));
            assert_eq!(row.outcome, "completed");
            // Close frames: masked, and not.
            assert_eq!((row.bytes_out, row.bytes_in), (8, 4));
        })
        .await;
    }
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

/// In HTTP/2 a success means a WebSocket, so a success that means none is a failure; other answers pass.
#[tokio::test]
async fn a_tunnel_may_be_declined() {
    within(async {
        for (line, status, reason) in [
            ("404 Not Found", 404, None),
            ("200 OK", 502, Some("upstream.failed")),
            ("204 No Content", 502, Some("upstream.failed")),
            ("101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade", 502, Some("upstream.failed")),
        ] {
            let world = World::new().await;
            let (answer, send) = ask_http2(&world, API, "websocket", &[]).await;
            let mut origin = world.origin.accept().await;
            let head = origin.head().await;
            let right = accept_value(&field(&head, "sec-websocket-key").unwrap());
            let wrong = accept_value("another key");
            assert_ne!(right, wrong);
            origin.send(format!("HTTP/1.1 {line}\r\nSec-WebSocket-Accept: {wrong}\r\n\r\n")).await;
            origin.shut().await;
            let answer = answer.await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{line}");
            assert_eq!(answer.headers().get("x-standin-reason").map(|v| v.to_str().unwrap()), reason, "{line}");
            drop((answer, send));
            world.end().await;
        }
    })
    .await;
}

/// Tunnels for anything else, and without a purpose, reach no origin.
#[tokio::test]
async fn other_tunnels_are_refused() {
    within(async {
        let world = World::new().await;
        let (answer, first) = ask_http2(&world, API, "connect-udp", &[]).await;
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-standin-reason"]),
            (501, &"http.protocol_refused".parse().unwrap())
        );
        let mut requests = world.frames(API).await;
        let plain = http::Request::connect(world.authority(API)).body(()).unwrap();
        let (answer, send) = requests.send_request(plain, false).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-standin-reason"]),
            (405, &"http.method_refused".parse().unwrap())
        );
        assert!(world.origin.is_untouched());
        drop((requests, send, first));
        world
            .finish(&[
                "h2 GET /closed 403 http.request_not_allowed",
                "h2 CONNECT /ws 501 http.protocol_refused",
                "h2 CONNECT 405 http.method_refused",
            ])
            .await;
    })
    .await;
}

/// What a tunnel is for, where it leads and what it asks for are told once: a second word that differs, and a path that is
/// judged as it will be read, reach no origin.
#[tokio::test]
async fn a_tunnel_leads_where_it_says() {
    within(async {
        let version = ("sec-websocket-version", "13".to_owned());
        for (authority, path, fields, status, code) in [
            (OPEN, "/ws", vec![], 421, "http.authority_mismatch"),
            (API, "/ws", vec![("host", OPEN.to_owned())], 421, "http.authority_mismatch"),
            (API, "/x/../closed", vec![], 403, "http.request_not_allowed"),
            (API, "/x/%2e%2e/closed", vec![], 403, "http.request_not_allowed"),
            (API, "//closed", vec![], 403, "http.request_not_allowed"),
            (API, "/ws%2f..%2fclosed", vec![], 400, "http.malformed"),
        ] {
            let world = World::new().await;
            let mut requests = settled(&world, API).await;
            let uri = format!("https://{}{path}", world.authority(authority));
            let mut request = http::Request::builder().method("CONNECT").uri(uri);
            for (name, value) in fields.iter().chain([&version]) {
                request = request.header(*name, value);
            }
            let mut request = request.body(()).unwrap();
            request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
            let (answer, send) = requests.send_request(request, false).unwrap();
            let answer = answer.await.unwrap();
            let told = (answer.status().as_u16(), answer.headers()["x-standin-reason"].to_str().unwrap());
            assert_eq!(told, (status, code), "{authority} {path} {fields:?}");
            assert!(world.origin.is_untouched());
            drop((requests, send));
            world.end().await;
        }
    })
    .await;
}

/// Where no connection is there whose origin opens WebSockets in streams, one goes out on a connection of its own, for which
/// nothing but HTTP/1.1 is offered: also where the client speaks HTTP/2, and the origin does, on a connection that is there.
#[tokio::test]
async fn the_origin_is_asked_in_http1() {
    within(async {
        for face in [V::H1, V::H2] {
            let world = World::new().await;
            let mut asker = world.asker(API, V::H2).await;
            let answered = asker.ask(get("/x"));
            let mut origin = world.origin.accept_requests(V::H2).await;
            origin.recv().await.unwrap().answer(Response::new(full("ok")));
            collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
            let (answer, offers) = tokio::join!(status(&world, face), async {
                let (offers, wire) = world.origin.accept_seeing(V::H1).await;
                let mut wire = wire.unwrap();
                assert!(wire.head().await.starts_with("GET /ws HTTP/1.1\r\n"));
                wire.send("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n").await;
                offers
            });
            assert_eq!((answer.0, offers), (426, vec![b"http/1.1".to_vec()]));
            drop(asker);
            let rows = world.end().await;
            assert_eq!(rows.last().unwrap().outcome, "completed");
        }
    })
    .await;
}

/// A WebSocket in a stream is a connection of its own towards the origin, and counts as one.
#[tokio::test]
async fn a_tunnel_counts_among_connections() {
    within(async {
        for (connections, status) in [(1, 429), (2, 200)] {
            let session = Caps { connections: Some(connections), ..Caps::default() };
            let caps = SessionCaps { session, ..SessionCaps::default() };
            let world = World::with(Setup { caps, ..Setup::default() }).await;
            let (answer, send) = ask_http2(&world, API, "websocket", &[]).await;
            let mut origin = world.origin.accept().await;
            let head = origin.head().await;
            let accept = accept_value(&field(&head, "sec-websocket-key").unwrap());
            origin
                .send(format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {accept}\r\n\r\n"
                ))
                .await;
            let answer = answer.await.unwrap();
            assert_eq!(answer.status().as_u16(), status);
            drop((answer, send, origin));
            world.end().await;
        }
    })
    .await;
}

/// Policy sees a tunnel for a WebSocket as the `GET` it stands for, stray stand-ins included.
#[tokio::test]
async fn a_tunnel_is_judged_like_any_request() {
    within(async {
        let world = World::new().await;
        let (answer, send) = ask_http2(&world, API, "websocket", &[("x-note", STAND_IN.to_owned())]).await;
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-standin-reason"]),
            (403, &"credential.wrong_slot".parse().unwrap())
        );
        assert!(world.origin.is_untouched());
        drop((answer, send));
        world.end().await;
    })
    .await;
}

/// What cannot be scrubbed does not begin: an extension that was not offered, a 101 out of the blue, another protocol.
#[tokio::test]
async fn what_cannot_be_scrubbed_is_refused() {
    within(async {
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        let offer = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
        for (fields, answer, code) in [
            (upgrade, "Sec-WebSocket-Extensions: permessage-deflate\r\n", "scrub.unsupported_coding"),
            (offer, "Sec-WebSocket-Extensions: x-other\r\n", "scrub.unsupported_coding"),
            (offer, "Sec-WebSocket-Extensions: permessage-deflate; x=1\r\n", "scrub.unsupported_coding"),
            ("", "", "http.malformed"),
            ("Connection: Upgrade\r\nUpgrade: h2c\r\n", "", "http.malformed"),
        ] {
            let world = World::new().await;
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
