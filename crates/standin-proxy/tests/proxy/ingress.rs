//! The ways in for clients that were told to use a proxy.

use crate::rig::{API, OPEN, SECRET, STAND_IN, Wire, World, within};

/// A request for a tunnel.
fn ask(command: u8, kind: u8, host: &[u8], port: u16) -> Vec<u8> {
    [&[5, command, 0, kind][..], host, &port.to_be_bytes()].concat()
}

fn name(name: &str) -> Vec<u8> {
    [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat()
}

const SUCCEEDED: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

async fn greeted(world: &World, method: u8) -> Wire {
    let mut client = world.dial().await;
    client.send([5, 1, method]).await;
    client.expect([5, method]).await;
    client
}

/// A name, with and without a password, and a name that was looked up: each leads to the same two phases.
#[tokio::test]
async fn socks_leads_where_connect_leads() {
    within(async {
        for (method, kind, host) in
            [(0, 3, name(API)), (2, 3, name(API)), (0, 1, vec![]), (0, 4, vec![]), (0, 3, vec![])]
        {
            let world = World::new().await;
            let port = world.origin.port();
            let address = world.fake_address_of(API);
            let host = match (kind, host.is_empty()) {
                (1, _) => address.octets().to_vec(),
                (4, _) => address.to_ipv6_mapped().octets().to_vec(),
                (_, true) => name(&address.to_string()),
                _ => host,
            };
            let mut client = greeted(&world, method).await;
            if method == 2 {
                client.send(b"\x01\x04user\x04pass").await;
                client.expect([1, 0]).await;
            }
            client.send(ask(1, kind, &host, port)).await;
            client.expect(SUCCEEDED).await;
            let mut client = world.tls_over(client, API, &[b"http/1.1"]).await;
            let authority = world.authority(API);
            client
                .send(format!("GET /x HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {STAND_IN}\r\n\r\n"))
                .await;
            let mut origin = world.origin.accept().await;
            assert!(
                origin.head().await.to_lowercase().contains(&format!("authorization: bearer {SECRET}").to_lowercase())
            );
            origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            client.head().await;
            client.expect("ok").await;
            client.cut();
            let rows = world.finish(&["h1 GET /x 200 completed in 2"]).await;
            assert_eq!((rows[0].ingress.as_str(), rows[0].host.as_str()), ("socks5", API));
        }
    })
    .await;
}

/// A client may send everything at once; what follows the handshake is not lost.
#[tokio::test]
async fn a_socks_client_may_be_ahead() {
    within(async {
        let world = World::new().await;
        let mut client = world.dial().await;
        let request = format!("GET /x HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority(OPEN));
        client.send([&[5, 1, 0][..], &ask(1, 3, &name(OPEN), world.origin.port()), request.as_bytes()].concat()).await;
        client.expect([5, 0]).await;
        client.expect(SUCCEEDED).await;
        let mut origin = world.origin.accept_clear().await;
        origin.head().await;
        origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        client.head().await;
        client.expect("ok").await;
        client.cut();
        world.finish(&["h1 GET /x 200 completed in 2"]).await;
    })
    .await;
}

/// What is not granted is refused inside the tunnel, where the client reads why; what is no HTTP goes nowhere.
#[tokio::test]
async fn policy_holds_over_socks() {
    within(async {
        for (host, first, expected) in [
            ("evil.test", "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", "raw 403 net.host_not_allowed"),
            ("127.0.0.1", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "raw 403 net.ip_literal"),
            (API, "SSH-2.0-OpenSSH_9.2\r\n", "raw ssh.not_granted"),
            (API, "\0\u{10}something", "raw net.opaque_protocol"),
        ] {
            let world = World::new().await;
            let mut client = greeted(&world, 0).await;
            client.send(ask(1, 3, &name(host), world.origin.port())).await;
            client.expect(SUCCEEDED).await;
            client.send(first).await;
            client.shut().await;
            client.until_gone().await;
            assert!(world.origin.is_untouched() && world.looked_up.lock().unwrap().is_empty());
            world.finish(&[expected]).await;
        }
    })
    .await;
}

/// Everything else gets the reply that RFC 1928 has for it, a record, and no further.
#[tokio::test]
async fn what_is_no_tunnel_is_refused() {
    within(async {
        for (request, reply, expected) in [
            (ask(2, 1, &[1, 1, 1, 1], 80), 7, "raw net.opaque_protocol"),
            (ask(3, 1, &[0, 0, 0, 0], 0), 7, "raw net.opaque_protocol"),
            (ask(1, 2, &[], 80), 8, "raw http.malformed"),
            (ask(1, 3, &name("a\0.test"), 443), 4, "raw net.malformed_host"),
            (ask(1, 3, &name(""), 443), 4, "raw net.malformed_host"),
            (ask(1, 3, &name(API), 0), 4, "raw net.malformed_host"),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 1, "raw http.malformed"),
        ] {
            let world = World::new().await;
            let mut client = greeted(&world, 0).await;
            client.send(&request).await;
            client.expect([5, reply]).await;
            client.until_gone().await;
            let rows = world.finish(&[expected]).await;
            assert_eq!(rows[0].ingress, "socks5");
        }
        let world = World::new().await;
        let mut client = world.dial().await;
        client.send([5, 1, 1]).await; // GSSAPI
        client.expect([5, 0xff]).await;
        client.until_gone().await;
        world.finish(&["raw http.malformed"]).await;
        let world = World::new().await;
        greeted(&world, 0).await.cut();
        world.finish(&["raw downstream_closed"]).await;
    })
    .await;
}

/// A client may look a name up before it asks for a tunnel to the address.
#[tokio::test]
async fn connect_to_an_address_that_was_looked_up() {
    within(async {
        let world = World::new().await;
        let mut client = world.dial().await;
        let address = format!("{}:{}", world.fake_address_of(OPEN), world.origin.port());
        client.send(format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
        assert_eq!(client.head().await.lines().next(), Some("HTTP/1.1 200 OK"));
        client.send(format!("GET /x HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority(OPEN))).await;
        let mut origin = world.origin.accept_clear().await;
        origin.head().await;
        origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        client.head().await;
        client.expect("ok").await;
        client.cut();
        let rows = world.finish(&["h1 GET /x 200 completed in 2"]).await;
        assert_eq!((rows[0].ingress.as_str(), rows[0].host.as_str()), ("connect", OPEN));
    })
    .await;
}

/// A path on the gateway that begins with a credential's name leads to its host over TLS, and through the same phases.
#[tokio::test]
async fn a_base_url_leads_to_the_host_that_is_granted() {
    within(async {
        let world = World::new().await;
        let gateway = world.gateway();
        let mut client = world.dial().await;
        client.send(format!("POST /key/v1//x?q=1 HTTP/1.1\r\nHost: {gateway}\r\nX-Api-Key: {STAND_IN}\r\nContent-Length: 4\r\n\r\nbody")).await;
        let mut origin = world.origin.accept().await;
        let head = origin.head().await.to_lowercase();
        assert!(head.starts_with("post /v1/x?q=1 http/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nhost: {}\r\n", world.authority(API))), "{head}");
        assert!(head.contains(&format!("\r\nx-api-key: {}\r\n", SECRET.to_lowercase())), "{head}");
        origin.expect("body").await;
        let length = SECRET.len();
        origin.send(format!("HTTP/1.1 200 OK\r\nLocation: https://{API}/y\r\nContent-Length: {length}\r\n\r\n{SECRET}")).await;
        assert!(client.head().await.contains(&format!("https://{API}/y")));
        client.expect(STAND_IN).await;
        client.cut();
        let rows = world.finish(&[&format!("h1 POST /v1//x?q=1 200 completed out 4 in {length}")]).await;
        let row = &rows[0];
        assert_eq!((row.ingress.as_str(), row.scheme.as_str(), row.host.as_str()), ("reverse", "https", API));
        assert_eq!(row.credentials, ["key"]);
    })
    .await;
}

/// No spelling of a path leads elsewhere, and no foreign credential, closed path or other host passes.
#[tokio::test]
async fn a_base_url_is_no_way_around() {
    within(async {
        let gateway = "GATEWAY";
        for (target, host, field, expected) in [
            ("/", gateway, "", "raw 403 net.host_not_allowed"),
            ("/open/x", gateway, "", "raw 403 net.host_not_allowed"),
            ("/open.test/x", gateway, "", "raw 403 net.host_not_allowed"),
            ("/%6bey/x", gateway, "", "raw 403 net.host_not_allowed"),
            ("//key/x", gateway, "", "raw 403 net.host_not_allowed"),
            ("/./key/x", gateway, "", "raw 403 net.host_not_allowed"),
            ("/KEY/x", gateway, "", "raw 403 net.host_not_allowed"),
            ("/key@evil.test/x", gateway, "", "raw 403 net.host_not_allowed"),
            ("/key%2F../x", gateway, "", "raw 403 net.host_not_allowed"),
            ("/key/../x", gateway, "", "h1 GET /../x 400 http.malformed"),
            ("/key/%2e%2e/x", gateway, "", "h1 GET /%2e%2e/x 400 http.malformed"),
            ("/key/a/../../x", gateway, "", "h1 GET /a/../../x 400 http.malformed"),
            ("/key/closed", gateway, "", "h1 GET /closed 403 http.request_not_allowed"),
            ("/key/./a/../closed", gateway, "", "h1 GET /./a/../closed 403 http.request_not_allowed"),
            ("/key/x", gateway, "Authorization: Bearer attacker\r\n", "h1 GET /x 403 credential.foreign"),
            ("/key/x", "api.test", "", "raw 421 http.authority_mismatch"),
            ("/key/x", "evil.test", "", "raw 421 http.authority_mismatch"),
            ("/key/x", "10.9.9.9", "", "raw 421 http.authority_mismatch"),
            ("/key/x", gateway, "Host: api.test\r\n", "raw 400 http.malformed"),
        ] {
            let world = World::new().await;
            let host = if host == gateway { world.gateway() } else { host.to_owned() };
            let mut client = world.dial().await;
            client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{field}\r\n")).await;
            let head = client.head().await;
            assert!(head.contains(expected.rsplit(' ').next().unwrap()), "{target} {host}: {head}");
            assert!(world.origin.is_untouched(), "{target} {host} reached the origin");
            client.cut();
            world.finish(&[expected]).await;
        }
    })
    .await;
}
