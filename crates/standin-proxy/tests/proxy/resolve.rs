//! One look-up, after policy; every address vetted; only those dialled.

use crate::rig::{API, Setup, V, World, collect, full, get, within};
use http::Response;
use std::net::{IpAddr, Ipv4Addr};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Private, and in no rule.
const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

/// DNS rebinding: the name leads elsewhere from the second look-up on. A connection looks up once, and the next
/// connection is vetted anew.
#[tokio::test]
async fn a_name_that_changes_its_mind_leads_nowhere() {
    within(async {
        let world = World::with(Setup { answers: vec![vec![HERE], vec![INSIDE]], ..Setup::default() }).await;
        let mut asker = world.asker(API, V::H1).await;
        let answered = asker.ask(get("/1"));
        let mut origin = world.origin.accept_requests(V::H1).await;
        origin.recv().await.unwrap().answer(Response::builder().header("connection", "close").body(full("1")).unwrap());
        collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
        // The origin hung up, so this one dials again: where the first one went, without asking.
        let answered = asker.ask(get("/2"));
        let mut origin = world.origin.accept_requests(V::H1).await;
        origin.recv().await.unwrap().answer(Response::new(full("2")));
        collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
        assert_eq!(*world.looked_up.lock().unwrap(), [API]);
        let mut other = world.client(API).await;
        other.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority(API))).await;
        let answer = String::from_utf8(other.until_gone().await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("net.private_address"), "{answer}");
        assert!(!answer.contains("10.0.0.1"), "the address is none of the client's business");
        assert!(world.origin.is_untouched());
        assert_eq!(*world.looked_up.lock().unwrap(), [API, API]);
        drop(asker);
        other.cut();
        world
            .finish(&["h1 GET /1 200 completed in 1", "h1 GET /2 200 completed in 1", "raw 403 net.private_address"])
            .await;
    })
    .await;
}

/// A look-up leaves the machine, and a name can say something: it does not happen without a record.
#[tokio::test]
async fn a_look_up_without_a_request_is_on_record() {
    within(async {
        let world = World::new().await;
        let (one, two) = (world.client(API).await, world.frames(API).await);
        let mut half = world.client(API).await;
        half.send("GET / HT").await;
        assert_eq!(*world.looked_up.lock().unwrap(), [API, API, API]);
        // One hangs up, the others are still there when the session ends.
        one.cut();
        let rows = world.end().await;
        drop((two, half));
        assert_eq!(rows.len(), 3, "{rows:#?}");
        assert!(rows.iter().all(|row| row.kind == "connection" && row.host == API), "{rows:#?}");
    })
    .await;
}

/// Of several addresses the refused ones are forgotten, not tried.
#[tokio::test]
async fn only_vetted_addresses_are_dialled() {
    within(async {
        let answers = vec![vec![INSIDE, METADATA, HERE]];
        let world = World::with(Setup { answers, ..Setup::default() }).await;
        let mut asker = world.asker(API, V::H2).await;
        let answered = asker.ask(get("/"));
        let mut origin = world.origin.accept_requests(V::H1).await;
        origin.recv().await.unwrap().answer(Response::new(full("x")));
        collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
        drop(asker);
        let peer = format!("127.0.0.1:{}", world.origin.port());
        let rows = world.finish(&["h2 GET / 200 completed in 1"]).await;
        assert_eq!(rows[0].peer.as_deref(), Some(peer.as_str()));
    })
    .await;
}

/// What policy does not admit is not looked up.
#[tokio::test]
async fn a_host_that_is_not_allowed_is_not_looked_up() {
    within(async {
        let world = World::new().await;
        let mut client = world.tunnel("evil.test").await;
        client.send("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n").await;
        let answer = String::from_utf8(client.until_gone().await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(world.looked_up.lock().unwrap().is_empty() && world.origin.is_untouched());
        client.cut();
        world.finish(&["raw 403 net.host_not_allowed"]).await;
    })
    .await;
}

/// A name without an address is the origin's fault, said and recorded as such.
#[tokio::test]
async fn a_name_without_an_address() {
    within(async {
        let world = World::with(Setup { answers: vec![vec![]], ..Setup::default() }).await;
        let mut client = world.tunnel(API).await;
        client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority(API))).await;
        let answer = String::from_utf8(client.until_gone().await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        client.cut();
        world.finish(&["raw 502 upstream_failed"]).await;
    })
    .await;
}
