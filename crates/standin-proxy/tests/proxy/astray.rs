//! What follows when a stand-in is sent where it does not belong.

use crate::rig::{
    API, Asker, BOTH, OPEN, RIVAL, SECRET, STAND_IN, Seen, Setup, V, World, body, collect, empty, full, text, within,
};
use http::{Request, Response};
use http_body_util::BodyExt;
use standin_model::{CredentialName, Leak, OnLeak};
use standin_proxy::AlarmParts;
use std::collections::HashMap;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

async fn world(each: &[(&str, OnLeak)], others: OnLeak) -> (World, UnboundedReceiver<Leak>) {
    let (told, leaks) = unbounded_channel();
    let each: HashMap<_, _> = each.iter().map(|(name, reaction)| (CredentialName::new(*name), *reaction)).collect();
    let alarm = AlarmParts { each, others, told };
    (World::with(Setup { alarm, rival: true, ..Setup::default() }).await, leaks)
}

/// What a request with this credential is answered: its status, and why it was refused.
async fn ask(asker: &mut Asker, path: &str, credential: &str) -> (u16, String) {
    answered(asker, Request::get(path).header("x-api-key", credential).body(empty()).unwrap()).await
}

async fn answered(asker: &mut Asker, request: Request<crate::rig::Body>) -> (u16, String) {
    let response = asker.ask(request).await.unwrap().unwrap();
    let reason = response.headers().get("x-standin-reason").map(|v| v.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    collect(response.into_body()).await.unwrap();
    (status, reason.unwrap_or_default())
}

/// Every way in which a stand-in can be astray.
async fn astray(world: &World, host: &str, way: usize) -> (u16, String) {
    let get = Request::get("/x");
    let request = match way {
        0 => get.header("authorization", format!("Bearer {STAND_IN}")).body(empty()),
        1 => get.header("x-note", STAND_IN).body(empty()),
        2 => Request::get(format!("/x?note={STAND_IN}")).body(empty()),
        _ => Request::post("/x").body(full(format!("a {STAND_IN} b"))),
    };
    answered(&mut world.asker(host, V::H1).await, request.unwrap()).await
}

fn leak(host: &str, reaction: OnLeak) -> Leak {
    Leak { credential: CredentialName::new("key"), host: host.to_owned(), reaction }
}

/// Without it the stand-in is as good as before.
#[tokio::test]
async fn a_revoked_stand_in_is_worth_nothing() {
    within(async {
        for way in 0..4 {
            for reaction in [OnLeak::Refuse, OnLeak::Revoke] {
                let (world, mut leaks) = world(&[("rival", OnLeak::Refuse)], reaction).await;
                let mut requests = world.origin.accept_all(V::H1);
                let (saw, mut seen) = unbounded_channel();
                tokio::spawn(async move {
                    while let Some(Seen { request, answer }) = requests.recv().await {
                        saw.send(request.headers()["x-api-key"].to_str().unwrap().to_owned()).unwrap();
                        answer.send(Response::new(empty())).unwrap();
                    }
                });
                let mut asker = world.asker(API, V::H1).await;
                assert_eq!(ask(&mut asker, "/a", STAND_IN).await.0, 200);
                assert_eq!(astray(&world, OPEN, way).await.0, 403);
                assert_eq!(leaks.recv().await.unwrap(), leak(OPEN, reaction));
                let then = ask(&mut asker, "/b", STAND_IN).await;
                let revoked = reaction == OnLeak::Revoke;
                assert_eq!(then, if revoked { (403, "credential.revoked".to_owned()) } else { (200, String::new()) });
                // Another one is as good as before, on connections old and new.
                let mut new = world.asker(API, V::H1).await;
                for asker in [&mut asker, &mut new] {
                    assert_eq!(ask(asker, "/c", &RIVAL.to_lowercase()).await.0, 200);
                }
                drop((asker, new));
                world.end().await;
                let key = [SECRET].repeat(if revoked { 1 } else { 2 });
                let seen: Vec<_> = std::iter::from_fn(|| seen.try_recv().ok()).collect();
                assert_eq!(seen, [key, vec![RIVAL, RIVAL]].concat());
            }
        }
    })
    .await;
}

/// An answer that has begun ends, too, if its request took the stand-in along; others go on.
#[tokio::test]
async fn an_answer_to_a_revoked_stand_in_ends() {
    for client in [V::H1, V::H2] {
        within(async {
            let (world, _leaks) = world(&[("rival", OnLeak::Refuse)], OnLeak::Revoke).await;
            let mut open = Vec::new();
            for credential in [STAND_IN, &RIVAL.to_lowercase()] {
                let mut asker = world.asker(API, client).await;
                let request = Request::get("/events").header("x-api-key", credential).body(empty()).unwrap();
                let answered = asker.ask(request);
                let mut origin = world.origin.accept_requests(V::H1).await;
                let (mut events, told) = body();
                origin.recv().await.unwrap().answer(Response::new(told));
                let mut answer = answered.await.unwrap().unwrap().into_body();
                events.send_data("one".into()).await.unwrap();
                assert_eq!(text(&mut answer).await, "one");
                open.push((asker, origin, events, answer));
            }
            assert_eq!(astray(&world, OPEN, 1).await.0, 403);
            for (.., events, _) in &mut open {
                events.send_data("two".into()).await.ok(); // who reads no more may be gone
            }
            assert!(open[0].3.frame().await.unwrap().is_err());
            assert_eq!(text(&mut open[1].3).await, "two");
            drop(open);
            let rows = world.end().await;
            let ended = rows.iter().filter(|row| row.reason.as_deref() == Some("credential.revoked")).count();
            assert_eq!(ended, 1, "{rows:#?}");
        })
        .await;
    }
}

#[tokio::test]
async fn the_owner_is_told_once_of_each_host_and_of_every_stop() {
    within(async {
        let (world, mut leaks) = world(&[("key", OnLeak::Revoke)], OnLeak::Stop).await;
        for host in [OPEN, BOTH, OPEN, BOTH, API, OPEN] {
            assert_eq!(astray(&world, host, 1).await.0, 403);
        }
        world.end().await;
        for host in [OPEN, BOTH, API] {
            assert_eq!(leaks.recv().await.unwrap(), leak(host, OnLeak::Revoke));
        }
        assert_eq!(leaks.recv().await, None);
    })
    .await;
    within(async {
        let (world, mut leaks) = world(&[], OnLeak::Stop).await;
        for _ in 0..3 {
            assert_eq!(astray(&world, OPEN, 3).await.0, 403);
        }
        world.end().await;
        for _ in 0..3 {
            assert_eq!(leaks.recv().await.unwrap(), leak(OPEN, OnLeak::Stop));
        }
    })
    .await;
}
