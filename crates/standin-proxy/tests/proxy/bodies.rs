//! Whole exchanges in every pairing of HTTP/1.1 and HTTP/2: what one side says, the other side hears.

use crate::rig::{API, SECRET, STAND_IN, V, World, body, collect, empty, ended, full, get, text, within};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;

/// Runs a test in every pairing of versions.
macro_rules! pairings {
    ($($name:ident)+) => {$(
        mod $name {
            use super::{V, within};
            #[tokio::test] async fn h1_to_h1() { within(super::run::$name(V::H1, V::H1)).await }
            #[tokio::test] async fn h1_to_h2() { within(super::run::$name(V::H1, V::H2)).await }
            #[tokio::test] async fn h2_to_h1() { within(super::run::$name(V::H2, V::H1)).await }
            #[tokio::test] async fn h2_to_h2() { within(super::run::$name(V::H2, V::H2)).await }
        }
    )+};
}
pub(crate) use pairings;

pairings! {
    one_connection_carries_many
    bodies_of_unknown_length_stream_both_ways
    lengths_are_kept_both_ways
    head_and_empty_answers
    trailers_of_the_answer_arrive
    trailers_of_the_request_arrive
    messages_in_lock_step
}

mod run {
    use super::*;

    /// Two exchanges on one connection towards either side, with the secret in place of the stand-in each time.
    pub async fn one_connection_carries_many(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let answered = asker.ask(with_key(get("/1")));
        let mut origin = world.origin.accept_requests(server).await;
        let seen = origin.recv().await.unwrap();
        assert_eq!(seen.request.headers()["authorization"], format!("Bearer {SECRET}"));
        seen.answer(Response::new(full("one")));
        assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "one");
        let answered = asker.ask(with_key(get("/2")));
        let seen = origin.recv().await.unwrap();
        assert_eq!(seen.request.headers()["authorization"], format!("Bearer {SECRET}"));
        seen.answer(Response::new(full("two")));
        assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "two");
        assert!(world.origin.is_untouched());
        drop(asker);
        let c = client.name();
        world.finish(&[&format!("{c} GET /1 200 completed in 3"), &format!("{c} GET /2 200 completed in 3")]).await;
    }

    pub async fn bodies_of_unknown_length_stream_both_ways(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let (mut upload, request_body) = body();
        let answered = asker.ask(Request::post("/x").body(request_body).unwrap());
        let mut origin = world.origin.accept_requests(server).await;
        let seen = origin.recv().await.unwrap();
        let (mut download, response_body) = body();
        let mut at_origin = seen.answer(Response::new(response_body)).into_body();
        let mut at_client = answered.await.unwrap().unwrap().into_body();
        for (up, down) in [("a", "A"), ("bb", "BB"), ("ccc", "CCC")] {
            upload.send_data(up.into()).await.unwrap();
            assert_eq!(text(&mut at_origin).await, up);
            download.send_data(down.into()).await.unwrap();
            assert_eq!(text(&mut at_client).await, down);
        }
        drop(upload);
        ended(at_origin).await;
        drop(download);
        ended(at_client).await;
        drop(asker);
        world.finish(&[&format!("{} POST /x 200 completed out 6 in 6", client.name())]).await;
    }

    pub async fn lengths_are_kept_both_ways(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let answered = asker.ask(Request::put("/x").header("content-length", 4).body(full("ping")).unwrap());
        let mut origin = world.origin.accept_requests(server).await;
        let seen = origin.recv().await.unwrap();
        assert_eq!(seen.request.headers()["content-length"], "4");
        let request = seen.whole().await;
        assert_eq!(request.0, "ping");
        request.1.send(Response::builder().header("content-length", 6).body(full("answer")).unwrap()).unwrap();
        let response = answered.await.unwrap().unwrap();
        assert_eq!(response.headers()["content-length"], "6");
        assert_eq!(collect(response.into_body()).await.unwrap().0, "answer");
        drop(asker);
        world.finish(&[&format!("{} PUT /x 200 completed out 4 in 6", client.name())]).await;
    }

    /// `HEAD`, 204 and 304 have no body, and a length that is not the body's (RFC 9110 §8.6) passes untouched.
    pub async fn head_and_empty_answers(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let mut origin = None;
        for (method, status, length) in [
            (Method::HEAD, 200, Some("1000")),
            (Method::HEAD, 200, None),
            (Method::GET, 204, None),
            (Method::GET, 304, None),
        ] {
            let answered = asker.ask(Request::builder().method(method).uri("/x").body(empty()).unwrap());
            if origin.is_none() {
                origin = Some(world.origin.accept_requests(server).await);
            }
            let mut response = Response::builder().status(status);
            if let Some(length) = length {
                response = response.header("content-length", length);
            }
            origin.as_mut().unwrap().recv().await.unwrap().answer(response.body(empty()).unwrap());
            let response = answered.await.unwrap().unwrap();
            assert_eq!(response.status(), status);
            let got = response.headers().get("content-length").map(|v| v.to_str().unwrap().to_owned());
            if status != 200 || length.is_some() {
                assert_eq!(got.as_deref(), length, "{status}");
            }
            assert_eq!(collect(response.into_body()).await.unwrap().0, "");
        }
        assert!(world.origin.is_untouched(), "one connection was enough");
        drop(asker);
        let c = client.name();
        world
            .finish(&[
                &format!("{c} HEAD /x 200 completed"),
                &format!("{c} HEAD /x 200 completed"),
                &format!("{c} GET /x 204 completed"),
                &format!("{c} GET /x 304 completed"),
            ])
            .await;
    }

    /// What gRPC needs: fields after the body, here with the secret in them.
    pub async fn trailers_of_the_answer_arrive(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let request = Request::get("/x").header("te", "trailers").body(empty()).unwrap();
        let answered = asker.ask(request);
        let mut origin = world.origin.accept_requests(server).await;
        let seen = origin.recv().await.unwrap();
        assert_eq!(seen.request.headers()["te"], "trailers");
        let (mut download, response_body) = body();
        seen.answer(Response::builder().header("trailer", "grpc-status, grpc-message").body(response_body).unwrap());
        let mut response = answered.await.unwrap().unwrap();
        download.send_data("data".into()).await.unwrap();
        assert_eq!(text(response.body_mut()).await, "data");
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("grpc-message", format!("hello {SECRET}").parse().unwrap());
        download.send_trailers(trailers).await.unwrap();
        let (rest, trailers) = collect(response.into_body()).await.unwrap();
        assert_eq!((rest.as_str(), &trailers["grpc-status"]), ("", &HeaderValue::from_static("0")));
        assert_eq!(trailers["grpc-message"], format!("hello {STAND_IN}"));
        let answered = asker.ask(get("/y"));
        origin.recv().await.unwrap().answer(Response::new(full("on")));
        assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "on");
        assert!(world.origin.is_untouched(), "the connection is good for more");
        drop(asker);
        let c = client.name();
        world.finish(&[&format!("{c} GET /x 200 completed in 4"), &format!("{c} GET /y 200 completed in 2")]).await;
    }

    pub async fn trailers_of_the_request_arrive(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let (mut upload, request_body) = body();
        let answered = asker.ask(Request::post("/x").header("trailer", "x-checksum").body(request_body).unwrap());
        let mut origin = world.origin.accept_requests(server).await;
        let seen = origin.recv().await.unwrap();
        upload.send_data("data".into()).await.unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", HeaderValue::from_static("42"));
        upload.send_trailers(trailers).await.unwrap();
        drop(upload);
        let mut at_origin = seen.request.into_body();
        let mut got = String::new();
        let mut checksum = None;
        while let Some(frame) = at_origin.frame().await {
            match frame.unwrap().into_data() {
                Ok(data) => got.push_str(std::str::from_utf8(&data).unwrap()),
                Err(frame) => checksum = frame.into_trailers().unwrap().get("x-checksum").cloned(),
            }
        }
        assert_eq!((got.as_str(), checksum), ("data", Some(HeaderValue::from_static("42"))));
        seen.answer.send(Response::new(full("ok"))).unwrap();
        assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "ok");
        drop(asker);
        world.finish(&[&format!("{} POST /x 200 completed out 4 in 2", client.name())]).await;
    }

    /// Bidirectional streaming: the client sends its next message only when it has the answer to the last.
    pub async fn messages_in_lock_step(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let (mut upload, request_body) = body();
        let answered = asker.ask(with_key(Request::post("/chat").body(request_body).unwrap()));
        let mut origin = world.origin.accept_requests(server).await;
        let seen = origin.recv().await.unwrap();
        let (mut download, response_body) = body();
        let mut at_origin = seen.answer(Response::new(response_body)).into_body();
        let response = answered.await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut at_client = response.into_body();
        for number in 0..50 {
            upload.send_data(format!("q{number}").into()).await.unwrap();
            assert_eq!(text(&mut at_origin).await, format!("q{number}"));
            download.send_data(format!("[{number}]").into()).await.unwrap();
            assert_eq!(text(&mut at_client).await, format!("[{number}]"));
        }
        drop((upload, download));
        ended(at_client).await;
        drop(asker);
        world.finish(&[&format!("{} POST /chat 200 completed out 140 in 190", client.name())]).await;
    }
}

fn with_key<B>(mut request: Request<B>) -> Request<B> {
    request.headers_mut().insert("authorization", format!("Bearer {STAND_IN}").parse().unwrap());
    request
}
