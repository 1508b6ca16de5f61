//! Bodies with a slot: gathered, bounded, and whole when they go out. Other bodies stream as ever.

use super::{Ask, FORM, JSON, at, refusal, setup, world};
use crate::bodies::pairings;
use crate::rig::{API, BOTH, Bytes, OPEN, SECRET, STAND_IN, Setup, V, World, body, collect, empty, full, text, within};
use http::{HeaderMap, Request, Response};
use standin_model::limits::{MAX_BODY_INJECTION, MAX_GATHERED_BYTES};
use std::pin::Pin;
use std::task::Poll;

pairings! {
    a_body_cut_anywhere
    other_bodies_stream_as_they_are
    trailers_follow_a_gathered_body
}

mod run {
    use super::*;

    pub async fn a_body_cut_anywhere(client: V, server: V) {
        let world = world(&["json:/key"]).await;
        let mut asker = world.asker(API, client).await;
        let sent = format!("{{\"a\":\"\u{e4}\\n\",\"key\":\"{STAND_IN}\"}}");
        let mut origin = None;
        // In two pieces, cut everywhere, and in pieces of one byte.
        for size in 1..=sent.len() {
            let (mut upload, request_body) = body();
            let request = Request::post("/x").header("content-type", JSON).body(request_body).unwrap();
            let answered = asker.ask(request);
            let bytes = Bytes::from(sent.clone());
            let pieces = if size == 1 { bytes.chunks(1).collect() } else { vec![&bytes[..size], &bytes[size..]] };
            for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
                upload.send_data(Bytes::copy_from_slice(piece)).await.unwrap();
            }
            drop(upload);
            if origin.is_none() {
                origin = Some(world.origin.accept_requests(server).await);
            }
            let seen = origin.as_mut().unwrap().recv().await.unwrap();
            assert_eq!(seen.request.headers()["content-length"], sent.len().to_string());
            let (got, answer, _) = seen.whole().await;
            assert_eq!(got, sent.replace(STAND_IN, SECRET));
            answer.send(Response::new(empty())).unwrap();
            assert_eq!(answered.await.unwrap().unwrap().status(), 200);
        }
        drop(asker);
        let rows = world.end().await;
        assert_eq!(rows.len(), sent.len());
        assert!(
            rows.iter().all(|row| row.credentials == ["key"] && usize::try_from(row.bytes_out).unwrap() == sent.len())
        );
    }

    /// Of another type, at a host without a grant, for a request that the grant does not mean: what is sent arrives before
    /// the next is sent.
    pub async fn other_bodies_stream_as_they_are(client: V, server: V) {
        for (slot, host, content_type) in [
            ("json:/key", API, "multipart/form-data; boundary=x"),
            ("json:/key", API, "text/plain"),
            ("json:/key", API, FORM),
            ("form:key", API, JSON),
            ("header:x-api-key", API, JSON),
            ("json:/key", OPEN, JSON),
            ("json:/key", BOTH, JSON),
        ] {
            let world = world(&[slot]).await;
            let mut asker = world.asker(host, client).await;
            let (mut upload, request_body) = body();
            let answered =
                asker.ask(Request::post("/x").header("content-type", content_type).body(request_body).unwrap());
            let mut origin = world.origin.accept_requests(server).await;
            let seen = origin.recv().await.unwrap();
            let mut at_origin = seen.request.into_body();
            for piece in ["key=value", "{\"key\":\"value\""] {
                upload.send_data(piece.into()).await.unwrap();
                assert_eq!(text(&mut at_origin).await, piece);
            }
            drop(upload);
            assert_eq!(collect(at_origin).await.unwrap().0, "");
            seen.answer.send(Response::new(empty())).unwrap();
            assert_eq!(answered.await.unwrap().unwrap().status(), 200);
            drop(asker);
            let rows = world.end().await;
            assert!(rows[0].credentials.is_empty(), "{slot} {host} {content_type}");
        }
    }

    /// Digests are those of the body with the stand-in; they do not go out. What else follows the body does.
    pub async fn trailers_follow_a_gathered_body(client: V, server: V) {
        let world = world(&["form:key"]).await;
        let mut asker = world.asker(API, client).await;
        let (mut upload, request_body) = body();
        let request = Request::post("/x")
            .header("content-type", FORM)
            .header("content-digest", "x")
            .header("trailer", "x-checksum, digest")
            .body(request_body)
            .unwrap();
        let answered = asker.ask(request);
        upload.send_data(format!("key={STAND_IN}").into()).await.unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "1".parse().unwrap());
        trailers.insert("digest", "1".parse().unwrap());
        upload.send_trailers(trailers).await.unwrap();
        drop(upload);
        let mut origin = world.origin.accept_requests(server).await;
        let seen = origin.recv().await.unwrap();
        assert!(!seen.request.headers().contains_key("content-digest"));
        let (got, answer, trailers) = seen.whole().await;
        assert_eq!(got, format!("key={}", SECRET.replace('-', "%2D")));
        assert_eq!(trailers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-checksum"]);
        answer.send(Response::new(empty())).unwrap();
        assert_eq!(answered.await.unwrap().unwrap().status(), 200);
        drop(asker);
        world.end().await;
    }
}

/// What says that it is too large is refused before it is read; what does not say so, when it is.
#[tokio::test]
async fn large_bodies() {
    within(async {
        let world = world(&["json:/key"]).await;
        let mut client = world.client(API).await;
        let (host, length) = (world.authority(API), MAX_BODY_INJECTION + 1);
        let head = |more: &str| format!("POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Type: {JSON}\r\n{more}\r\n\r\n");
        client.send(head(&format!("Expect: 100-continue\r\nContent-Length: {length}"))).await;
        let answer = client.head().await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("credential.body_too_large"), "{answer}");
        let mut asker = world.asker(API, V::H2).await;
        let (mut upload, request_body) = body();
        let answered = asker.ask(Request::post("/x").header("content-type", JSON).body(request_body).unwrap());
        let chunk = Bytes::from(vec![b' '; 1024 * 1024]);
        for _ in 0..=MAX_BODY_INJECTION / chunk.len() {
            if upload.send_data(chunk.clone()).await.is_err() {
                break; // the answer came
            }
        }
        assert_eq!(answered.await.unwrap().unwrap().headers()["x-standin-reason"], "credential.body_too_large");
        assert!(world.origin.is_untouched());
        // The largest that fits, with the slot at its end.
        let rest = format!("\"key\":\"{STAND_IN}\"}}");
        let largest = format!("{{{}{rest}", " ".repeat(MAX_BODY_INJECTION - rest.len() - 1));
        let request = Request::post("/x").header("content-type", JSON).body(full(largest.clone())).unwrap();
        let answered = asker.ask(request);
        let mut origin = world.origin.accept_requests(V::H2).await;
        let (got, answer, _) = origin.recv().await.unwrap().whole().await;
        assert!(got == largest.replace(STAND_IN, SECRET));
        answer.send(Response::new(empty())).unwrap();
        assert_eq!(answered.await.unwrap().unwrap().status(), 200);
        drop((asker, client));
        let length = MAX_BODY_INJECTION;
        world
            .finish(&[
                "h1 POST /x 413 credential.body_too_large",
                "h2 POST /x 413 credential.body_too_large",
                &format!("h2 POST /x 200 completed out {length}"),
            ])
            .await;
    })
    .await;
}

/// All bodies that are gathered have a bound together. Nine that are not over yet are more than it: one is refused, and
/// leaves room for the others.
#[tokio::test]
async fn gathered_bodies_are_bounded_together() {
    within(async {
        let world = world(&["json:/key"]).await;
        let size = MAX_BODY_INJECTION - 512 * 1024;
        let count = MAX_GATHERED_BYTES / size + 1;
        let (mut uploads, mut answers) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let mut asker = world.asker(API, V::H1).await;
            let (upload, request_body) = body();
            answers
                .push((asker.ask(Request::post("/x").header("content-type", JSON).body(request_body).unwrap()), asker));
            uploads.push(upload);
        }
        let chunk = Bytes::from(vec![b' '; size / 30]);
        for _ in 0..30 {
            for upload in &mut uploads {
                drop(upload.send_data(chunk.clone()).await); // the one that was refused is not read
            }
        }
        let (refused, response) = std::future::poll_fn(|cx| {
            for (number, (answer, _)) in answers.iter_mut().enumerate() {
                if let Poll::Ready(response) = Pin::new(answer).poll(cx) {
                    return Poll::Ready((number, response));
                }
            }
            Poll::Pending
        })
        .await;
        assert_eq!(response.unwrap().unwrap().headers()["x-standin-reason"], "credential.body_too_large");
        drop((uploads.remove(refused), answers.remove(refused)));
        let mut requests = world.origin.accept_all(V::H1);
        for mut upload in uploads {
            upload.send_data("{}".into()).await.unwrap();
        }
        for _ in &answers {
            let seen = requests.recv().await.unwrap();
            let (_, answer, _) = seen.whole().await;
            answer.send(Response::new(empty())).unwrap();
        }
        for (answer, _) in answers {
            assert_eq!(answer.await.unwrap().unwrap().status(), 200);
        }
        let rows = world.end().await;
        assert_eq!(rows.iter().filter(|row| row.outcome == "denied").count(), 1);
    })
    .await;
}

/// The client is told to go on by us, and the origin is asked nothing.
#[tokio::test]
async fn expect_is_answered_here() {
    within(async {
        let world = world(&["form:key"]).await;
        let mut client = world.client(API).await;
        let (host, sent) = (world.authority(API), format!("key={STAND_IN}"));
        client
            .send(format!(
                "POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Type: {FORM}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
                sent.len()
            ))
            .await;
        client.expect("HTTP/1.1 100 Continue\r\n\r\n").await;
        client.send(&sent).await;
        let mut origin = world.origin.accept().await;
        let head = origin.head().await.to_lowercase();
        let real = format!("key={}", SECRET.replace('-', "%2D"));
        assert!(!head.contains("expect") && head.contains(&format!("content-length: {}\r\n", real.len())), "{head}");
        origin.expect(&real).await;
        origin.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 "));
        client.cut();
        world.finish(&[&format!("h1 POST /x 200 completed out {}", real.len())]).await;
    })
    .await;
}

/// A kept connection that the origin has closed: the request goes out again, with its body.
#[tokio::test]
async fn a_gathered_body_is_sent_again() {
    within(async {
        let world = world(&["json:/key"]).await;
        let mut asker = world.asker(API, V::H1).await;
        let sent = format!("{{\"key\":\"{STAND_IN}\"}}");
        let ask = Ask { fields: &[("content-type", JSON)], body: &sent, ..at("/x") };
        for _ in 0..2 {
            let answered = asker.ask(ask.request());
            let mut origin = world.origin.accept().await;
            origin.head().await;
            origin.expect(sent.replace(STAND_IN, SECRET)).await;
            origin.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            assert_eq!(answered.await.unwrap().unwrap().status(), 200);
            origin.cut();
        }
        drop(asker);
        let record = format!("h1 POST /x 200 completed out {}", sent.len());
        world.finish(&[&record, &record]).await;
    })
    .await;
}

/// A client that breaks off in the middle has sent nothing to the origin.
#[tokio::test]
async fn half_a_body_goes_nowhere() {
    within(async {
        let world = world(&["json:/key"]).await;
        let mut client = world.client(API).await;
        let host = world.authority(API);
        let half = format!("{{\"key\":\"{STAND_IN}\"");
        client
            .send(format!(
                "POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Type: {JSON}\r\nContent-Length: 500\r\n\r\n{half}"
            ))
            .await;
        client.shut().await;
        client.until_gone().await;
        assert!(world.origin.is_untouched());
        let rows = world.end().await;
        assert_eq!(rows.iter().map(|row| row.outcome.as_str()).collect::<Vec<_>>(), ["downstream_closed"]);
    })
    .await;
}

/// A body that was not read yet counts for the cap when it goes out.
#[tokio::test]
async fn caps_hold_for_gathered_bodies() {
    within(async {
        let mut setup = setup(&["json:/key"]);
        setup.caps.session.bytes_out = Some(20);
        let world = World::with(Setup { ..setup }).await;
        let mut asker = world.asker(API, V::H1).await;
        let sent = format!("{{\"key\":\"{STAND_IN}\"}}");
        let ask = Ask { fields: &[("content-type", JSON)], body: &sent, ..at("/x") };
        let (got, _origin) = tokio::join!(refusal(&mut asker, ask.request()), world.origin.accept());
        assert_eq!(got, (413, "cap.bytes_out".to_owned()));
        drop(asker);
        world.end().await;
    })
    .await;
}
