//! Somebody hangs up in the middle. The other side is told, and the one record says who it was.

use crate::bodies::pairings;
use crate::rig::{API, V, World, body, collect, full, get, text, within};
use http::{Request, Response};

pairings! {
    the_client_leaves_during_the_answer
    the_client_leaves_before_the_answer
    the_client_leaves_during_its_request
    the_origin_breaks_off_its_answer
}

mod run {
    use super::*;
    use http_body_util::BodyExt;

    pub async fn the_client_leaves_during_the_answer(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let answered = asker.ask(get("/x"));
        let mut origin = world.origin.accept_requests(server).await;
        let (mut download, response_body) = body();
        origin.recv().await.unwrap().answer(Response::new(response_body));
        let mut response = answered.await.unwrap().unwrap();
        download.send_data("some".into()).await.unwrap();
        assert_eq!(text(response.body_mut()).await, "some");
        drop((response, asker));
        // The origin learns of it: its body is not wanted any more.
        while download.send_data("more".into()).await.is_ok() {}
        let rows = world.end().await;
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!((row.status, row.outcome.as_str()), (Some(200), "downstream_closed"));
        assert!(row.bytes_in >= 4);
    }

    pub async fn the_client_leaves_before_the_answer(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let answered = asker.ask(get("/x"));
        let mut origin = world.origin.accept_requests(server).await;
        let mut seen = origin.recv().await.unwrap();
        answered.abort();
        drop(asker);
        seen.answer.closed().await; // the origin learns of it
        world.finish(&[&format!("{} GET /x downstream_closed", client.name())]).await;
    }

    pub async fn the_client_leaves_during_its_request(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let (mut upload, request_body) = body();
        let answered = asker.ask(Request::post("/x").body(request_body).unwrap());
        let mut origin = world.origin.accept_requests(server).await;
        let mut seen = origin.recv().await.unwrap();
        upload.send_data("some".into()).await.unwrap();
        assert_eq!(text(seen.request.body_mut()).await, "some");
        upload.abort("gone".to_owned());
        assert!(answered.await.unwrap().is_err());
        drop(asker);
        let broken = loop {
            match seen.request.body_mut().frame().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("half a request looks like a whole one"),
            }
        };
        assert!(!broken.to_string().is_empty());
        let rows = world.end().await;
        // Whether the client still gets to hear why (400) is up to it.
        let outcomes: Vec<_> = rows.iter().map(|row| (row.outcome.as_str(), row.bytes_out)).collect();
        assert_eq!(outcomes, [("downstream_closed", 4)]);
    }

    pub async fn the_origin_breaks_off_its_answer(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let answered = asker.ask(get("/x"));
        let mut origin = world.origin.accept_requests(server).await;
        let (mut download, response_body) = body();
        origin.recv().await.unwrap().answer(Response::new(response_body));
        let mut response = answered.await.unwrap().unwrap();
        download.send_data("some".into()).await.unwrap();
        assert_eq!(text(response.body_mut()).await, "some");
        download.abort("gone".to_owned());
        assert!(collect(response.into_body()).await.is_err(), "half an answer is no whole one");
        drop(asker);
        world.finish(&[&format!("{} GET /x 200 upstream_closed in 4", client.name())]).await;
    }
}

/// How an origin can break off an HTTP/1.1 answer.
#[derive(Clone, Copy, Debug)]
enum End {
    Shut,
    Cut,
    Reset,
}

async fn broken_answer(head: &str, end: End, client: V) {
    let world = World::new().await;
    let mut asker = world.asker(API, client).await;
    let answered = asker.ask(get("/x"));
    let mut origin = world.origin.accept().await;
    origin.head().await;
    origin.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n")).await;
    let mut response = answered.await.unwrap().unwrap();
    let chunked = head.contains("chunked");
    origin.send(if chunked { "4\r\nsome\r\n" } else { "some" }).await;
    assert_eq!(text(response.body_mut()).await, "some");
    match end {
        End::Shut => origin.shut().await,
        End::Cut => origin.cut(),
        End::Reset => origin.reset(),
    }
    assert!(collect(response.into_body()).await.is_err(), "{head:?} {end:?}: half an answer is no whole one");
    drop(asker);
    world.finish(&[&format!("{} GET /x 200 upstream_closed in 4", client.name())]).await;
}

/// A truncated answer is an error for the client, however it is framed and however it breaks off. Only an answer that
/// ends with its connection may end so, and then in TLS by `close_notify` (RFC 9112 §9.8).
#[tokio::test]
async fn truncated_answers_are_errors() {
    within(async {
        for client in [V::H1, V::H2] {
            for head in ["Content-Length: 8\r\n", "Transfer-Encoding: chunked\r\n"] {
                for end in [End::Shut, End::Cut, End::Reset] {
                    broken_answer(head, end, client).await;
                }
            }
            broken_answer("Connection: close\r\n", End::Cut, client).await;
            broken_answer("Connection: close\r\n", End::Reset, client).await;
        }
    })
    .await;
}

/// An origin that goes before it answers is a 502 with its reason.
#[tokio::test]
async fn an_origin_that_does_not_answer() {
    within(async {
        for client in [V::H1, V::H2] {
            for end in [End::Shut, End::Cut, End::Reset] {
                for beginning in ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Le", "garbage\r\n\r\n"] {
                    let world = World::new().await;
                    let mut asker = world.asker(API, client).await;
                    let answered = asker.ask(get("/x"));
                    let mut origin = world.origin.accept().await;
                    origin.head().await;
                    origin.send(beginning).await;
                    match end {
                        End::Shut => origin.shut().await,
                        End::Cut => origin.cut(),
                        End::Reset => origin.reset(),
                    }
                    let response = answered.await.unwrap().unwrap();
                    assert_eq!(
                        (response.status().as_u16(), &response.headers()["x-standin-reason"]),
                        (502, &"upstream.failed".parse().unwrap())
                    );
                    collect(response.into_body()).await.unwrap();
                    drop(asker);
                    let rows = world.end().await;
                    assert_eq!(rows.len(), 1);
                    assert_eq!((rows[0].status, rows[0].outcome.as_str()), (Some(502), "upstream_failed"));
                }
            }
        }
    })
    .await;
}

/// HTTP/2: the origin resets the stream before the answer, in the middle of it, or says that it goes away.
#[tokio::test]
async fn an_origin_resets_its_stream() {
    within(async {
        for client in [V::H1, V::H2] {
            let world = World::new().await;
            let mut asker = world.asker(API, client).await;
            let answered = asker.ask(get("/1"));
            let mut origin = world.origin.accept_frames().await;
            let (_, mut respond) = origin.accept().await.unwrap().unwrap();
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
            let serving = tokio::spawn(async move {
                let (_, respond) = origin.accept().await.unwrap().unwrap();
                (respond, tokio::spawn(async move { while origin.accept().await.is_some() {} }))
            });
            match (client, answered.await.unwrap()) {
                (V::H1, Ok(response)) => {
                    assert_eq!(response.status(), 502);
                    collect(response.into_body()).await.unwrap();
                }
                (V::H2, Err(_)) => {} // what it is told: `http2::codes`
                (_, other) => panic!("{other:?}"),
            }
            let answered = asker.ask(get("/2"));
            let (mut respond, _serving) = serving.await.unwrap();
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data("some".into(), false).unwrap();
            let mut response = answered.await.unwrap().unwrap();
            assert_eq!(text(response.body_mut()).await, "some");
            stream.send_reset(h2::Reason::CANCEL);
            assert!(collect(response.into_body()).await.is_err());
            drop(asker);
            let rows = world.end().await;
            let outcomes: Vec<_> = rows.iter().map(|row| (row.status, row.outcome.as_str())).collect();
            let first = if client == V::H1 { Some(502) } else { None };
            assert_eq!(outcomes, [(first, "upstream_failed"), (Some(200), "upstream_closed")]);
        }
    })
    .await;
}

/// `GOAWAY`: open exchanges go on, the next one goes over a new connection.
#[tokio::test]
async fn an_origin_that_goes_away_is_dialled_again() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(API, V::H2).await;
        let first = asker.ask(get("/1"));
        let mut origin = world.origin.accept_frames().await;
        let (_, mut respond) = origin.accept().await.unwrap().unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data("1".into(), false).unwrap();
        origin.graceful_shutdown();
        let closing = tokio::spawn(async move { while origin.accept().await.is_some() {} });
        let mut first = first.await.unwrap().unwrap();
        assert_eq!(text(first.body_mut()).await, "1");
        stream.send_data("2".into(), true).unwrap();
        assert_eq!(collect(first.into_body()).await.unwrap().0, "2");
        closing.await.unwrap(); // the proxy has seen it, and hung up
        let second = asker.ask(get("/2"));
        let mut origin = world.origin.accept_requests(V::H2).await;
        origin.recv().await.unwrap().answer(Response::new(full("3")));
        assert_eq!(collect(second.await.unwrap().unwrap().into_body()).await.unwrap().0, "3");
        drop(asker);
        world.finish(&["h2 GET /1 200 completed in 2", "h2 GET /2 200 completed in 1"]).await;
    })
    .await;
}

/// An origin that says nothing is waited for (a model may think for minutes): the exchange lasts until somebody
/// hangs up, and the end of the session is such an end.
#[tokio::test]
async fn the_end_of_the_session_ends_a_silent_exchange() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(API, V::H1).await;
        let answered = asker.ask(get("/x"));
        let mut origin = world.origin.accept().await;
        origin.head().await;
        world.finish(&["h1 GET /x downstream_closed"]).await;
        assert!(answered.await.unwrap().is_err());
        drop(asker);
    })
    .await;
}
