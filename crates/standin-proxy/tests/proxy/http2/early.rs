//! Answers that come before their request has ended: what was not read must not be missing for other streams (§5.2.1).

use crate::rig::{API, OPEN, Setup, V, World, body, collect, full, within};
use http::{Request, Response};
use http_body_util::BodyExt;
use standin_model::limits::UNREAD_BYTES;
use standin_model::{Caps, SessionCaps};

/// The bytes of one upload: a stream's whole window.
const UPLOAD: usize = 1024 * 1024;
/// So many of them are five times the window of their connection.
const UPLOADS: usize = 20;

/// Many uploads on one connection that are answered unread, then one that is read and passes that window twice.
async fn unread_uploads(server: V) {
    let world = World::new().await;
    let mut asker = world.asker(API, V::H2).await;
    let mut requests = world.origin.accept_all(server);
    for _ in 0..UPLOADS {
        let answered = asker.ask(Request::put("/early").body(full(vec![b'x'; UPLOAD])).unwrap());
        drop(requests.recv().await.unwrap().answer(Response::new(full("a"))));
        // The rest of a request may be cut off by its answer (§8.1), and hyper's client takes that for the answer's end.
        drop(answered.await.unwrap().unwrap().into_body().collect().await);
    }
    let answered = asker.ask(Request::put("/late").body(full(vec![b'x'; 8 * UPLOAD])).unwrap());
    let late = loop {
        let seen = requests.recv().await.unwrap();
        if seen.request.uri().path() == "/late" {
            break seen;
        }
    };
    let (got, answer, _) = late.whole().await;
    assert_eq!(got.len(), 8 * UPLOAD);
    answer.send(Response::new(full("b"))).unwrap();
    assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "b");
    drop((asker, requests));
    let rows = world.end().await;
    assert_eq!(rows.len(), UPLOADS + 1, "{rows:#?}");
    // None is lost, although an origin that speaks HTTP/1.1 hangs up on what it does not read.
    assert!(rows.iter().all(|row| row.status == Some(200) && row.outcome == "completed"), "{rows:#?}");
    let late = rows.iter().find(|row| row.target.as_deref() == Some("/late")).unwrap();
    assert_eq!((late.outcome.as_str(), late.bytes_out), ("completed", 8 << 20));
}

#[tokio::test]
async fn unread_uploads_hold_up_no_other_h1() {
    within(unread_uploads(V::H1)).await;
}

#[tokio::test]
async fn unread_uploads_hold_up_no_other_h2() {
    within(unread_uploads(V::H2)).await;
}

/// What an answer cut off before it left has not left, and counts against no cap.
#[tokio::test]
async fn what_did_not_leave_is_not_counted() {
    within(async {
        let caps = SessionCaps { each_host: Caps { bytes_out: Some(10), ..Caps::default() }, ..SessionCaps::default() };
        let world = World::with(Setup { caps, ..Setup::default() }).await;
        let mut asker = world.asker(API, V::H2).await;
        let mut requests = world.origin.accept_all(V::H1);
        // The head goes out, the answer comes, and only then the client sends the body.
        let (mut upload, request_body) = body();
        let first = asker.ask(Request::put("/1").body(request_body).unwrap());
        drop(requests.recv().await.unwrap().answer(Response::new(full("a"))));
        drop(first.await.unwrap().unwrap().into_body().collect().await);
        drop(upload.send_data("12345678".into()).await);
        drop(upload);
        let second = asker.ask(Request::put("/2").body(full("123")).unwrap());
        let (got, answer, _) = requests.recv().await.unwrap().whole().await;
        assert_eq!(got, "123");
        answer.send(Response::new(full("b"))).unwrap();
        assert_eq!(collect(second.await.unwrap().unwrap().into_body()).await.unwrap().0, "b");
        let third = asker.ask(Request::put("/3").body(full("12345678")).unwrap()).await.unwrap().unwrap();
        assert_eq!(third.status(), 413);
        drop(third.into_body().collect().await);
        drop((asker, requests));
        world
            .finish(&[
                "h2 PUT /1 200 completed in 1",
                "h2 PUT /2 200 completed out 3 in 1",
                "h2 PUT /3 413 cap.bytes_out",
            ])
            .await;
    })
    .await;
}

/// A refused client may send the rest of its request, and hears no more than the answer (curl 7.88 took a reset for a failure).
#[tokio::test]
async fn what_follows_a_refusal_is_read_away() {
    within(async {
        let world = World::new().await;
        let uri = format!("https://{}/closed", world.authority(OPEN));
        let post = || Request::post(&uri).body(()).unwrap();
        let mut client = world.frames(OPEN).await;
        let (answer, mut upload) = client.send_request(post(), false).unwrap();
        assert_eq!(whole(answer).await, 403);
        upload.send_data("what it was about to send".into(), false).unwrap();
        // What was sent about the first stream comes before the answer in the next.
        let (next, _) = client.send_request(post(), true).unwrap();
        assert_eq!(whole(next).await, 403);
        let reset = std::future::poll_fn(|cx| std::task::Poll::Ready(upload.poll_reset(cx))).await;
        assert!(reset.is_pending(), "{reset:?}");
        upload.send_data("and its end".into(), true).unwrap();
        drop((client, upload));
        world.finish(&["h2 POST /closed 403 http.request_not_allowed"; 2]).await;
    })
    .await;
}

async fn whole(answer: h2::client::ResponseFuture) -> u16 {
    let mut answer = answer.await.unwrap();
    let status = answer.status().as_u16();
    while let Some(data) = answer.body_mut().data().await {
        answer.body_mut().flow_control().release_capacity(data.unwrap().len()).unwrap();
    }
    status
}

/// But not for ever.
#[tokio::test]
async fn an_endless_request_is_cut_off_after_its_refusal() {
    within(async {
        for version in [V::H1, V::H2] {
            let world = World::new().await;
            let mut asker = world.asker(OPEN, version).await;
            let (mut upload, request_body) = body();
            let answered = asker.ask(Request::post("/closed").body(request_body).unwrap());
            let mut sent = 0;
            while upload.send_data(vec![b'x'; 1 << 16].into()).await.is_ok() {
                sent += 1 << 16;
            }
            assert!(sent >= UNREAD_BYTES, "{sent}");
            // Whether the answer is still heard is up to a client that sends as much.
            drop((answered.await.unwrap(), asker));
            world.finish(&[&format!("{} POST /closed 403 http.request_not_allowed", version.name())]).await;
        }
    })
    .await;
}

/// In HTTP/1.1 the connection goes on.
#[tokio::test]
async fn a_refused_upload_keeps_its_connection() {
    within(async {
        let world = World::new().await;
        let host = world.authority(OPEN);
        let mut client = world.client(OPEN).await;
        for _ in 0..2 {
            client.send(format!("POST /closed HTTP/1.1\r\nhost: {host}\r\ncontent-length: 9\r\n\r\n")).await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 403") && !head.contains("connection: close"), "{head}");
            let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
            client.exactly(length).await;
            client.send("x".repeat(9)).await;
        }
        drop(client);
        world.finish(&["h1 POST /closed 403 http.request_not_allowed"; 2]).await;
    })
    .await;
}
