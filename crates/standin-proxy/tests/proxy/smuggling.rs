//! Requests that two readers could read in two ways. None reaches the origin, but those that have one reading only.

use crate::rig::{API, OPEN, World, within};
use http::Request;

/// What becomes of a raw request in a tunnel: the status the client reads, and the record.
async fn refused(raw: &str, status: u16, record: &str) {
    let world = World::new().await;
    let host = world.authority(API);
    let mut client = world.client(API).await;
    client.send(raw.replace("HOST", &host).replace('⏎', "\r\n")).await;
    let head = client.head().await;
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{raw:?}: {head}");
    assert!(world.origin.is_untouched(), "{raw:?}");
    client.cut();
    world.finish(&[record]).await;
}

/// Refused before there is a request: the HTTP library answers 400, and a record says why.
#[tokio::test]
async fn what_cannot_be_parsed() {
    within(async {
        for raw in [
            "GET / HTTP/1.1⏎Host : HOST⏎⏎",
            "GET / HTTP/1.1⏎Host: HOST⏎X-A: a\0b⏎⏎",
            "GET / HTTP/1.1⏎Host: HOST⏎X\0A: a⏎⏎",
            "GET / HTTP/1.1⏎Host: HOST⏎X-A: a\rb⏎⏎",
            "GET / HTTP/1.1⏎Host: HOST⏎X-A: a⏎ folded⏎⏎",
            "GET / HTTP/1.1⏎ Host: HOST⏎⏎",
            "GET / HTTP/1.1⏎Host: HOST⏎no colon⏎⏎",
            "GET /a b HTTP/1.1⏎Host: HOST⏎⏎",
            "GET  / HTTP/1.1⏎Host: HOST⏎⏎",
            "GET / HTTP/1.2⏎Host: HOST⏎⏎",
            "GET http://[::1/ HTTP/1.1⏎Host: HOST⏎⏎",
            "POST / HTTP/1.1⏎Host: HOST⏎Content-Length: 1⏎Content-Length: 2⏎⏎ab",
            "POST / HTTP/1.1⏎Host: HOST⏎Content-Length: 1, 2⏎⏎ab",
            "POST / HTTP/1.1⏎Host: HOST⏎Content-Length: +1⏎⏎a",
            "POST / HTTP/1.1⏎Host: HOST⏎Content-Length: -1⏎⏎a",
            "POST / HTTP/1.1⏎Host: HOST⏎Content-Length: 0x1⏎⏎a",
            "POST / HTTP/1.1⏎Host: HOST⏎Content-Length: 99999999999999999999⏎⏎a",
            "POST / HTTP/1.1⏎Host: HOST⏎Content-Length: ⏎⏎a",
            "POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding: identity⏎⏎0⏎⏎",
            "POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding: xchunked⏎⏎0⏎⏎",
            "POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding: chunked, identity⏎⏎0⏎⏎",
            "POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding: \"chunked\"⏎⏎0⏎⏎",
            "POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding: \x0bchunked⏎⏎0⏎⏎",
            "POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding : chunked⏎⏎0⏎⏎",
            "POST / HTTP/1.0⏎Host: HOST⏎Transfer-Encoding: chunked⏎⏎0⏎⏎",
        ] {
            refused(raw, 400, "raw http.malformed").await;
        }
    })
    .await;
}

/// A head that does not end is not gathered. (hyper's bound is on what it holds while a head is incomplete, so a head
/// of up to twice MAX_HEAD_BYTES can pass.)
#[tokio::test]
async fn an_endless_head() {
    within(async {
        let world = World::new().await;
        let mut client = world.client(API).await;
        client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\nX-A: ", world.authority(API))).await;
        let piece = vec![b'a'; 64 * 1024];
        let mut sent = 0;
        // Sixteen times the bound and the largest socket buffers; a reset ends it.
        while sent < 40 * 1024 * 1024 && client.try_send(&piece).await.is_ok() {
            sent += piece.len();
        }
        assert!(sent < 40 * 1024 * 1024, "all of it was taken");
        assert!(world.origin.is_untouched());
        client.cut();
        world.finish(&["raw http.malformed"]).await;
    })
    .await;
}

/// Refused by us, with the reason.
#[tokio::test]
async fn what_can_be_read_in_two_ways() {
    within(async {
        for (raw, status, record) in [
            ("GET / HTTP/1.1⏎⏎", 400, "h1 GET / 400 http.malformed"),
            ("GET / HTTP/1.1⏎Host: HOST⏎Host: HOST⏎⏎", 400, "h1 GET / 400 http.malformed"),
            ("GET / HTTP/1.1⏎Host: HOST⏎Host: evil.test⏎⏎", 400, "h1 GET / 400 http.malformed"),
            ("GET / HTTP/1.1⏎Host: evil.test⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("GET / HTTP/1.1⏎Host: open.test⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("GET / HTTP/1.1⏎Host: api.test⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("GET / HTTP/1.1⏎Host: api.test:1⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("GET / HTTP/1.1⏎Host: x@HOST⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("GET / HTTP/1.1⏎Host: HOST, HOST⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("GET / HTTP/1.1⏎Host: HOST/⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("GET / HTTP/1.1⏎Host: ⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("GET https://evil.test/ HTTP/1.1⏎Host: HOST⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("GET https://x@HOST/ HTTP/1.1⏎Host: HOST⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("GET https://HOST/ HTTP/1.1⏎Host: evil.test⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("CONNECT HOST HTTP/1.1⏎Host: HOST⏎⏎", 405, "h1 CONNECT 405 http.method_refused"),
            ("TRACE / HTTP/1.1⏎Host: HOST⏎⏎", 405, "h1 TRACE / 405 http.method_refused"),
            ("POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding: gzip, chunked⏎⏎0⏎⏎", 400, "h1 POST / 400 http.malformed"),
            (
                "POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding: chunked, chunked⏎⏎0⏎⏎",
                400,
                "h1 POST / 400 http.malformed",
            ),
            (
                "POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding: identity⏎Transfer-Encoding: chunked⏎⏎0⏎⏎",
                400,
                "h1 POST / 400 http.malformed",
            ),
            ("GET /a/%2e%2e/../.. HTTP/1.1⏎Host: HOST⏎⏎", 400, "h1 GET /a/%2e%2e/../.. 400 http.malformed"),
        ] {
            refused(raw, status, record).await;
        }
    })
    .await;
}

/// Chunks that are no chunks: the request has begun by then, so it is broken off, and the origin never sees its end.
#[tokio::test]
async fn bad_chunks() {
    within(async {
        for chunks in [
            "5⏎hello0⏎⏎",
            "x⏎hello⏎0⏎⏎",
            "-5⏎hello⏎0⏎⏎",
            "0x5⏎hello⏎0⏎⏎",
            "5\nhello\n0\n\n",
            "5;a=b\nc⏎hello⏎0⏎⏎",
            "5 5⏎hello⏎0⏎⏎",
            "⏎hello⏎0⏎⏎",
            "fffffffffffffffff⏎hello⏎0⏎⏎",
        ] {
            let world = World::new().await;
            let mut client = world.client(API).await;
            let head =
                format!("POST / HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", world.authority(API));
            client.send(head).await;
            let mut origin = world.origin.accept().await;
            origin.head().await;
            client.send(chunks.replace('⏎', "\r\n")).await;
            let seen = String::from_utf8(origin.until_gone().await).unwrap();
            assert!(!seen.contains("0\r\n\r\n"), "{chunks:?}: the origin saw a whole request in {seen:?}");
            client.cut();
            let rows = world.end().await;
            let outcomes: Vec<_> = rows.iter().map(|row| (row.kind.as_str(), row.outcome.as_str())).collect();
            assert_eq!(outcomes, [("exchange", "downstream_closed")], "{chunks:?}: {rows:#?}");
        }
    })
    .await;
}

/// What RFC 9112 gives one reading passes in that reading, written anew: the origin cannot read it in another.
#[tokio::test]
async fn one_reading_is_written_anew() {
    within(async {
        let both = "POST / HTTP/1.1⏎Host: HOST⏎Content-Length: 3⏎Transfer-Encoding: chunked⏎⏎1;x=\"y\"⏎a⏎0⏎⏎";
        for (raw, body) in [
            // §6.3: Transfer-Encoding overrides Content-Length, and the connection ends.
            (both, "transfer-encoding: chunked⏎⏎1⏎a⏎0⏎⏎"),
            (
                "POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding: chunked⏎Content-Length: 3⏎⏎1⏎a⏎0⏎⏎",
                "transfer-encoding: chunked⏎⏎1⏎a⏎0⏎⏎",
            ),
            ("POST / HTTP/1.1⏎Host: HOST⏎Content-Length: 1⏎Content-Length: 1⏎⏎a", "content-length: 1⏎⏎a"),
            ("POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding: CHUNKED⏎⏎1⏎a⏎0⏎⏎", "transfer-encoding: chunked⏎⏎1⏎a⏎0⏎⏎"),
            (
                "POST / HTTP/1.1⏎Host: HOST⏎Transfer-Encoding: \t chunked \t⏎⏎1⏎a⏎0⏎⏎",
                "transfer-encoding: chunked⏎⏎1⏎a⏎0⏎⏎",
            ),
            // §2.2: a lone LF may end a line.
            ("POST / HTTP/1.1\nHost: HOST\nContent-Length: 1\n\na", "content-length: 1⏎⏎a"),
        ] {
            let world = World::new().await;
            let host = world.authority(API);
            let mut client = world.client(API).await;
            let smuggled = "GET /smuggled HTTP/1.1⏎Host: HOST⏎⏎".replace("HOST", &host).replace('⏎', "\r\n");
            let ends = raw.contains("Content-Length: 3");
            let more = if ends { smuggled.as_str() } else { "" };
            client.send(format!("{}{more}", raw.replace("HOST", &host).replace('⏎', "\r\n"))).await;
            let mut origin = world.origin.accept().await;
            let head = origin.head().await.to_lowercase();
            let body = body.replace('⏎', "\r\n");
            let (field, content) = body.split_once("\r\n\r\n").unwrap();
            assert_eq!(head.matches("content-length").count() + head.matches("transfer-encoding").count(), 1, "{head}");
            assert!(head.contains(&format!("{field}\r\n")), "{raw:?}: {head}");
            origin.expect(content).await;
            origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            client.head().await;
            client.expect("ok").await;
            if ends {
                assert_eq!(client.until_gone().await, b"", "{raw:?}: what follows is not read");
            }
            client.cut();
            drop(origin);
            world.finish(&["h1 POST / 200 completed out 1 in 2"]).await;
        }
    })
    .await;
}

/// HTTP/2: the head can be read in one way, and names the tunnel's host.
#[tokio::test]
async fn heads_of_http2() {
    within(async {
        for (target, fields, status, code) in [
            ("https://evil.test/", &[][..], 421, "http.authority_mismatch"),
            ("https://api.test/", &[], 421, "http.authority_mismatch"),
            ("https://HOST/", &[("host", "evil.test")], 421, "http.authority_mismatch"),
            ("https://HOST/", &[("host", "HOST"), ("host", "HOST")], 400, "http.malformed"),
            ("https://x@HOST/", &[], 421, "http.authority_mismatch"),
        ] {
            let world = World::new().await;
            let host = world.authority(API);
            let mut client = world.frames(API).await;
            let mut request = Request::get(target.replace("HOST", &host));
            for (name, value) in fields {
                request = request.header(*name, value.replace("HOST", &host));
            }
            let answered = client.send_request(request.body(()).unwrap(), true).unwrap().0;
            let response = answered.await.unwrap();
            assert_eq!(
                (response.status().as_u16(), &response.headers()["x-standin-reason"]),
                (status, &code.parse().unwrap())
            );
            assert!(world.origin.is_untouched());
            drop((client, response));
            world.finish(&[&format!("h2 GET / {status} {code}")]).await;
        }
    })
    .await;
}

/// Fields of a connection make an HTTP/2 request malformed (RFC 9113 §8.2.2): its stream is reset by the library. Such a
/// request leaves no record, which SPECIFICATION.md says.
#[tokio::test]
async fn connection_fields_of_http2() {
    within(async {
        for (name, value) in [
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("keep-alive", "5"),
            ("te", "gzip"),
            ("content-length", "7"),
        ] {
            let world = World::new().await;
            let mut client = world.frames(API).await;
            let request =
                Request::post(format!("https://{}/", world.authority(API))).header(name, value).body(()).unwrap();
            // The client library may refuse to send some of these: then nothing can arrive either.
            if let Ok((answered, _)) = client.send_request(request, true) {
                let error = answered.await.expect_err(name);
                assert_eq!(error.reason(), Some(h2::Reason::PROTOCOL_ERROR), "{name}");
            }
            assert!(world.origin.is_untouched());
            drop(client);
            world.finish(&["raw downstream_closed"]).await;
        }
    })
    .await;
}

/// The proxy's own address is held to the same: no destination, no request.
#[tokio::test]
async fn requests_to_the_proxy_itself() {
    within(async {
        for (raw, status, record) in [
            ("GET / HTTP/1.1⏎Host: HOST⏎⏎", 421, "raw 421 http.authority_mismatch"),
            ("GET https://HOST/ HTTP/1.1⏎Host: HOST⏎⏎", 400, "raw 400 net.malformed_host"),
            ("GET http://x@HOST/ HTTP/1.1⏎Host: HOST⏎⏎", 400, "raw 400 net.malformed_host"),
            ("CONNECT open.test HTTP/1.1⏎Host: HOST⏎⏎", 400, "raw 400 net.malformed_host"),
            ("CONNECT x@HOST HTTP/1.1⏎Host: HOST⏎⏎", 400, "raw 400 net.malformed_host"),
            ("GET http://HOST/ HTTP/1.1⏎Host: evil.test⏎⏎", 421, "h1 GET / 421 http.authority_mismatch"),
            ("GET http://HOST/ HTTP/1.1⏎Host : HOST⏎⏎", 400, "raw http.malformed"),
        ] {
            let world = World::new().await;
            let mut client = world.dial().await;
            client.send(raw.replace("HOST", &world.authority(OPEN)).replace('⏎', "\r\n")).await;
            let head = client.head().await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{raw:?}: {head}");
            assert!(world.origin.is_untouched());
            client.cut();
            world.finish(&[record]).await;
        }
    })
    .await;
}
