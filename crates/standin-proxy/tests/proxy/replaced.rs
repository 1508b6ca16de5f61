//! A policy takes another's place while things are open: what is decided next is decided by the new one, by all of it, and what is open where
//! it says something else ends.

use crate::rig::{
    API, Asker, Body, OPEN, SECRET, STAND_IN, Seen, Setup, V, World, body, collect, empty, ended, full, get, text,
    within,
};
use http::{Request, Response};
use http_body_util::BodyExt;
use standin_model::{
    AddressBlocks, CredentialName, GrantRule, HostPattern, PlaceKind, Ports, RequestRule, WrittenValues,
};
use standin_policy::{Policy, PolicyBuilder};
use standin_proxy::ReplaceError;

const REPLACED: &str = "policy.replaced";

fn with_stand_in(path: &str) -> Request<Body> {
    Request::get(path).header("authorization", format!("Bearer {STAND_IN}")).body(empty()).unwrap()
}

/// The status, and the reason if it is ours.
async fn told(asker: &mut Asker, request: Request<Body>) -> (u16, String) {
    let response = asker.ask(request).await.unwrap().unwrap();
    let reason = response.headers().get("x-standin-reason").map_or("", |reason| reason.to_str().unwrap()).to_owned();
    let status = response.status().as_u16();
    drop(collect(response.into_body()).await);
    (status, reason)
}

fn refused(reason: &str) -> (u16, String) {
    (403, reason.to_owned())
}

/// Answers every request with nothing.
fn answering(world: &World, version: V) {
    let mut requests = world.origin.accept_all(version);
    tokio::spawn(async move {
        while let Some(seen) = requests.recv().await {
            tokio::spawn(async move { drop(seen.answer(Response::new(empty()))) });
        }
    });
}

#[tokio::test]
async fn the_next_request_of_an_open_connection_is_decided_by_the_new_one() {
    for client in [V::H1, V::H2] {
        within(async {
            let world = World::new().await;
            answering(&world, V::H1);
            let (mut api, mut open) = (world.asker(API, client).await, world.asker(OPEN, client).await);
            assert_eq!(told(&mut api, with_stand_in("/a")).await, (200, String::new()));
            assert_eq!(told(&mut open, get("/b")).await, (200, String::new()));
            let closed = world.rule("deny[1]", &[OPEN], &["/b"]);
            world.replace_by_usual_and(|policy| policy.deny(closed)).await.unwrap();
            assert_eq!(told(&mut open, get("/b")).await, refused("http.request_not_allowed"));
            assert_eq!(told(&mut open, get("/c")).await, (200, String::new()));
            // Without its grant a stand-in is worth nothing, and its host is one that nobody knows.
            world.replace(Policy::default()).await.unwrap();
            assert_eq!(told(&mut api, with_stand_in("/d")).await, refused("net.host_not_allowed"));
            world.replace_by_usual_and(|_| {}).await.unwrap();
            assert_eq!(told(&mut api, with_stand_in("/e")).await, (200, String::new()));
            drop((api, open));
            let rows = world.end().await;
            let kinds: Vec<_> = rows.iter().filter(|row| row.kind == "reload").map(|row| &*row.outcome).collect();
            assert_eq!(kinds, ["completed"; 3], "each is on record");
        })
        .await;
    }
}

#[tokio::test]
async fn a_connection_stays_at_addresses_that_the_new_one_admits() {
    within(async {
        let world = World::new().await;
        answering(&world, V::H1);
        let mut asker = world.asker(OPEN, V::H1).await;
        assert_eq!(told(&mut asker, get("/a")).await, (200, String::new()));
        let mut policy = PolicyBuilder::default();
        policy.allow(RequestRule { addresses: AddressBlocks::default(), ..world.rule("allow[1]", &[OPEN], &[]) });
        world.replace(policy.build()).await.unwrap();
        assert_eq!(told(&mut asker, get("/b")).await, refused("net.private_address"));
        drop(asker);
        world.end().await;
    })
    .await;
}

/// What a body says is asked by one policy and judged by the next: the attack is a body that is held back over the change.
#[tokio::test]
async fn a_request_that_is_read_while_policies_change_is_decided_by_the_last() {
    for client in [V::H1, V::H2] {
        within(async {
            let values: WrittenValues = serde_json::from_str(r#"{"/model": "small"}"#).unwrap();
            let conditions = PlaceKind::Json.conditions(values).unwrap();
            let world = World::with(Setup { conditions, ..Setup::default() }).await;
            let mut requests = world.origin.accept_all(V::H1);
            let mut asker = world.asker(API, client).await;
            let post = |body| {
                let request = Request::post("/v1").header("content-type", "application/json");
                request.header("authorization", format!("Bearer {STAND_IN}")).body(body).unwrap()
            };
            // The one before would let it pass, and the one after asks for another model: and for another field.
            for (allows, sent) in
                [("large", r#"{"model": "small", "size": 1}"#), ("small", r#"{"model": "small", "size": 1}"#)]
            {
                let (mut upload, request_body) = body();
                let answered = asker.ask(post(request_body));
                let (first, rest) = sent.split_at(9);
                upload.send_data(first.into()).await.unwrap();
                let values: WrittenValues =
                    serde_json::from_value(serde_json::json!({ "/model": allows, "/size": {"max": 4} })).unwrap();
                let conditions = PlaceKind::Json.conditions(values).unwrap();
                let rule = RequestRule { conditions, ..world.rule("key.grant[1]", &[API], &[]) };
                let mut policy = PolicyBuilder::default();
                policy.grant(CredentialName::new("key"), GrantRule { rule, slots: vec![], always: false });
                world.replace(policy.build()).await.unwrap();
                upload.send_data(rest.into()).await.unwrap();
                drop(upload);
                if allows == "small" {
                    let seen = requests.recv().await.unwrap();
                    assert_eq!(seen.request.headers()["authorization"], format!("Bearer {SECRET}"));
                    let (got, answer, _) = seen.whole().await;
                    assert_eq!(got, sent);
                    answer.send(Response::new(empty())).unwrap();
                }
                let status = answered.await.unwrap().unwrap().status();
                assert_eq!(status, if allows == "small" { 200 } else { 403 });
            }
            drop(asker);
            world.end().await;
        })
        .await;
    }
}

/// Both directions of what is open at a host of which the policy says something else end; where it says the same they go on.
#[tokio::test]
async fn what_is_open_ends_where_the_policy_has_changed() {
    for (client, changed) in [(V::H1, true), (V::H2, true), (V::H1, false), (V::H2, false)] {
        within(async {
            let world = World::new().await;
            let mut asker = world.asker(API, client).await;
            let mut other = world.asker(API, client).await;
            let (mut upload, request_body) = body();
            let request = Request::post("/up").header("authorization", format!("Bearer {STAND_IN}"));
            let up = asker.ask(request.body(request_body).unwrap());
            upload.send_data("one".into()).await.unwrap();
            let mut origin = world.origin.accept_requests(V::H1).await;
            let seen = origin.recv().await.unwrap();
            let mut at_origin = seen.request.into_body();
            assert_eq!(text(&mut at_origin).await, "one");
            let down = other.ask(with_stand_in("/down"));
            let mut second = world.origin.accept_requests(V::H1).await;
            let (mut download, response_body) = body();
            second.recv().await.unwrap().answer(Response::new(response_body));
            let mut events = down.await.unwrap().unwrap().into_body();
            download.send_data("event".into()).await.unwrap();
            assert_eq!(text(&mut events).await, "event");

            let host = if changed { API } else { OPEN };
            let closed = world.rule("deny[1]", &[host], &["/elsewhere"]);
            world.replace_by_usual_and(|policy| policy.deny(closed)).await.unwrap();
            // Who reads no more may be gone already.
            upload.send_data("two".into()).await.ok();
            download.send_data("again".into()).await.ok();
            if changed {
                assert_eq!(up.await.unwrap().unwrap().headers()["x-standin-reason"], REPLACED);
                assert!(at_origin.frame().await.is_none_or(|frame| frame.is_err()), "the second piece went out");
                assert!(events.frame().await.unwrap().is_err());
            } else {
                assert_eq!(text(&mut at_origin).await, "two");
                drop(upload);
                ended(at_origin).await;
                seen.answer.send(Response::new(empty())).unwrap();
                assert_eq!(up.await.unwrap().unwrap().status(), 200);
                assert_eq!(text(&mut events).await, "again");
                drop(download);
                ended(events).await;
            }
            drop((asker, other));
            let rows = world.end().await;
            let ended = rows.iter().filter(|row| row.reason.as_deref() == Some(REPLACED)).count();
            assert_eq!(ended, if changed { 2 } else { 0 }, "{rows:#?}");
        })
        .await;
    }
}

/// The gate: under a policy that lets what nobody may reach pass, nothing at all passes, until there is a better one.
#[tokio::test]
async fn a_policy_that_refuses_nothing_leaves_nothing() {
    within(async {
        let world = World::new().await;
        answering(&world, V::H1);
        let mut asker = world.asker(OPEN, V::H1).await;
        let all = RequestRule {
            ports: Ports::Any,
            hosts: vec![HostPattern::parse("**.gate.invalid").unwrap()],
            ..world.rule("all", &[], &[])
        };
        let failed = world.replace_by_usual_and(|policy| policy.allow(all)).await;
        assert!(matches!(failed, Err(ReplaceError::Gate(_))), "{failed:?}");
        assert_eq!(told(&mut asker, get("/a")).await, refused("net.host_not_allowed"));
        world.replace_by_usual_and(|_| {}).await.unwrap();
        assert_eq!(told(&mut asker, get("/b")).await, (200, String::new()));
        drop(asker);
        let rows = world.end().await;
        let reasons: Vec<_> = rows.iter().filter(|row| row.kind == "reload").map(|row| row.reason.as_deref()).collect();
        assert_eq!(reasons, [Some("policy.gate"), None]);
        let gates: Vec<_> = rows.iter().filter(|row| row.ingress == "gate").map(|row| row.reason.as_deref()).collect();
        assert!(gates.len() == 2 && gates[1] == Some("net.host_not_allowed"), "{rows:#?}");
    })
    .await;
}

/// Numbers of grants mean something in their own policy only: what is judged late, a trailer, is judged by the policy that admitted it.
#[tokio::test]
async fn trailers_are_judged_by_the_policy_that_admitted_their_request() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(API, V::H1).await;
        let (mut upload, request_body) = body();
        let request =
            Request::post("/up").header("authorization", format!("Bearer {STAND_IN}")).header("trailer", "x-sum");
        let answered = asker.ask(request.body(request_body).unwrap());
        upload.send_data("one".into()).await.unwrap();
        let mut origin = world.origin.accept_requests(V::H1).await;
        let Seen { request, answer: _unsaid } = origin.recv().await.unwrap();
        let mut at_origin = request.into_body();
        assert_eq!(text(&mut at_origin).await, "one");
        world.replace(Policy::default()).await.unwrap();
        upload.send_trailers([("x-sum".parse().unwrap(), "1".parse().unwrap())].into_iter().collect()).await.ok();
        drop(upload);
        assert_eq!(answered.await.unwrap().unwrap().headers()["x-standin-reason"], REPLACED);
        assert!(told(&mut world.asker(API, V::H1).await, Request::post("/").body(full("x")).unwrap()).await.0 == 403);
        drop(asker);
        world.end().await;
    })
    .await;
}
