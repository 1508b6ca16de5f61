//! What streams is not delayed, and what is not read is not gathered.

use crate::rig::{API, Bytes, SECRET, STAND_IN, V, World, body, collect, ended, get, text, within};
use http::Response;
use http_body_util::BodyExt;
use std::time::Duration;

/// Server-sent events in lock step: the next one is sent only when the last one has arrived.
async fn events_in_lock_step(client: V, server: V) {
    let world = World::new().await;
    let mut asker = world.asker(API, client).await;
    let answered = asker.ask(get("/events"));
    let mut origin = world.origin.accept_requests(server).await;
    let (mut download, response_body) = body();
    origin
        .recv()
        .await
        .unwrap()
        .answer(Response::builder().header("content-type", "text/event-stream").body(response_body).unwrap());
    let mut events = answered.await.unwrap().unwrap().into_body();
    let mut total = 0;
    for event in ["data: a\n\n".to_owned(), format!("data: {SECRET}\n\n"), ": ping\n\n".to_owned()] {
        total += event.len();
        let expected = event.replace(SECRET, STAND_IN);
        download.send_data(event.into()).await.unwrap();
        let mut got = String::new();
        while got.len() < expected.len() {
            got.push_str(&text(&mut events).await);
        }
        assert_eq!(got, expected);
    }
    drop(download);
    ended(events).await;
    drop(asker);
    world.finish(&[&format!("{} GET /events 200 completed in {total}", client.name())]).await;
}

#[tokio::test]
async fn events_are_not_delayed() {
    within(async {
        for client in [V::H1, V::H2] {
            for server in [V::H1, V::H2] {
                events_in_lock_step(client, server).await;
            }
        }
    })
    .await;
}

/// A chunk that ends as a secret may begin, and nothing after it: it arrives, for the client's answer to it may be what
/// the origin waits for. When it was a secret's beginning, the rest is the stand-in's.
async fn a_possible_beginning_arrives(client: V, server: V) {
    let world = World::new().await;
    let mut asker = world.asker(API, client).await;
    let answered = asker.ask(get("/events"));
    let mut origin = world.origin.accept_requests(server).await;
    let (mut download, response_body) = body();
    origin.recv().await.unwrap().answer(Response::new(response_body));
    let mut events = answered.await.unwrap().unwrap().into_body();
    let mut total = 0;
    let vendors = &SECRET[..3];
    for (sent, arrives) in [
        // All that the stand-in shares, and up to seven characters more.
        (SECRET[..3].to_owned(), vendors.to_owned()),
        (SECRET[3..10].to_owned(), SECRET[3..10].to_owned()),
        (SECRET[10..].to_owned(), STAND_IN[10..].to_owned()),
        // The same beginning of something else.
        (SECRET[..9].to_owned(), SECRET[..9].to_owned()),
        ("!\n".to_owned(), "!\n".to_owned()),
        // In one piece nothing of it shows.
        (SECRET.to_owned(), STAND_IN.to_owned()),
    ] {
        total += sent.len();
        download.send_data(sent.into()).await.unwrap();
        let mut got = String::new();
        while got.len() < arrives.len() {
            got.push_str(&text(&mut events).await);
        }
        assert_eq!(got, arrives);
    }
    drop(download);
    ended(events).await;
    drop(asker);
    world.finish(&[&format!("{} GET /events 200 completed in {total}", client.name())]).await;
}

#[tokio::test]
async fn a_possible_beginning_does_not_wait() {
    within(async {
        for client in [V::H1, V::H2] {
            for server in [V::H1, V::H2] {
                a_possible_beginning_arrives(client, server).await;
            }
        }
    })
    .await;
}

/// More of a secret than that waits, for whatever decides what it is.
#[tokio::test]
async fn only_a_probable_beginning_waits() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(API, V::H2).await;
        let answered = asker.ask(get("/events"));
        let mut origin = world.origin.accept_requests(V::H2).await;
        let (mut download, response_body) = body();
        origin.recv().await.unwrap().answer(Response::new(response_body));
        let mut events = answered.await.unwrap().unwrap().into_body();
        let (first, second) = SECRET.split_at(11);
        download.send_data(format!("data: {first}").into()).await.unwrap();
        assert_eq!(text(&mut events).await, "data: ");
        download.send_data(format!("{second}\n").into()).await.unwrap();
        let mut got = String::new();
        while got.len() <= STAND_IN.len() {
            got.push_str(&text(&mut events).await);
        }
        assert_eq!(got, format!("{STAND_IN}\n"));
        // The same beginning of something else.
        download.send_data(format!("data: {first}").into()).await.unwrap();
        assert_eq!(text(&mut events).await, "data: ");
        download.send_data("!\n".into()).await.unwrap();
        assert_eq!(text(&mut events).await, format!("{first}!\n"));
        // And of nothing: the end decides.
        download.send_data(first.to_owned().into()).await.unwrap();
        drop(download);
        assert_eq!(collect(events).await.unwrap().0, first);
        drop(asker);
        let total = 2 * 6 + SECRET.len() + 1 + first.len() * 2 + 2;
        world.finish(&[&format!("h2 GET /events 200 completed in {total}")]).await;
    })
    .await;
}

/// An origin may answer in full and go on reading (HTTP/2): what still goes out is counted.
#[tokio::test]
async fn what_goes_out_after_the_answer_is_on_record() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(API, V::H2).await;
        let (mut upload, request_body) = body();
        let answered = asker.ask(http::Request::post("/x").body(request_body).unwrap());
        let mut origin = world.origin.accept_requests(V::H2).await;
        let mut at_origin = origin.recv().await.unwrap().answer(Response::new(crate::rig::full("ok"))).into_body();
        assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "ok");
        upload.send_data("secretly".into()).await.unwrap();
        assert_eq!(text(&mut at_origin).await, "secretly");
        drop(upload);
        ended(at_origin).await;
        drop(asker);
        world.finish(&["h2 POST /x 200 completed out 8 in 2"]).await;
    })
    .await;
}

/// A piece of a large body.
const PIECE: usize = 64 * 1024;
/// Pieces of it: 100 MiB.
const PIECES: usize = 1600;
/// Most bytes that may lie between an origin and a client that does not read: windows and socket buffers of two hops
/// (the kernel grows them to some 6 MiB each). A proxy that gathers would take all 100 MiB.
const BETWEEN: usize = 40 * 1024 * 1024;

/// A large answer to a client that does not read at first: the origin is held up, then everything arrives.
async fn slow_reader(client: V, server: V) {
    let world = World::new().await;
    let mut asker = world.asker(API, client).await;
    let answered = asker.ask(get("/big"));
    let mut origin = world.origin.accept_requests(server).await;
    let (mut download, response_body) = body();
    origin.recv().await.unwrap().answer(Response::new(response_body));
    let response = answered.await.unwrap().unwrap();
    let piece = Bytes::from(vec![b'.'; PIECE]);
    let mut taken = 0;
    // A send that is still waiting after a moment is held up. On a slow machine it may only be slow: then this
    // stops early, and the rest goes the same way below.
    while taken < PIECES
        && tokio::time::timeout(Duration::from_millis(300), download.send_data(piece.clone())).await.is_ok()
    {
        taken += 1;
    }
    assert!(taken * PIECE < BETWEEN, "{taken} pieces were taken for a client that reads nothing");
    let sending = tokio::spawn(async move {
        for _ in taken..PIECES {
            download.send_data(piece.clone()).await.unwrap();
        }
    });
    let mut body = response.into_body();
    let mut got = 0;
    while let Some(frame) = body.frame().await {
        got += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    sending.await.unwrap();
    assert_eq!(got, PIECES * PIECE);
    drop(asker);
    world.finish(&[&format!("{} GET /big 200 completed in {got}", client.name())]).await;
}

#[tokio::test]
async fn a_slow_reader_holds_the_origin_up_h1() {
    within(slow_reader(V::H1, V::H1)).await;
}

#[tokio::test]
async fn a_slow_reader_holds_the_origin_up_h2() {
    within(slow_reader(V::H2, V::H2)).await;
}

/// A large request to an origin that does not read at first: the client is held up, then everything arrives.
async fn slow_origin(client: V, server: V) {
    let world = World::new().await;
    let mut asker = world.asker(API, client).await;
    let (mut upload, request_body) = body();
    let answered = asker.ask(http::Request::post("/big").body(request_body).unwrap());
    let mut origin = world.origin.accept_requests(server).await;
    let seen = origin.recv().await.unwrap();
    let piece = Bytes::from(vec![b'.'; PIECE]);
    let mut taken = 0;
    while taken < PIECES
        && tokio::time::timeout(Duration::from_millis(300), upload.send_data(piece.clone())).await.is_ok()
    {
        taken += 1;
    }
    assert!(taken * PIECE < BETWEEN, "{taken} pieces were taken for an origin that reads nothing");
    tokio::spawn(async move {
        for _ in taken..PIECES {
            upload.send_data(piece.clone()).await.unwrap();
        }
    });
    let (got, answer, _) = seen.whole().await;
    assert_eq!(got.len(), PIECES * PIECE);
    answer.send(Response::new(crate::rig::full("ok"))).unwrap();
    collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
    drop(asker);
    world.finish(&[&format!("{} POST /big 200 completed out {} in 2", client.name(), PIECES * PIECE)]).await;
}

#[tokio::test]
async fn a_slow_origin_holds_the_client_up_h1() {
    within(slow_origin(V::H1, V::H1)).await;
}

#[tokio::test]
async fn a_slow_origin_holds_the_client_up_h2() {
    within(slow_origin(V::H2, V::H2)).await;
}
