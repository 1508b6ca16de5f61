//! Answers before the answer (RFC 9110 §15.2): `Expect: 100-continue`, 100, 103.

use crate::rig::{API, V, World, collect, full, get, within};
use http::Response;

/// The proxy asks for the body when the request has passed and the origin is reached: it need not be heard first.
#[tokio::test]
async fn a_request_that_passes_is_continued() {
    within(async {
        let world = World::new().await;
        let host = world.authority(API);
        let mut client = world.client(API).await;
        client
            .send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"))
            .await;
        let mut origin = world.origin.accept().await;
        origin.head().await;
        client.expect("HTTP/1.1 100 Continue\r\n\r\n").await;
        for half in ["pi", "ng"] {
            client.send(half).await;
            origin.expect(half).await;
        }
        // An origin that continues, late, tells the client nothing new.
        origin.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
        client.expect("ok").await;
        client.cut();
        world.finish(&["h1 POST / 200 completed out 4 in 2"]).await;
    })
    .await;
}

/// A refused request is not continued: its body is never asked for.
#[tokio::test]
async fn a_refused_request_is_not_continued() {
    within(async {
        let world = World::new().await;
        let host = world.authority(API);
        let mut client = world.client(API).await;
        client
            .send(format!("POST /closed HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"))
            .await;
        assert!(client.head().await.starts_with("HTTP/1.1 403 Forbidden\r\n"));
        assert!(world.origin.is_untouched());
        assert!(!String::from_utf8_lossy(&client.until_gone().await).contains("100 Continue"));
        world.finish(&["h1 POST /closed 403 http.request_not_allowed"]).await;
    })
    .await;
}

async fn early_hints_from_h1(client: V) {
    let world = World::new().await;
    let mut asker = world.asker(API, client).await;
    let answered = asker.ask(get("/"));
    let mut origin = world.origin.accept().await;
    origin.head().await;
    for _ in 0..3 {
        origin.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n").await;
    }
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let response = answered.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("link"), "what is dropped is dropped whole");
    assert_eq!(collect(response.into_body()).await.unwrap().0, "ok");
    drop(asker);
    world.finish(&[&format!("{} GET / 200 completed in 2", client.name())]).await;
}

/// Early hints are dropped and break nothing.
#[tokio::test]
async fn early_hints_h1_to_h1() {
    within(early_hints_from_h1(V::H1)).await;
}

#[tokio::test]
async fn early_hints_h2_to_h1() {
    within(early_hints_from_h1(V::H2)).await;
}

async fn early_hints_from_h2(client: V) {
    let world = World::new().await;
    let mut asker = world.asker(API, client).await;
    let answered = asker.ask(get("/"));
    let mut origin = world.origin.accept_frames().await;
    let (_, mut respond) = origin.accept().await.unwrap().unwrap();
    respond.send_informational(Response::builder().status(103).header("link", "x").body(()).unwrap()).unwrap();
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data("ok".into(), true).unwrap();
    tokio::spawn(async move { while origin.accept().await.is_some() {} });
    let response = answered.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(collect(response.into_body()).await.unwrap().0, "ok");
    drop(asker);
    world.finish(&[&format!("{} GET / 200 completed in 2", client.name())]).await;
}

#[tokio::test]
async fn early_hints_h1_to_h2() {
    within(early_hints_from_h2(V::H1)).await;
}

#[tokio::test]
async fn early_hints_h2_to_h2() {
    within(early_hints_from_h2(V::H2)).await;
}

/// `Expect` in HTTP/2 has no 100 to wait for; the body passes.
#[tokio::test]
async fn expect_in_http2_is_no_obstacle() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(API, V::H2).await;
        let request = http::Request::post("/").header("expect", "100-continue").body(full("ping")).unwrap();
        let answered = asker.ask(request);
        let mut origin = world.origin.accept_requests(V::H2).await;
        let seen = origin.recv().await.unwrap();
        let (body, answer, _) = seen.whole().await;
        assert_eq!(body, "ping");
        answer.send(Response::new(full("ok"))).unwrap();
        assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "ok");
        drop(asker);
        world.finish(&["h2 POST / 200 completed out 4 in 2"]).await;
    })
    .await;
}
