//! The host sits behind a proxy itself: requests go through it, by name, and the record says so.

use crate::rig::{API, Asker, SECRET, STAND_IN, Setup, V, Wire, World, collect, full, get, within};
use http::{Request, Response};
use standin_model::{Bypass, ParentProxy};
use standin_net::Parent;
use tokio::net::TcpListener;

/// A parent that the test plays, and a world behind it.
async fn behind(scheme: &str, password: Option<&str>, setup: Setup, past: &[&str]) -> (TcpListener, World) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (proxy, _) = ParentProxy::parse(&format!("{scheme}parent.test:{port}")).unwrap();
    let parent = Parent::new(proxy, password.map(str::to_owned), Bypass::new(past.iter().copied()));
    (listener, World::with(Setup { parent: Some(parent), ..setup }).await)
}

async fn accept(parent: &TcpListener) -> Wire {
    Wire::clear(parent.accept().await.unwrap().0)
}

/// Joins the client of the parent with the origin.
fn join(world: &World, wire: Wire) {
    let port = world.origin.port();
    tokio::spawn(async move {
        let mut there = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        drop(tokio::io::copy_bidirectional(&mut wire.into_socket(), &mut there).await);
    });
}

/// One exchange through a parent that has opened its tunnel.
async fn exchange(
    world: World,
    asker: Asker,
    answered: tokio::task::JoinHandle<hyper::Result<Response<hyper::body::Incoming>>>,
) {
    let mut origin = world.origin.accept_requests(V::H1).await;
    let seen = origin.recv().await.unwrap();
    assert_eq!(seen.request.headers()["authorization"], format!("Bearer {SECRET}"));
    seen.answer(Response::new(full("ok")));
    assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "ok");
    assert_eq!(*world.looked_up.lock().unwrap(), [API, "parent.test"]);
    drop(asker);
    let rows = world.finish(&["h1 GET /x 200 completed in 2"]).await;
    let detail = rows[0].detail.as_deref().unwrap();
    assert!(detail.contains("parent.test") && detail.contains("which resolved the name"), "{detail}");
}

fn with_key() -> Request<crate::rig::Body> {
    let mut request = get("/x");
    request.headers_mut().insert("authorization", format!("Bearer {STAND_IN}").parse().unwrap());
    request
}

#[tokio::test]
async fn through_a_http_proxy() {
    within(async {
        for (scheme, password, login) in [
            ("http://", None, ""),
            ("http://me@", Some("parentpassword"), "Proxy-Authorization: Basic bWU6cGFyZW50cGFzc3dvcmQ=\r\n"),
        ] {
            let (parent, world) = behind(scheme, password, Setup::default(), &[]).await;
            let mut asker = world.asker(API, V::H1).await;
            let answered = asker.ask(with_key());
            let mut wire = accept(&parent).await;
            let host = world.authority(API);
            assert_eq!(wire.head().await, format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{login}\r\n"));
            wire.send("HTTP/1.1 200 Connection established\r\n\r\n").await;
            join(&world, wire);
            exchange(world, asker, answered).await;
        }
    })
    .await;
}

#[tokio::test]
async fn through_a_socks_proxy() {
    within(async {
        for (scheme, password) in [("socks5://", None), ("socks5://me@", Some("parentpassword"))] {
            let (parent, world) = behind(scheme, password, Setup::default(), &[]).await;
            let mut asker = world.asker(API, V::H1).await;
            let answered = asker.ask(with_key());
            let mut wire = accept(&parent).await;
            match password {
                None => {
                    wire.expect([5, 1, 0]).await;
                    wire.send([5, 0]).await;
                }
                Some(password) => {
                    wire.expect([5, 1, 2]).await;
                    wire.send([5, 2]).await;
                    wire.expect([&[1, 2][..], b"me", &[14], password.as_bytes()].concat()).await;
                    wire.send([1, 0]).await;
                }
            }
            let length = u8::try_from(API.len()).unwrap();
            let port = world.origin.port().to_be_bytes();
            wire.expect([&[5, 1, 0, 3, length][..], API.as_bytes(), &port].concat()).await;
            wire.send([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await;
            join(&world, wire);
            exchange(world, asker, answered).await;
        }
    })
    .await;
}

/// A parent that says no is a 502, and the record has its reason but not its password.
#[tokio::test]
async fn a_parent_may_refuse() {
    within(async {
        for (answer, why) in [("407 Proxy Authentication Required", "authorization"), ("403 Forbidden", "unsuccessful")]
        {
            let (parent, world) = behind("http://me@", Some("parentpassword"), Setup::default(), &[]).await;
            let mut asker = world.asker(API, V::H1).await;
            let answered = asker.ask(with_key());
            let mut wire = accept(&parent).await;
            wire.head().await;
            wire.send(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n")).await;
            let response = answered.await.unwrap().unwrap();
            assert_eq!(response.status(), 502);
            let (body, _) = collect(response.into_body()).await.unwrap();
            assert!(!body.contains("parentpassword") && !body.contains("parent.test"), "{body}");
            drop(asker);
            let rows = world.end().await;
            assert_eq!((rows.len(), rows[0].outcome.as_str()), (1, "upstream_failed"));
            let detail = rows[0].detail.as_deref().unwrap();
            assert!(detail.contains(why) && !detail.contains("parentpassword"), "{detail}");
        }
    })
    .await;
}

/// What is listed goes past the parent.
#[tokio::test]
async fn what_goes_past_the_parent() {
    within(async {
        let (_parent, world) = behind("http://", None, Setup::default(), &["api.test"]).await;
        let mut asker = world.asker(API, V::H1).await;
        let answered = asker.ask(get("/x"));
        let mut origin = world.origin.accept_requests(V::H1).await;
        origin.recv().await.unwrap().answer(Response::new(full("ok")));
        collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
        assert_eq!(*world.looked_up.lock().unwrap(), [API]);
        drop(asker);
        let rows = world.finish(&["h1 GET /x 200 completed in 2"]).await;
        assert_eq!(rows[0].detail, None);
    })
    .await;
}

/// A name that has an address we must not reach is not handed to the parent either, whatever else it has.
#[tokio::test]
async fn what_we_can_see_is_vetted() {
    within(async {
        let answers = vec![vec!["93.184.216.34".parse().unwrap(), "169.254.169.254".parse().unwrap()]];
        let setup = Setup { answers, ..Setup::default() };
        let (parent, world) = behind("http://", None, setup, &[]).await;
        let mut client = world.tunnel(API).await;
        client.send(format!("GET /x HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority(API))).await;
        assert!(client.head().await.contains("net.metadata_service"));
        client.shut().await;
        client.until_gone().await;
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(parent.poll_accept(&mut context).is_pending(), "the parent was dialled");
        world.finish(&["raw 403 net.metadata_service"]).await;
    })
    .await;
}
