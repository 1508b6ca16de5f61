//! Grants that say `always`: a request that holds nothing gets the credential all the same.

use super::{Fields, refusal, setup};
use crate::bodies::pairings;
use crate::rig::{API, BOTH, OPEN, RIVAL, SECRET, STAND_IN, Setup, V, World, empty, get, within};
use http::{Request, Response};

async fn always(slot: &str) -> World {
    World::with(Setup { always: true, ..setup(&[slot]) }).await
}

pairings! {
    what_was_empty_is_filled
}

mod run {
    use super::*;

    pub async fn what_was_empty_is_filled(client: V, server: V) {
        let bearer = format!("Bearer {SECRET}");
        let stand_in = format!("token {STAND_IN}");
        for (slot, path, field, header, query) in [
            ("header:x-internal", "/x", None, Some(("x-internal", SECRET)), None),
            ("header:authorization", "/x", None, Some(("authorization", bearer.as_str())), None),
            // A stand-in is exchanged as it was sent.
            (
                "header:authorization",
                "/x",
                Some(stand_in.as_str()),
                Some(("authorization", &*format!("token {SECRET}"))),
                None,
            ),
            ("query:key", "/x", None, None, Some("key=sk%2DReal")),
            ("query:key", "/x?a=1", None, None, Some("a=1&key=sk%2DReal")),
        ] {
            let world = always(slot).await;
            let mut asker = world.asker(API, client).await;
            let mut request = get(path);
            if let Some(value) = field {
                request.headers_mut().insert("authorization", value.parse().unwrap());
            }
            let answered = asker.ask(request);
            let mut origin = world.origin.accept_requests(server).await;
            let seen = origin.recv().await.unwrap();
            if let Some((name, value)) = header {
                assert_eq!(seen.request.headers().get_all(name).iter().collect::<Vec<_>>(), [value]);
            }
            let sent = query.map(|query| query.replace("sk%2DReal", &SECRET.replace('-', "%2D")));
            assert_eq!(seen.request.uri().query(), sent.as_deref().or(path.split_once('?').map(|(_, q)| q)));
            seen.answer(Response::new(empty()));
            assert_eq!(answered.await.unwrap().unwrap().status(), 200);
            drop(asker);
            let rows = world.finish(&[&format!("{} GET {path} 200 completed", client.name())]).await;
            assert_eq!(rows[0].credentials, ["key"]);
        }
    }
}

#[tokio::test]
async fn what_is_there_must_be_ours() {
    within(async {
        let query = format!("/x?key={STAND_IN}");
        let table: &[(&str, &str, Fields<'_>, &str)] = &[
            ("header:x-internal", "/x", &[("x-internal", "sk-other")], "credential.foreign"),
            ("header:x-internal", "/x", &[("x_internal", "sk-other")], "credential.foreign"),
            ("header:x-internal", "/x", &[("authorization", "Bearer sk-other")], "credential.foreign"),
            ("header:x-internal", "/x", &[("x-api-key", STAND_IN)], "credential.wrong_slot"),
            ("header:x-internal", &query, &[], "credential.wrong_slot"),
            ("query:key", "/x?key=sk-other", &[], "credential.foreign"),
            ("query:key", "/x?KEY=sk-other", &[], "credential.foreign"),
            ("query:page", "/x?a=b;page=1", &[], "credential.foreign"),
        ];
        for (slot, path, fields, code) in table {
            let world = always(slot).await;
            let mut asker = world.asker(API, V::H1).await;
            let mut request = Request::get(*path);
            for (name, value) in *fields {
                request = request.header(*name, *value);
            }
            assert_eq!(
                refusal(&mut asker, request.body(empty()).unwrap()).await,
                (403, (*code).to_owned()),
                "{slot} {path}"
            );
            assert!(world.origin.is_untouched());
            drop(asker);
            world.finish(&[&format!("h1 GET {path} 403 {code}")]).await;
        }
    })
    .await;
}

/// Two credentials for one place: neither is put there, but a stand-in says which one is meant.
#[tokio::test]
async fn two_are_one_too_many() {
    within(async {
        let world = World::with(Setup { always: true, rival: true, ..setup(&["header:x-internal"]) }).await;
        let mut asker = world.asker(API, V::H1).await;
        assert_eq!(refusal(&mut asker, get("/x")).await, (400, "credential.ambiguous_slot".to_owned()));
        assert!(world.origin.is_untouched());
        let mut request = get("/x");
        request.headers_mut().insert("x-internal", RIVAL.to_lowercase().parse().unwrap());
        let answered = asker.ask(request);
        let mut origin = world.origin.accept_requests(V::H1).await;
        let seen = origin.recv().await.unwrap();
        assert_eq!(seen.request.headers()["x-internal"], RIVAL);
        seen.answer(Response::new(empty()));
        assert_eq!(answered.await.unwrap().unwrap().status(), 200);
        drop(asker);
        let rows = world.finish(&["h1 GET /x 400 credential.ambiguous_slot", "h1 GET /x 200 completed"]).await;
        assert_eq!(rows[1].credentials, ["rival"]);
    })
    .await;
}

/// At other hosts, and where the same host is allowed without the grant, nothing is put in.
#[tokio::test]
async fn nothing_is_filled_elsewhere() {
    within(async {
        for host in [OPEN, BOTH] {
            let world = always("header:x-internal").await;
            let mut asker = world.asker(host, V::H1).await;
            let answered = asker.ask(get("/x"));
            let mut origin = world.origin.accept_requests(V::H1).await;
            let seen = origin.recv().await.unwrap();
            assert!(!format!("{:?}", seen.request).contains(SECRET));
            seen.answer(Response::new(empty()));
            assert_eq!(answered.await.unwrap().unwrap().status(), 200);
            drop(asker);
            let rows = world.finish(&["h1 GET /x 200 completed"]).await;
            assert!(rows[0].credentials.is_empty());
        }
    })
    .await;
}

/// In clear the request does not go without the credential either: it would be another request than was meant.
#[tokio::test]
async fn nothing_is_filled_in_clear() {
    within(async {
        let world = always("header:x-internal").await;
        let mut client = world.tunnel(API).await;
        client.send(format!("GET /x HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority(API))).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 403 ") && head.contains("credential.cleartext"), "{head}");
        assert!(world.origin.is_untouched());
        client.cut();
        world.finish(&["h1 GET /x 403 credential.cleartext"]).await;
    })
    .await;
}
