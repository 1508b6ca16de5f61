//! How both ends open a WebSocket, in every pairing of versions.

use super::peer::End;
use crate::rig::{API, Bytes, STAND_IN, V, Wire, World};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use tokio::sync::mpsc;

/// What the two ends say to open a WebSocket.
#[derive(Default)]
pub struct Opening<'a> {
    /// The client's `Sec-WebSocket-Extensions`.
    pub offer: Option<&'a str>,
    /// The origin's.
    pub choice: Option<&'a str>,
    /// Whether the client holds up its stand-in in the usual header.
    pub credential: bool,
}

/// What the two sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legs {
    pub client: V,
    pub origin: V,
}

/// Every pairing.
pub const LEGS: [Legs; 4] = [
    Legs { client: V::H1, origin: V::H1 },
    Legs { client: V::H2, origin: V::H1 },
    Legs { client: V::H1, origin: V::H2 },
    Legs { client: V::H2, origin: V::H2 },
];

/// Each version on each side.
pub const ALIKE: [Legs; 2] = [LEGS[0], LEGS[3]];

impl From<V> for Legs {
    /// The origin speaks HTTP/1.1.
    fn from(client: V) -> Self {
        Self { client, origin: V::H1 }
    }
}

/// Opens a WebSocket; gives its ends and what the client was told of extensions.
pub async fn open_with(
    world: &World,
    legs: impl Into<Legs>,
    host: &str,
    opening: Opening<'_>,
) -> (End, End, Option<String>) {
    let mut fields: Vec<(&str, String)> = vec![("sec-websocket-version", "13".to_owned())];
    fields.extend(opening.offer.map(|offer| ("sec-websocket-extensions", offer.to_owned())));
    fields.extend(opening.credential.then(|| ("authorization", format!("Bearer {STAND_IN}"))));
    let legs = legs.into();
    match legs.client {
        V::H1 => open_http1(world, legs.origin, host, &fields, &opening).await,
        V::H2 => open_http2(world, legs.origin, host, &fields, &opening).await,
    }
}

/// Opens a WebSocket at the host with the grant.
pub async fn open(world: &World, legs: impl Into<Legs>) -> (End, End) {
    let (client, origin, _) = open_with(world, legs, API, Opening { credential: true, ..Opening::default() }).await;
    (client, origin)
}

async fn open_http1(
    world: &World,
    origin: V,
    host: &str,
    fields: &[(&str, String)],
    opening: &Opening<'_>,
) -> (End, End, Option<String>) {
    let mut client = world.client(host).await;
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let fields = fields.concat();
    let authority = world.authority(host);
    client
        .send(format!(
            "GET /ws HTTP/1.1\r\nHost: {authority}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
        ))
        .await;
    let origin = accept(world, origin, host, opening).await;
    let head = client.head().await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("sec-websocket-accept: s3pplm"), "{head}");
    assert!(head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
    let extensions = field(&head, "sec-websocket-extensions");
    (End::wire(client, true), origin, extensions)
}

async fn open_http2(
    world: &World,
    origin: V,
    host: &str,
    fields: &[(&str, String)],
    opening: &Opening<'_>,
) -> (End, End, Option<String>) {
    let (answer, send) = ask_http2(world, host, "websocket", fields).await;
    let origin = accept(world, origin, host, opening).await;
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    for name in ["connection", "upgrade", "sec-websocket-accept"] {
        assert!(!answer.headers().contains_key(name), "{name} is of HTTP/1.1");
    }
    let extensions = answer.headers().get("sec-websocket-extensions").map(|value| value.to_str().unwrap().to_owned());
    (End::stream(send, answer.into_body(), true), origin, extensions)
}

/// A client's request for a WebSocket: the status that it is answered with, and the reason if that is ours.
pub async fn status(world: &World, face: V) -> (u16, Option<String>) {
    match face {
        V::H1 => {
            let mut client = world.client(API).await;
            let authority = world.authority(API);
            client
                .send(format!(
                    "GET /ws HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                ))
                .await;
            let head = client.head().await;
            (head[9..12].parse().unwrap(), field(&head, "x-standin-reason"))
        }
        V::H2 => {
            let version = ("sec-websocket-version", "13".to_owned());
            let (answer, _send) = ask_http2(world, API, "websocket", &[version]).await;
            let answer = answer.await.unwrap();
            let reason = answer.headers().get("x-standin-reason").map(|reason| reason.to_str().unwrap().to_owned());
            (answer.status().as_u16(), reason)
        }
    }
}

/// Asks for a tunnel within HTTP/2 (RFC 8441 §4).
pub async fn ask_http2(
    world: &World,
    host: &str,
    protocol: &'static str,
    fields: &[(&str, String)],
) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
    let mut requests = settled(world, host).await;
    let uri = format!("https://{}/ws", world.authority(host));
    let mut request = Request::builder().method(Method::CONNECT).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, value);
    }
    let mut request = request.body(()).unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from_static(protocol));
    requests.send_request(request, false).unwrap()
}

/// A client in HTTP/2 that has had a first exchange, so that the server's settings have come.
pub async fn settled(world: &World, host: &str) -> h2::client::SendRequest<Bytes> {
    let mut requests = world.frames(host).await;
    let uri = format!("https://{}/closed", world.authority(host));
    let (refused, _) = requests.send_request(Request::get(&uri).body(()).unwrap(), true).unwrap();
    assert_eq!(refused.await.unwrap().status(), 403);
    assert!(requests.is_extended_connect_protocol_enabled());
    requests
}

/// The origin's side: reads the request, checks it, agrees.
async fn accept(world: &World, speaks: V, host: &str, opening: &Opening<'_>) -> End {
    match speaks {
        V::H1 => accept_http1(world.origin.accept().await, opening).await,
        V::H2 => {
            let mut streams = accept_streams(world, true).await;
            let (request, respond) = streams.recv().await.unwrap();
            assert_eq!(request.uri().to_string(), format!("https://{}/ws", world.authority(host)));
            agree_http2(request, respond, opening)
        }
    }
}

/// A stream that was opened to the origin, and the way to answer it.
pub type Stream = (Request<RecvStream>, SendResponse<Bytes>);

/// The streams of the proxy's next connection, to an origin in HTTP/2 that opens WebSockets in them, or does not.
pub async fn accept_streams(world: &World, opens_websockets: bool) -> mpsc::Receiver<Stream> {
    let mut settings = h2::server::Builder::new();
    if opens_websockets {
        settings.enable_connect_protocol();
    }
    let mut connection = settings.handshake(world.origin.accept_h2().await.into_io()).await.unwrap();
    let (opened, streams) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(Ok(stream)) = connection.accept().await {
            if opened.send(stream).await.is_err() {
                // The test has seen all that it wants to; what is open goes on.
                std::future::poll_fn(|cx| connection.poll_closed(cx)).await.ok();
                return;
            }
        }
    });
    streams
}

async fn accept_http1(mut origin: Wire, opening: &Opening<'_>) -> End {
    let head = origin.head().await;
    let key = field(&head, "sec-websocket-key").expect("a key");
    let lower = head.to_ascii_lowercase();
    assert!(lower.starts_with("get /ws http/1.1\r\n"), "{head}");
    assert!(lower.contains("upgrade: websocket\r\n") && lower.contains("connection: upgrade\r\n"), "{head}");
    let accept = accept_value(&key);
    let choice = opening.choice.map(|choice| format!("Sec-WebSocket-Extensions: {choice}\r\n")).unwrap_or_default();
    origin
        .send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{choice}\r\n"
        ))
        .await;
    End::wire(origin, false)
}

/// Opens a WebSocket in a stream, which was asked for as it should be (RFC 8441 §5).
pub fn agree_http2(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, opening: &Opening<'_>) -> End {
    assert_eq!(request.method(), Method::CONNECT);
    assert_eq!(request.extensions().get::<h2::ext::Protocol>().unwrap().as_str(), "websocket");
    assert_eq!(request.headers()["sec-websocket-version"], "13");
    for name in ["host", "connection", "upgrade", "sec-websocket-key"] {
        assert!(!request.headers().contains_key(name), "{name} is of HTTP/1.1");
    }
    let mut answer = Response::builder();
    if let Some(choice) = opening.choice {
        answer = answer.header("sec-websocket-extensions", choice);
    }
    let send = respond.send_response(answer.body(()).unwrap(), false).unwrap();
    End::stream(send, request.into_body(), false)
}

/// A field of a head, by its name in lower case.
pub fn field(head: &str, name: &str) -> Option<String> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.to_owned())
}

/// As RFC 6455 §4.2.2 has it, by the reference implementation.
pub fn accept_value(key: &str) -> String {
    tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes())
}
