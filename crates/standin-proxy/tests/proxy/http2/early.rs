//! Answers that come before their request has ended: what was not read must not be missing for other streams (§5.2.1).

use crate::rig::{API, Setup, V, World, body, collect, full, within};
use http::{Request, Response};
use http_body_util::BodyExt;
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
