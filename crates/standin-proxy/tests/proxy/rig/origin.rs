//! The origin: every name leads to it, and the test says what it answers.

use super::http::{Body, V, collect};
use super::wire::Wire;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use standin_ca::SessionCa;
use standin_model::Host;
use std::time::SystemTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::LazyConfigAcceptor;

/// A listener with certificates for every name.
pub struct Origin {
    listener: TcpListener,
    ca: SessionCa,
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
        Self { listener, ca: SessionCa::generate(SystemTime::now()).unwrap() }
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
        let io = TokioIo::new(self.tls(version).await.into_io());
        let (seen, requests) = mpsc::channel(1);
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
                V::H2 => drop(
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
                ),
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
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), self.socket().await).await.unwrap();
        let host = Host::parse(start.client_hello().server_name().unwrap()).unwrap();
        let config = self.ca.server_config(&host, version.alpn_list()).unwrap();
        Wire::tls(start.into_stream(config).await.unwrap().into())
    }
}
