//! The origin: every name leads to it, and the test says what it answers.

use super::http::{Body, V, collect};
use super::wire::Wire;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use standin_ca::SessionCa;
use standin_model::Host;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::LazyConfigAcceptor;

/// A listener with certificates for every name.
#[derive(Clone)]
pub struct Origin {
    listener: Arc<TcpListener>,
    ca: Arc<SessionCa>,
}

/// A request that reached the origin, and the way to answer it.
pub struct Seen {
    pub request: Request<Incoming>,
    pub answer: oneshot::Sender<Response<Body>>,
}

impl Seen {
    /// Reads the request to its end: its body, the way to answer, its trailers.
    pub async fn whole(self) -> (String, oneshot::Sender<Response<Body>>, HeaderMap) {
        let (body, trailers) = collect(self.request.into_body()).await.unwrap();
        (body, self.answer, trailers)
    }

    /// Answers.
    pub fn answer(self, response: Response<Body>) -> Request<Incoming> {
        // The proxy may have gone away by now; a test that cares looks at the client's side.
        drop(self.answer.send(response));
        self.request
    }
}

impl Origin {
    pub async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener: Arc::new(listener), ca: Arc::new(SessionCa::generate(SystemTime::now()).unwrap()) }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    pub fn root(&self) -> CertificateDer<'static> {
        self.ca.certificate_der().to_vec().into()
    }

    /// The proxy's next connection, to be written and read by hand.
    pub async fn accept(&self) -> Wire {
        self.tls(V::H1).await
    }

    /// The proxy's next connection, which has agreed on HTTP/2, to be written and read by hand.
    pub async fn accept_h2(&self) -> Wire {
        self.tls(V::H2).await
    }

    /// The proxy's next connection, in clear.
    pub async fn accept_clear(&self) -> Wire {
        Wire::clear(self.socket().await)
    }

    /// The proxy's next connection, frame by frame.
    pub async fn accept_frames(&self) -> h2::server::Connection<super::wire::Io, bytes::Bytes> {
        h2::server::handshake(self.tls(V::H2).await.into_io()).await.unwrap()
    }

    /// The proxy's next connection, served by a library that hands every request to the test.
    pub async fn accept_requests(&self, version: V) -> mpsc::Receiver<Seen> {
        let (seen, requests) = mpsc::channel(1);
        serve(self.tls(version).await, version, seen);
        requests
    }

    /// The same, from an origin that prefers HTTP/2 and has both.
    pub async fn accept_either(&self) -> mpsc::Receiver<Seen> {
        let (wire, version) = self.handshake(&[b"h2", b"http/1.1"]).await.expect("one of the two is offered");
        let (seen, requests) = mpsc::channel(1);
        serve(wire, version, seen);
        requests
    }

    /// The proxy's next connection, and the certificate it showed when it was asked for one that this root signed.
    pub async fn accept_identified(&self, root: &CertificateDer<'static>) -> (Wire, Option<CertificateDer<'static>>) {
        let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), self.socket().await);
        let start = acceptor.await.unwrap();
        let host = Host::parse(start.client_hello().server_name().unwrap()).unwrap();
        let usual = self.ca.server_config(&host, V::H1.alpn_list()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
            .with_cert_resolver(Arc::clone(&usual.cert_resolver));
        config.alpn_protocols.clone_from(&usual.alpn_protocols);
        let io = start.into_stream(Arc::new(config)).await.unwrap();
        let shown = io.get_ref().1.peer_certificates().map(|chain| chain[0].clone());
        (Wire::tls(io.into()), shown)
    }

    /// What the proxy's next connection offers, and the connection, if this origin's protocol is in it.
    pub async fn accept_seeing(&self, version: V) -> (Vec<Vec<u8>>, Option<Wire>) {
        let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), self.socket().await);
        let start = acceptor.await.unwrap();
        let hello = start.client_hello();
        let host = Host::parse(hello.server_name().unwrap()).unwrap();
        let offers = hello.alpn().unwrap().map(<[u8]>::to_vec).collect();
        let config = self.ca.server_config(&host, version.alpn_list()).unwrap();
        (offers, start.into_stream(config).await.ok().map(|io| Wire::tls(io.into())))
    }

    /// The requests of all of the proxy's connections from now on.
    pub fn accept_all(&self, version: V) -> mpsc::Receiver<Seen> {
        let (seen, requests) = mpsc::channel(1);
        let origin = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    wire = origin.tls(version) => serve(wire, version, seen.clone()),
                    () = seen.closed() => return,
                }
            }
        });
        requests
    }

    /// Whether no connection has come that was not accepted. Only to be asked when the client has its answer: what
    /// the proxy dialled for it would be in the backlog by then.
    pub fn is_untouched(&self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        self.listener.poll_accept(&mut context).is_pending()
    }

    async fn socket(&self) -> TcpStream {
        let (socket, _) = self.listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    async fn tls(&self, version: V) -> Wire {
        loop {
            // For an HTTP/1.1 client only HTTP/1.1 is offered at first (RFC 7301 §3.2); then all there is.
            if let Some((wire, _)) = self.handshake(version.alpn_list()).await {
                return wire;
            }
        }
    }

    /// The next handshake; nothing if it offers none of these.
    async fn handshake(&self, alpn: &'static [&'static [u8]]) -> Option<(Wire, V)> {
        let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), self.socket().await);
        let start = acceptor.await.unwrap();
        let hello = start.client_hello();
        let host = Host::parse(hello.server_name().unwrap()).unwrap();
        let agreed = hello.alpn().is_some_and(|mut offered| offered.any(|offer| alpn.contains(&offer)));
        let config = self.ca.server_config(&host, alpn).unwrap();
        match start.into_stream(config).await {
            Ok(io) => {
                let http2 = io.get_ref().1.alpn_protocol() == Some(b"h2");
                Some((Wire::tls(io.into()), if http2 { V::H2 } else { V::H1 }))
            }
            Err(error) if agreed => panic!("{error}"),
            Err(_) => None,
        }
    }
}

/// Hands every request of a connection to the test.
fn serve(wire: Wire, version: V, seen: mpsc::Sender<Seen>) {
    let io = TokioIo::new(wire.into_io());
    let service = service_fn(move |request| {
        let seen = seen.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            seen.send(Seen { request, answer }).await.map_err(|_| "the test is over")?;
            answered.await.map_err(|_| "the test does not answer")
        }
    });
    tokio::spawn(async move {
        match version {
            V::H1 => drop(hyper::server::conn::http1::Builder::new().serve_connection(io, service).await),
            V::H2 => {
                drop(
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
                );
            }
        }
    });
}
