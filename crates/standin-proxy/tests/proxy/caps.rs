//! What passes a cap is refused with a reason, and does not leave.

use crate::rig::{API, OPEN, Setup, V, World, collect, full, get, within};
use http::{Request, Response};
use standin_model::limits::{AUDIT_QUEUE, MAX_EXCHANGES};
use standin_model::{Caps, SessionCaps};

async fn world(each_host: Caps) -> World {
    World::with(Setup { caps: SessionCaps { each_host, ..SessionCaps::default() }, ..Setup::default() }).await
}

#[tokio::test]
async fn requests() {
    within(async {
        let world = world(Caps { requests: Some(1), ..Caps::default() }).await;
        let mut asker = world.asker(API, V::H1).await;
        let first = asker.ask(get("/1"));
        let mut origin = world.origin.accept_requests(V::H1).await;
        origin.recv().await.unwrap().answer(Response::new(full("a")));
        collect(first.await.unwrap().unwrap().into_body()).await.unwrap();
        let second = asker.ask(get("/2")).await.unwrap().unwrap();
        assert_eq!(
            (second.status().as_u16(), &second.headers()["x-standin-reason"]),
            (429, &"cap.requests".parse().unwrap())
        );
        collect(second.into_body()).await.unwrap();
        drop(asker);
        world.finish(&["h1 GET /1 200 completed in 1", "h1 GET /2 429 cap.requests"]).await;
    })
    .await;
}

#[tokio::test]
async fn bytes_out() {
    within(async {
        for client in [V::H1, V::H2] {
            let world = world(Caps { bytes_out: Some(10), ..Caps::default() }).await;
            let mut asker = world.asker(API, client).await;
            let put = |length: usize| Request::put("/").body(full("x".repeat(length))).unwrap();
            let first = asker.ask(put(8));
            let mut origin = world.origin.accept_requests(V::H1).await;
            // The origin reads the whole body before it answers.
            let (body, answer, _) = origin.recv().await.unwrap().whole().await;
            assert_eq!(body.len(), 8);
            answer.send(Response::new(full("a"))).unwrap();
            collect(first.await.unwrap().unwrap().into_body()).await.unwrap();
            // Its connection may not be free again yet; then another one is made for the second request.
            let another = async {
                let _held = world.origin.accept_requests(V::H1).await;
                std::future::pending::<()>().await;
            };
            let second = tokio::select! {
                answer = asker.ask(put(3)) => answer.unwrap().unwrap(),
                () = another => unreachable!("it is held until the answer comes"),
            };
            assert_eq!(second.status(), 413);
            collect(second.into_body()).await.unwrap();
            drop(asker);
            let name = client.name();
            world
                .finish(&[
                    &format!("{name} PUT / 200 completed out 8 in 1"),
                    &format!("{name} PUT / 413 cap.bytes_out"),
                ])
                .await;
        }
    })
    .await;
}

/// Requests whose answers have come as far as their heads: there is no room for the body at the client (RFC 9113 §10.5).
async fn unread(world: &World, mut count: usize, status: u16) -> Vec<Response<h2::RecvStream>> {
    let uri = format!("https://{}/closed", world.authority(OPEN));
    let mut settings = h2::client::Builder::new();
    settings.initial_window_size(0);
    let mut answers = Vec::new();
    while count > 0 {
        let mut client = world.frames_with(OPEN, &settings).await;
        let streams = count.min(240); // fewer than a connection may have
        let mut asked = Vec::new();
        for _ in 0..streams {
            client = client.ready().await.unwrap();
            asked.push(client.send_request(Request::get(&uri).body(()).unwrap(), true).unwrap().0);
        }
        for answer in asked {
            answers.push(answer.await.unwrap());
        }
        count -= streams;
    }
    assert!(answers.iter().all(|answer| answer.status() == status));
    answers
}

/// A client whose session has all exchanges open that it may have is told so, at once and on record, and goes on when
/// some have ended. Those who do not read that answer either take up no room.
#[tokio::test]
async fn open_exchanges() {
    within(async {
        let world = World::new().await;
        let open = unread(&world, MAX_EXCHANGES, 403).await;
        let refused = unread(&world, AUDIT_QUEUE - MAX_EXCHANGES, 429).await;
        let mut asker = world.asker(OPEN, V::H1).await;
        let answer = asker.ask(get("/closed")).await.unwrap().unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-standin-reason"]),
            (429, &"cap.exchanges".parse().unwrap())
        );
        assert!(collect(answer.into_body()).await.unwrap().0.contains("let some of them end"));
        let (told, of) = (1 + refused.len(), open.len());
        drop((open, refused));
        let mut again = 0;
        loop {
            let answer = asker.ask(get("/closed")).await.unwrap().unwrap();
            let status = answer.status();
            collect(answer.into_body()).await.unwrap();
            if status == 403 {
                break;
            }
            again += 1;
        }
        drop(asker);
        let rows = world.end().await;
        let count = |code: &str| rows.iter().filter(|row| row.reason.as_deref() == Some(code)).count();
        assert_eq!((count("cap.exchanges"), count("http.request_not_allowed")), (told + again, of + 1));
        assert_eq!(rows.len(), told + again + of + 1);
    })
    .await;
}

#[tokio::test]
async fn connections() {
    within(async {
        let world = world(Caps { connections: Some(1), ..Caps::default() }).await;
        let first = world.client(API).await;
        // Another host has a cap of its own.
        let other = world.client(OPEN).await;
        let mut second = world.client(API).await;
        second.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let head = second.head().await;
        assert!(head.starts_with("HTTP/1.1 429") && head.contains("x-standin-reason: cap.connections"), "{head}");
        drop((first, other, second));
        world.finish(&["raw downstream_closed", "raw downstream_closed", "raw 429 cap.connections"]).await;
    })
    .await;
}
