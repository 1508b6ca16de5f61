//! What a request carries in the wrong place, or of somebody else's.

use crate::bodies::pairings;
use crate::rig::{API, OPEN, SECRET, STAND_IN, Seen, V, World, body, collect, empty, full, holds_secret, text, within};
use http::{HeaderMap, Request, Response};

/// Names and values.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// A request whose fields are these, by either version.
async fn ask(world: &World, host: &str, version: V, fields: Fields<'_>) -> (u16, String) {
    let mut asker = world.asker(host, version).await;
    let mut request = Request::get("/x");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = asker.ask(request.body(empty()).unwrap()).await.unwrap().unwrap();
    let reason = response.headers().get("x-standin-reason").map(|v| v.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    collect(response.into_body()).await.unwrap();
    (status, reason.unwrap_or_default())
}

#[tokio::test]
async fn what_does_not_belong_is_refused_and_nothing_leaves() {
    within(async {
        let ours = format!("Bearer {STAND_IN}");
        let lower = STAND_IN.to_lowercase();
        let foreign = "Bearer sk-Somebody-Elses-Key-0123456789";
        let table: &[(&str, Fields<'_>, &str)] = &[
            (API, &[("authorization", foreign)], "credential.foreign"),
            (API, &[("authorization", &ours), ("authorization", foreign)], "credential.foreign"),
            (API, &[("authorization", foreign), ("authorization", &ours)], "credential.foreign"),
            (API, &[("authorization", &ours), ("x-api-key", "sk-other")], "credential.foreign"),
            (API, &[("x-api-key", STAND_IN), ("x-api-key", "sk-other")], "credential.foreign"),
            (API, &[("authorization", &ours), ("private-token", "x")], "credential.foreign"),
            (API, &[("authorization", &ours), ("private_token", "x")], "credential.foreign"),
            (API, &[("authorization", &format!("Token token=x; y={STAND_IN}"))], "credential.foreign"),
            (API, &[("x-api-key", &format!("sk-other; y={STAND_IN}"))], "credential.foreign"),
            (API, &[("sec-websocket-protocol", "a, openai-insecure-api-key.sk-other")], "credential.foreign"),
            (API, &[(&lower, "1")], "credential.wrong_slot"),
            (API, &[(&format!("x-{lower}-x"), "1")], "credential.wrong_slot"),
            (API, &[("x-note", STAND_IN)], "credential.wrong_slot"),
            (API, &[("user-agent", &format!("x/{STAND_IN}"))], "credential.wrong_slot"),
            (OPEN, &[("authorization", &ours)], "credential.wrong_destination"),
            (OPEN, &[(&lower, "1")], "credential.wrong_slot"),
        ];
        for (host, fields, code) in table {
            for version in [V::H1, V::H2] {
                let world = World::new().await;
                assert_eq!(ask(&world, host, version, fields).await, (403, (*code).to_owned()), "{host} {fields:?}");
                assert!(world.origin.is_untouched());
                world.finish(&[&format!("{} GET /x 403 {code}", version.name())]).await;
            }
        }
    })
    .await;
}

/// The same stand-in twice is exchanged twice; other lines of the same field stay (HTTP/2 cookies: RFC 9113 §8.2.3).
#[tokio::test]
async fn every_line_of_a_field_is_kept() {
    within(async {
        let world = World::new().await;
        let mut client = world.frames(API).await;
        let uri = format!("https://{}/x", world.authority(API));
        let request = Request::get(uri)
            .header("cookie", "a=1")
            .header("cookie", format!("session={STAND_IN}"))
            .header("cookie", "b=2")
            .header("x-api-key", STAND_IN)
            .header("x-api-key", STAND_IN)
            .body(())
            .unwrap();
        let (answered, _) = client.send_request(request, true).unwrap();
        let mut origin = world.origin.accept_requests(V::H2).await;
        let seen = origin.recv().await.unwrap();
        let lines = |name: &str| -> Vec<_> {
            seen.request.headers().get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(lines("cookie"), ["a=1", &format!("session={SECRET}"), "b=2"]);
        assert_eq!(lines("x-api-key"), [SECRET, SECRET]);
        seen.answer(Response::new(empty()));
        assert_eq!(answered.await.unwrap().status(), 200);
        drop(client);
        let rows = world.finish(&["h2 GET /x 200 completed"]).await;
        assert!(rows[0].credentials.iter().all(|name| name == "key") && !rows[0].credentials.is_empty());
    })
    .await;
}

/// What was judged is the method and path of the request line. No field may tell a server others.
#[tokio::test]
async fn no_field_names_another_method_or_path() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(OPEN, V::H1).await;
        let mut request = Request::post("/x").header("x-kept", "1").header("x_kept", "1");
        for name in ["x-http-method-override", "x_http_method_override", "x-original-url", "transfer_encoding"] {
            request = request.header(name, "DELETE");
        }
        let answered = asker.ask(request.body(empty()).unwrap());
        let mut origin = world.origin.accept_requests(V::H1).await;
        let seen = origin.recv().await.unwrap();
        let names: Vec<_> = seen.request.headers().keys().map(http::HeaderName::as_str).collect();
        let odd = |name: &&&str| name.contains('_') || name.starts_with("x-");
        let mut kept: Vec<_> = names.iter().filter(odd).copied().collect();
        kept.sort_unstable();
        assert_eq!(kept, ["x-kept", "x_kept"]);
        seen.answer(Response::new(empty()));
        assert_eq!(answered.await.unwrap().unwrap().status(), 200);
        drop(asker);
        world.finish(&["h1 POST /x 200 completed"]).await;
    })
    .await;
}

/// The client writes method and path, and a refusal repeats them; a record keeps no more than it may.
#[tokio::test]
async fn records_are_short() {
    within(async {
        let world = World::new().await;
        let mut client = world.client(OPEN).await;
        let (method, host) = ("M".repeat(50_000), world.authority(OPEN));
        client.send(format!("{method} /closed HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(client.head().await.starts_with("HTTP/1.1 403 "));
        client.cut();
        let rows = world.end().await;
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(row.outcome, "denied");
        let lengths = [&row.method, &row.detail].map(|text| text.as_ref().unwrap().len());
        assert!(lengths.iter().all(|length| (2_048..3_000).contains(length)), "{lengths:?}");
    })
    .await;
}

pairings! {
    trailers_do_not_carry_credentials
    trailers_say_nothing_that_is_too_late
}

mod run {
    use super::*;
    use http_body_util::BodyExt;

    /// A trailer comes when the head has left. The request is broken off, and the origin never sees the end of it.
    pub async fn trailers_do_not_carry_credentials(client: V, server: V) {
        let lower = STAND_IN.to_lowercase();
        for (name, value, code) in [
            ("x-checksum", STAND_IN, "credential.wrong_slot"),
            (lower.as_str(), "1", "credential.wrong_slot"),
            ("x-api-key", "sk-Somebody-Elses-Key", "credential.foreign"),
        ] {
            let world = World::new().await;
            let mut asker = world.asker(API, client).await;
            let (mut upload, request_body) = body();
            let answered = asker.ask(Request::post("/x").header("trailer", name).body(request_body).unwrap());
            let mut origin = world.origin.accept_requests(server).await;
            let Seen { request, answer: _answer } = origin.recv().await.unwrap();
            let mut at_origin = request.into_body();
            upload.send_data("data".into()).await.unwrap();
            assert_eq!(text(&mut at_origin).await, "data");
            let mut trailers = HeaderMap::new();
            trailers.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            upload.send_trailers(trailers).await.unwrap();
            drop(upload);
            assert!(at_origin.collect().await.is_err(), "the request has no end");
            let response = answered.await.unwrap().unwrap();
            assert_eq!(response.headers()["x-standin-reason"], code);
            collect(response.into_body()).await.unwrap();
            drop(asker);
            world.finish(&[&format!("{} POST /x 403 {code}", client.name())]).await;
        }
    }

    pub async fn trailers_say_nothing_that_is_too_late(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let (mut upload, request_body) = body();
        let names = ["x-checksum", "x-http-method-override", "proxy-authorization"];
        let answered = asker.ask(Request::post("/x").header("trailer", names.join(", ")).body(request_body).unwrap());
        let mut origin = world.origin.accept_requests(server).await;
        let seen = origin.recv().await.unwrap();
        let trailers: HeaderMap =
            names.iter().map(|name| (http::HeaderName::from_static(name), "1".parse().unwrap())).collect();
        upload.send_trailers(trailers).await.unwrap();
        drop(upload);
        let (_, answer, trailers) = seen.whole().await;
        answer.send(Response::new(full("ok"))).unwrap();
        assert_eq!(trailers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-checksum"]);
        let (answer, _) = collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
        assert!(answer == "ok" && !holds_secret(answer.as_bytes()));
        drop(asker);
        world.finish(&[&format!("{} POST /x 200 completed in 2", client.name())]).await;
    }
}
