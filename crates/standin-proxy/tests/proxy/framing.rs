//! HTTP/1.1 byte by byte: how messages begin, end and follow each other.

use crate::rig::{API, OPEN, World, within};

/// Two requests in one packet are answered in order, each on its own (RFC 9112 §9.3.2).
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    within(async {
        let world = World::new().await;
        let host = world.authority(API);
        let mut client = world.client(API).await;
        client.send(format!("GET /1 HTTP/1.1\r\nHost: {host}\r\n\r\nGET /2 HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let mut origin = world.origin.accept().await;
        assert!(origin.head().await.starts_with("GET /1 HTTP/1.1\r\n"));
        origin.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none").await;
        assert!(origin.head().await.starts_with("GET /2 HTTP/1.1\r\n"));
        origin.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo").await;
        for text in ["one", "two"] {
            assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
            client.expect(text).await;
        }
        client.cut();
        world.finish(&["h1 GET /1 200 completed in 3", "h1 GET /2 200 completed in 3"]).await;
    })
    .await;
}

/// What the origin gets is written anew: no field of the client's hop, one `Host`, nothing but `identity` accepted.
#[tokio::test]
async fn the_request_is_written_anew() {
    within(async {
        let world = World::new().await;
        let host = world.authority(API);
        let mut client = world.client(API).await;
        client
            .send(format!(
                "POST /a/../b?q HTTP/1.1\r\nHost: {host}\r\nX-Kept: 1\r\nX-Hop: 2\r\nConnection: x-hop, keep-alive\r\n\
                 Keep-Alive: 5\r\nAccept-Encoding: gzip\r\nTE: deflate\r\nProxy-Authorization: Basic eDp5\r\n\
                 X-HTTP-Method-Override: DELETE\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n"
            ))
            .await;
        let mut origin = world.origin.accept().await;
        let head = origin.head().await;
        let mut lines: Vec<_> = head.trim_end().lines().collect();
        lines[1..].sort_unstable_by_key(|line| line.to_ascii_lowercase());
        let mut expected = vec!["POST /b?q HTTP/1.1", "accept-encoding: identity", "transfer-encoding: chunked"];
        let named = format!("Host: {host}");
        expected.extend([named.as_str(), "X-Kept: 1"]);
        expected[1..].sort_unstable_by_key(|line| line.to_ascii_lowercase());
        let lower = |lines: &[&str]| lines.iter().map(|line| line.to_ascii_lowercase()).collect::<Vec<_>>();
        assert_eq!(lower(&lines), lower(&expected));
        origin.expect("3\r\nabc\r\n0\r\n\r\n").await;
        origin
            .send(
                "HTTP/1.1 200 OK\r\nConnection: x-mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nAlt-Svc: h3=\":443\"\r\n\
                 X-Kept: 2\r\nContent-Length: 0\r\n\r\n",
            )
            .await;
        let head = client.head().await.to_ascii_lowercase();
        assert!(head.contains("x-kept: 2\r\n"), "{head}");
        for gone in ["x-mine", "keep-alive", "alt-svc", "connection"] {
            assert!(!head.contains(gone), "{gone} in {head}");
        }
        client.cut();
        world.finish(&["h1 POST /a/../b?q 200 completed out 3"]).await;
    })
    .await;
}

/// A head has up to a hundred fields, as with Apache httpd; what has more is not read, whoever sent it.
#[tokio::test]
async fn a_head_has_a_hundred_fields() {
    within(async {
        let fields = |count: usize| (0..count).map(|n| format!("x-{n}: 1\r\n")).collect::<Vec<_>>().concat();
        let world = World::new().await;
        let host = world.authority(API);
        let mut client = world.client(API).await;
        client.send(format!("GET /1 HTTP/1.1\r\nHost: {host}\r\n{}\r\n", fields(99))).await;
        let mut origin = world.origin.accept().await;
        let head = origin.head().await;
        assert!(head.contains("x-98: 1\r\n"), "{head}");
        origin.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", fields(99))).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("x-98: 1\r\n"), "{head}");
        client.send(format!("GET /2 HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        origin.head().await;
        origin.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", fields(100))).await;
        assert!(client.head().await.starts_with("HTTP/1.1 502 "));
        client.cut();
        let mut client = world.client(API).await;
        client.send(format!("GET /3 HTTP/1.1\r\nHost: {host}\r\n{}\r\n", fields(100))).await;
        assert!(client.head().await.starts_with("HTTP/1.1 431 "));
        world.finish(&["h1 GET /1 200 completed", "h1 GET /2 502 upstream_failed in 133", "raw http.malformed"]).await;
    })
    .await;
}

/// A close-delimited answer (RFC 9112 §6.3 rule 8) ends when the origin says so in TLS.
#[tokio::test]
async fn an_answer_may_end_with_its_connection() {
    within(async {
        let world = World::new().await;
        let host = world.authority(API);
        let mut client = world.client(API).await;
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let mut origin = world.origin.accept().await;
        origin.head().await;
        origin.send("HTTP/1.0 200 OK\r\n\r\nall of it").await;
        origin.shut().await;
        assert!(client.head().await.to_ascii_lowercase().contains("transfer-encoding: chunked"));
        client.expect("9\r\nall of it\r\n0\r\n\r\n").await;
        client.cut();
        world.finish(&["h1 GET / 200 completed in 9"]).await;
    })
    .await;
}

/// An origin that closes an idle connection is dialled again, and the client does not notice.
#[tokio::test]
async fn an_idle_connection_that_was_closed_is_replaced() {
    within(async {
        let world = World::new().await;
        let host = world.authority(API);
        let mut client = world.client(API).await;
        for path in ["/1", "/2"] {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
            let mut origin = world.origin.accept().await;
            assert!(origin.head().await.starts_with(&format!("GET {path} ")));
            origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            client.head().await;
            client.expect("ok").await;
            origin.shut().await;
            origin.until_gone().await; // the proxy has seen the end, and hung up in turn
        }
        client.cut();
        world.finish(&["h1 GET /1 200 completed in 2", "h1 GET /2 200 completed in 2"]).await;
    })
    .await;
}

/// In clear, through a tunnel and in absolute form: the same pipeline, and never a credential.
#[tokio::test]
async fn requests_in_clear() {
    within(async {
        let world = World::new().await;
        let host = world.authority(OPEN);
        let mut client = world.dial().await;
        client.send(format!("GET http://{host}/abs HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let mut origin = world.origin.accept_clear().await;
        assert!(origin.head().await.starts_with("GET /abs HTTP/1.1\r\n"));
        origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        client.head().await;
        client.expect("ok").await;
        let mut client = world.tunnel(OPEN).await;
        client.send(format!("GET /tunnel HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(origin.head().await.starts_with("GET /tunnel HTTP/1.1\r\n"));
        origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        client.head().await;
        client.expect("ok").await;
        client.cut();
        let rows = world.finish(&["h1 GET /abs 200 completed in 2", "h1 GET /tunnel 200 completed in 2"]).await;
        let ingress: Vec<_> = rows.iter().map(|row| (row.ingress.as_str(), row.scheme.as_str())).collect();
        assert_eq!(ingress, [("absolute", "http"), ("connect", "http")]);
    })
    .await;
}

/// An answer before the whole request was sent reaches the client, whatever becomes of the rest.
#[tokio::test]
async fn an_early_answer_arrives() {
    within(async {
        let world = World::new().await;
        let host = world.authority(API);
        let mut client = world.client(API).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\nbegin")).await;
        let mut origin = world.origin.accept().await;
        origin.head().await;
        origin.expect("begin").await;
        origin.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig").await;
        assert!(client.head().await.starts_with("HTTP/1.1 413 "));
        client.expect("big").await;
        client.cut();
        world.finish(&["h1 POST / 413 completed out 5 in 3"]).await;
    })
    .await;
}
