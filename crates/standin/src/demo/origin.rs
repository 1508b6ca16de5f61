//! The servers of the demonstration: every host, on every address of the private network.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use standin_ca::SessionCa;
use standin_model::Host;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::LazyConfigAcceptor;

/// Something that reached a server.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) host: String,
    pub(super) what: String,
    /// Whether it carried the real key.
    pub(super) authorised: bool,
}

/// The servers and what they saw.
pub(super) struct Origin {
    ca: SessionCa,
    secret: String,
    seen: Mutex<Vec<Seen>>,
}

impl Origin {
    pub(super) fn new(ca: SessionCa, secret: String) -> Self {
        Self { ca, secret, seen: Mutex::default() }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn saw(&self, host: &str, what: String, authorised: bool) {
        let seen = Seen { host: host.to_owned(), what, authorised };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }

    /// Echoes the key it was given, as careless services do.
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let header =
            |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let key = header("authorization");
        let authorised = key.strip_prefix("Bearer ") == Some(self.secret.as_str());
        self.saw(&header("host"), format!("{} {}", request.method(), request.uri()), authorised);
        let text =
            if authorised { format!("hello; you authenticated with `{key}`") } else { "who are you?".to_owned() };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = if authorised { hyper::StatusCode::OK } else { hyper::StatusCode::UNAUTHORIZED };
        response
    }
}

/// Starts HTTPS, SSH (a listener that only counts) and DNS (likewise).
pub(super) async fn start(origin: &Arc<Origin>) -> io::Result<()> {
    let https = TcpListener::bind("0.0.0.0:443").await?;
    let ssh = TcpListener::bind("0.0.0.0:22").await?;
    let dns = UdpSocket::bind("0.0.0.0:53").await?;
    let (one, two, three) = (Arc::clone(origin), Arc::clone(origin), Arc::clone(origin));
    tokio::spawn(async move {
        while let Ok((socket, _)) = https.accept().await {
            let origin = Arc::clone(&one);
            tokio::spawn(async move {
                if let Err(error) = serve(origin, socket).await {
                    tracing::debug!(%error, "a connection to the demonstration's origin ended early");
                }
            });
        }
    });
    tokio::spawn(async move {
        while let Ok((_, peer)) = ssh.accept().await {
            two.saw("ssh", format!("a connection from {peer}"), false);
        }
    });
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, _)) = dns.recv_from(&mut buffer).await {
            three.saw("dns", format!("a query of {length} bytes"), false);
        }
    });
    Ok(())
}

async fn serve(origin: Arc<Origin>, socket: TcpStream) -> io::Result<()> {
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket).await?;
    let name = start.client_hello().server_name().unwrap_or_default().to_owned();
    let host = Host::parse(&name).map_err(io::Error::other)?;
    let config = origin.ca.server_config(&host, &[b"http/1.1"]).map_err(io::Error::other)?;
    let tls = start.into_stream(config).await?;
    let service = service_fn(move |request| {
        let response = origin.answer(&request);
        async { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(tls), service).await.map_err(io::Error::other)
}
