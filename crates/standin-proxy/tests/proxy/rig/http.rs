//! Clients and bodies for tests in which it does not matter how a message is framed.

use super::wire::Io;
use http::{HeaderMap, Request, Response};
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;

pub use bytes::Bytes;

/// Any body.
pub type Body = UnsyncBoxBody<Bytes, String>;

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum V {
    H1,
    H2,
}

impl V {
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Self::H1 => b"http/1.1",
            Self::H2 => b"h2",
        }
    }

    pub fn alpn_list(self) -> &'static [&'static [u8]] {
        match self {
            Self::H1 => &[b"http/1.1"],
            Self::H2 => &[b"h2"],
        }
    }

    /// What the record calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
        }
    }
}

/// A client's connection, one request after the other.
pub struct Asker {
    sender: SendRequest,
    version: V,
    authority: String,
}

enum SendRequest {
    H1(http1::SendRequest<Body>),
    H2(http2::SendRequest<Body>),
}

impl Asker {
    pub(super) async fn new(io: Io, version: V, authority: String) -> Self {
        let io = TokioIo::new(io);
        let sender = match version {
            V::H1 => {
                let (sender, connection) = http1::handshake(io).await.unwrap();
                tokio::spawn(async move { drop(connection.await) });
                SendRequest::H1(sender)
            }
            V::H2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
                tokio::spawn(async move { drop(connection.await) });
                SendRequest::H2(sender)
            }
        };
        Self { sender, version, authority }
    }

    /// Sends a request; its target is a path.
    pub fn ask(&mut self, mut request: Request<Body>) -> JoinHandle<hyper::Result<Response<Incoming>>> {
        let path = request.uri().path_and_query().unwrap().clone();
        match (&mut self.sender, self.version) {
            (SendRequest::H1(sender), _) => {
                request.headers_mut().insert("host", self.authority.parse().unwrap());
                tokio::spawn(sender.send_request(request))
            }
            (SendRequest::H2(sender), _) => {
                let uri = http::Uri::builder().scheme("https").authority(self.authority.as_str()).path_and_query(path);
                *request.uri_mut() = uri.build().unwrap();
                tokio::spawn(sender.send_request(request))
            }
        }
    }
}

pub fn get(path: &str) -> Request<Body> {
    Request::get(path).body(empty()).unwrap()
}

pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that the test sends piece by piece.
pub fn body() -> (Sender<Bytes, String>, Body) {
    let (sender, channel) = Channel::new(1);
    (sender, channel.boxed_unsync())
}

/// The next piece of a body.
pub async fn text(body: &mut Incoming) -> String {
    let data = body.frame().await.expect("a frame").unwrap().into_data().expect("data");
    String::from_utf8(data.to_vec()).unwrap()
}

/// Nothing more comes, and the end is a clean one.
pub async fn ended(body: Incoming) {
    assert_eq!(collect(body).await.unwrap().0, "");
}

/// The whole body and its trailers.
pub async fn collect(body: Incoming) -> hyper::Result<(String, HeaderMap)> {
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Ok((String::from_utf8(collected.to_bytes().to_vec()).unwrap(), trailers))
}
