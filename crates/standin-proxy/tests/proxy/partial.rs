//! Parts of an answer: a secret that is fetched in pieces is not found in any of them.

use crate::rig::{API, OPEN, SECRET, STAND_IN, V, World, collect, empty, full, get, within};
use http::{HeaderMap, Request, Response};

/// What reaches the origin of these fields.
async fn reach(host: &str, version: V, fields: &[(&'static str, &str)]) -> HeaderMap {
    let world = World::new().await;
    let mut asker = world.asker(host, version).await;
    let mut request = Request::get("/");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let answered = asker.ask(request.body(empty()).unwrap());
    let seen = world.origin.accept_requests(version).await.recv().await.unwrap();
    let reached = seen.request.headers().clone();
    seen.answer(Response::new(full("ok")));
    collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
    drop(asker);
    world.end().await;
    reached
}

/// A host with a grant is asked for the whole, in the plain; any other for what the client asks.
#[tokio::test]
async fn only_what_can_be_searched_is_asked_for() {
    within(async {
        let table = [
            ("accept-encoding", "gzip, br;q=0.5", Some("identity")),
            ("grpc-accept-encoding", "identity,gzip", Some("identity")),
            ("connect-accept-encoding", "gzip", Some("identity")),
            ("range", "bytes=3-9", None),
            ("if-range", "\"a\"", None),
            ("a-im", "vcdiff", None),
            ("available-dictionary", ":AAAA:", None),
            ("if-none-match", "\"a\"", Some("\"a\"")),
            ("if-match", "\"a\"", Some("\"a\"")),
        ];
        let asked: Vec<_> = table.iter().map(|(name, value, _)| (*name, *value)).collect();
        for version in [V::H1, V::H2] {
            let reached = reach(API, version, &asked).await;
            for (name, _, expected) in table {
                assert_eq!(reached.get(name).map(|value| value.to_str().unwrap()), expected, "{name}");
            }
            let reached = reach(OPEN, version, &asked).await;
            for (name, value, _) in table {
                assert_eq!(reached.get(name).map(|value| value.to_str().unwrap()), Some(value), "{name}");
            }
            let reached = reach(API, version, &[]).await;
            assert_eq!(reached["accept-encoding"], "identity");
            assert!(!reached.contains_key("grpc-accept-encoding"));
        }
    })
    .await;
}

/// Asked for a piece of its echo, an origin sends the whole, which RFC 9110 §14.2 lets us have it do.
#[tokio::test]
async fn an_echo_cannot_be_fetched_in_pieces() {
    within(async {
        for version in [V::H1, V::H2] {
            let world = World::new().await;
            let mut asker = world.asker(API, version).await;
            let range = Request::get("/").header("range", "bytes=4-10").body(empty()).unwrap();
            let answered = asker.ask(range);
            let mut origin = world.origin.accept_requests(version).await;
            let seen = origin.recv().await.unwrap();
            assert!(!seen.request.headers().contains_key("range"));
            seen.answer(Response::new(full(SECRET)));
            let response = answered.await.unwrap().unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(collect(response.into_body()).await.unwrap().0, STAND_IN);
            drop(asker);
            world.finish(&[&format!("{} GET / 200 completed in {}", version.name(), SECRET.len())]).await;
        }
    })
    .await;
}

/// A part that comes all the same is refused; from a host without a grant it passes as it is.
#[tokio::test]
async fn a_part_is_refused_where_a_secret_may_be_in_it() {
    within(async {
        for (kind, status) in [("text/plain", 206), ("multipart/byteranges; boundary=x", 206), ("text/plain", 226)] {
            for host in [API, OPEN] {
                let world = World::new().await;
                let mut asker = world.asker(host, V::H1).await;
                let answered = asker.ask(get("/"));
                let mut origin = world.origin.accept_requests(V::H1).await;
                let response = Response::builder()
                    .status(status)
                    .header("content-type", kind)
                    .header("content-range", "bytes 4-10/34")
                    .header("content-encoding", "gzip")
                    .body(full(&SECRET[4..11]))
                    .unwrap();
                origin.recv().await.unwrap().answer(response);
                let response = answered.await.unwrap().unwrap();
                let got = response.status().as_u16();
                let body = collect(response.into_body()).await.unwrap().0;
                drop(asker);
                if host == API {
                    assert!(body.contains("scrub.unsupported_coding"), "{body}");
                    world.finish(&["h1 GET / 502 scrub.unsupported_coding"]).await;
                } else {
                    assert_eq!((got, body.as_str()), (status, &SECRET[4..11]));
                    world.end().await;
                }
            }
        }
    })
    .await;
}
