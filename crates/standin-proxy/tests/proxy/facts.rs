//! What rules ask of queries, fields, bodies and pushes: read before the verdict, and sent on as it came.

use crate::bodies::pairings;
use crate::rig::{
    API, Asker, Body, Bytes, SECRET, STAND_IN, Setup, V, World, body, collect, empty, full, text, within,
};
use http::{HeaderMap, Request, Response};
use standin_model::limits::{MAX_FACTS, MAX_PUSH};
use standin_model::{Condition, PlaceKind, WrittenPush, WrittenValues};

const JSON: &str = "application/json";
const PUSH: &str = "/acme/app.git/git-receive-pack";
const A: &str = "1111111111111111111111111111111111111111";

/// A world whose grant at [`API`] asks for this, too.
async fn world(conditions: Vec<Condition>) -> World {
    World::with(Setup { conditions, ..Setup::default() }).await
}

fn json(name: &str, text: &str) -> Vec<Condition> {
    asks(PlaceKind::Json, name, text)
}

fn asks(kind: PlaceKind, name: &str, text: &str) -> Vec<Condition> {
    let values: WrittenValues = serde_json::from_value(serde_json::json!({ name: text })).unwrap();
    kind.conditions(values).unwrap()
}

fn branches() -> Vec<Condition> {
    let push: WrittenPush = serde_json::from_value(serde_json::json!(["refs/heads/agent/**"])).unwrap();
    vec![push.condition().unwrap()]
}

fn packet(line: &str) -> String {
    format!("{:04x}{line}", line.len() + 4)
}

/// The beginning of a push to these refs.
fn push(refs: &[&str]) -> String {
    refs.iter().map(|name| packet(&format!("{A} {A} {name}\0 report-status"))).collect::<String>() + "0000"
}

fn post(path: &str, content_type: &str, body: Body) -> Request<Body> {
    let bearer = format!("Bearer {STAND_IN}");
    Request::post(path).header("content-type", content_type).header("authorization", bearer).body(body).unwrap()
}

/// The status, and why.
async fn told(asker: &mut Asker, request: Request<Body>) -> (u16, String) {
    let response = asker.ask(request).await.unwrap().unwrap();
    (response.status().as_u16(), collect(response.into_body()).await.unwrap().0)
}

pairings! {
    what_is_asked_for_passes_as_it_came
    trailers_follow
    a_push_streams_behind_its_refs
}

mod run {
    use super::*;

    /// With a length and without one, in one piece and cut anywhere.
    pub async fn what_is_asked_for_passes_as_it_came(client: V, server: V) {
        let world = world(json("/ref", "refs/heads/agent/*")).await;
        let mut asker = world.asker(API, client).await;
        let sent = "{ \"ref\" : \"refs/heads/agent/a\", \"n\": 1.50 }";
        let mut origin = None;
        for cut in [None, Some(0), Some(1), Some(10), Some(sent.len() - 1)] {
            let (upload, request_body) = match cut {
                None => (None, full(sent)),
                Some(cut) => {
                    let (upload, body) = body();
                    (Some((upload, cut)), body)
                }
            };
            let answered = asker.ask(post("/refs", JSON, request_body));
            if let Some((mut upload, cut)) = upload {
                for piece in [&sent[..cut], &sent[cut..]].into_iter().filter(|piece| !piece.is_empty()) {
                    upload.send_data(Bytes::copy_from_slice(piece.as_bytes())).await.unwrap();
                }
            }
            if origin.is_none() {
                origin = Some(world.origin.accept_requests(server).await);
            }
            let seen = origin.as_mut().unwrap().recv().await.unwrap();
            assert_eq!(seen.request.headers()["authorization"], format!("Bearer {SECRET}"));
            let (got, answer, _) = seen.whole().await;
            assert_eq!(got, sent);
            answer.send(Response::new(empty())).unwrap();
            assert_eq!(answered.await.unwrap().unwrap().status(), 200);
        }
        drop(asker);
        let rows = world.end().await;
        assert!(rows.len() == 5 && rows.iter().all(|row| usize::try_from(row.bytes_out).unwrap() == sent.len()));
    }

    pub async fn trailers_follow(client: V, server: V) {
        let world = world(json("/a", "b")).await;
        let mut asker = world.asker(API, client).await;
        let (mut upload, request_body) = body();
        let mut request = post("/x", JSON, request_body);
        request.headers_mut().insert("trailer", "x-checksum".parse().unwrap());
        let answered = asker.ask(request);
        upload.send_data("{\"a\":\"b\"}".into()).await.unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "1".parse().unwrap());
        upload.send_trailers(trailers).await.unwrap();
        drop(upload);
        let mut origin = world.origin.accept_requests(server).await;
        let (got, answer, trailers) = origin.recv().await.unwrap().whole().await;
        assert_eq!((got.as_str(), trailers["x-checksum"].to_str().unwrap()), ("{\"a\":\"b\"}", "1"));
        answer.send(Response::new(empty())).unwrap();
        assert_eq!(answered.await.unwrap().unwrap().status(), 200);
        drop(asker);
        world.end().await;
    }

    /// The pack is not waited for.
    pub async fn a_push_streams_behind_its_refs(client: V, server: V) {
        let world = world(branches()).await;
        let mut asker = world.asker(API, client).await;
        let (mut upload, request_body) = body();
        let answered = asker.ask(post(PUSH, "application/x-git-receive-pack-request", request_body));
        let begun = push(&["refs/heads/agent/a"]);
        let (first, second) = begun.split_at(30);
        for piece in [first, second] {
            upload.send_data(Bytes::copy_from_slice(piece.as_bytes())).await.unwrap();
        }
        let mut origin = world.origin.accept_requests(server).await;
        let seen = origin.recv().await.unwrap();
        assert_eq!(seen.request.headers()["authorization"], format!("Bearer {SECRET}"));
        let mut at_origin = seen.request.into_body();
        assert_eq!(text(&mut at_origin).await, begun);
        upload.send_data("PACK".into()).await.unwrap();
        assert_eq!(text(&mut at_origin).await, "PACK");
        drop(upload);
        assert_eq!(collect(at_origin).await.unwrap().0, "");
        seen.answer.send(Response::new(empty())).unwrap();
        assert_eq!(answered.await.unwrap().unwrap().status(), 200);
        drop(asker);
        world.end().await;
    }
}

/// What is not plainly what is asked for reaches nobody, and it is said why.
#[tokio::test]
async fn what_cannot_be_told_is_refused() {
    within(async {
        let world = world(json("/ref", "refs/heads/agent/*")).await;
        let right = "{\"ref\":\"refs/heads/agent/a\"}";
        let large = format!("{{\"x\":\"{}\",\"ref\":\"refs/heads/agent/a\"}}", "a".repeat(MAX_FACTS));
        for version in [V::H1, V::H2] {
            for (content_type, coding, body, why) in [
                (JSON, None, "{\"ref\":\"refs/heads/main\"}", "json `/ref` `refs/heads/agent/*`"),
                (JSON, None, "{\"ref\":\"refs/heads/agent/a\",\"ref\":\"refs/heads/main\"}", "json `/ref`"),
                (JSON, None, "{\"ref\":\"refs/heads/agent/a\",\"Ref\":\"refs/heads/main\"}", "json `/ref`"),
                (JSON, None, "{}", "json `/ref`"),
                (JSON, None, "", "json `/ref`"),
                (JSON, None, &large, "it is too large"),
                (JSON, Some("gzip"), right, "it is in a content coding"),
                ("text/plain", None, right, "it is neither JSON nor a form"),
                ("application/x-www-form-urlencoded", None, right, "json `/ref`"),
            ] {
                let mut asker = world.asker(API, version).await;
                let mut request = post("/refs", content_type, full(body.to_owned()));
                if let Some(coding) = coding {
                    request.headers_mut().insert("content-encoding", coding.parse().unwrap());
                }
                let (status, told) = told(&mut asker, request).await;
                assert!(status == 403 && told.contains(why), "{body:.60} {content_type}: {status} {told}");
            }
            // One that does not say how long it is.
            let (mut upload, request_body) = body();
            let mut asker = world.asker(API, version).await;
            let answered = asker.ask(post("/refs", JSON, request_body));
            for _ in 0..=MAX_FACTS / (64 * 1024) {
                upload.send_data(Bytes::from(vec![b' '; 64 * 1024])).await.unwrap();
            }
            assert_eq!(answered.await.unwrap().unwrap().status(), 403);
        }
        assert!(world.origin.is_untouched());
        let rows = world.end().await;
        assert!(rows.iter().all(|row| row.reason.as_deref() == Some("http.request_not_allowed") && row.bytes_out == 0));
    })
    .await;
}

#[tokio::test]
async fn refs_that_are_not_meant_are_not_pushed_to() {
    within(async {
        let world = world(branches()).await;
        let many: Vec<String> = (0..MAX_PUSH / 100).map(|n| format!("refs/heads/agent/{n}")).collect();
        let many = push(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let deleted = packet(&format!("{A} {} refs/heads/agent/a\0", "0".repeat(40))) + "0000";
        for version in [V::H1, V::H2] {
            for (path, sent, why) in [
                (PUSH, push(&["refs/heads/main"]), "pushes to `refs/heads/agent/**` only"),
                (PUSH, push(&["refs/heads/agent/a", "refs/heads/main"]), "pushes to `refs/heads/agent/**` only"),
                (PUSH, deleted.clone(), "pushes to"),
                (PUSH, packet("push-cert\0") + "0000", "it is signed"),
                (PUSH, many.clone(), "too many refs"),
                (PUSH, "0032".to_owned(), "ends before it has named all"),
                ("/acme/app.git/git-receive-pack/", push(&["refs/heads/agent/a"]), "pushes to"),
                ("/acme/app.git/Git-Receive-Pack", push(&["refs/heads/agent/a"]), "pushes to"),
                ("/acme/app.git/git-receive-pack;x", push(&["refs/heads/agent/a"]), "pushes to"),
            ] {
                let mut asker = world.asker(API, version).await;
                let request = post(path, "application/x-git-receive-pack-request", full(sent));
                let (status, told) = told(&mut asker, request).await;
                // git shows what its server says, and nothing of an answer with another status.
                let expected = if path == PUSH { 200 } else { 403 };
                assert!(status == expected && told.contains(why), "{path} {why}: {status} {told}");
                assert_eq!(told.get(4..5) == Some("\u{3}"), path == PUSH, "{told}");
            }
        }
        assert!(world.origin.is_untouched());
        world.end().await;
    })
    .await;
}

/// In a query and in a field of the head nothing has to be read, and a body is left alone.
#[tokio::test]
async fn heads_are_known() {
    within(async {
        for (conditions, path, org, allowed) in [
            (asks(PlaceKind::Query, "state", "open"), "/x?state=open", None, true),
            (asks(PlaceKind::Query, "state", "open"), "/x?st%61te=o%70en", None, true),
            (asks(PlaceKind::Query, "state", "open"), "/x?state=closed", None, false),
            (asks(PlaceKind::Query, "state", "open"), "/x?state=open&state=closed", None, false),
            (asks(PlaceKind::Query, "state", "open"), "/x", None, false),
            (asks(PlaceKind::Header, "X-Org", "acme"), "/x", Some("acme"), true),
            (asks(PlaceKind::Header, "X-Org", "acme"), "/x", Some("other"), false),
            (asks(PlaceKind::Header, "X-Org", "acme"), "/x", None, false),
        ] {
            let world = world(conditions).await;
            let mut asker = world.asker(API, V::H1).await;
            let (upload, request_body) = body();
            let mut request = post(path, "text/plain", request_body);
            if let Some(org) = org {
                request.headers_mut().insert("x-org", org.parse().unwrap());
            }
            let answered = asker.ask(request);
            if allowed {
                let mut origin = world.origin.accept_requests(V::H1).await;
                origin.recv().await.unwrap().answer(Response::new(empty()));
            }
            let status = answered.await.unwrap().unwrap().status().as_u16();
            assert_eq!(status, if allowed { 200 } else { 403 }, "{path} {org:?}");
            drop((upload, asker));
            world.end().await;
        }
    })
    .await;
}
