//! The origins: one listener for TLS and one for clear text, an answer by host.

mod anthropic;
pub mod aws;
pub mod bao;
mod events;
mod generic;
mod git;
mod github;
pub mod gitlab;
pub mod oauth;
mod openai;
mod packages;
mod s3;
mod socket;

use crate::Seen;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use standin_ca::SessionCa;
use standin_model::Host;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::LazyConfigAcceptor;

/// If the rig's directory holds this file, OpenAI's origin has WebSockets.
pub const HAS_RESPONSES: &str = "openai-has-websockets";

/// The host that has no HTTP/1.1.
pub const ONLY_HTTP2: &str = "only-http2.example";

/// If the rig's directory holds one of these sockets, it serves that port of every host: OpenSSH's and PostgreSQL's servers do not run
/// in the rig.
const SERVED_FROM_OUTSIDE: &[(u16, &str)] = &[(22, "sshd.sock"), (5432, "postgres.sock")];

/// An answer's body.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The origins of one rig.
pub struct Origins {
    /// The authority that their certificates are from.
    pub ca: SessionCa,
    directory: PathBuf,
    seen: Mutex<Vec<Seen>>,
    logins: oauth::Logins,
    objects: aws::Objects,
    leases: bao::Leases,
    tokens: gitlab::Tokens,
}

impl Origins {
    /// Origins that keep what they serve from disk (repositories) in `directory`.
    pub fn new(directory: &Path) -> Self {
        let ca = SessionCa::generate(SystemTime::now()).expect("a certificate can be made");
        let (seen, logins, objects) = (Mutex::default(), oauth::Logins::default(), aws::Objects::default());
        Self {
            ca,
            directory: directory.to_owned(),
            seen,
            logins,
            objects,
            leases: bao::Leases::default(),
            tokens: gitlab::Tokens::default(),
        }
    }

    /// What was asked, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, seen: Seen) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }

    async fn answer(self: &Arc<Self>, host: &str, mut request: Request<Incoming>) -> Response<Body> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let seen = Seen {
            host: host.to_owned(),
            version: format!("{:?}", head.version),
            method: head.method.to_string(),
            target: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        self.note(seen.clone());
        if let Some(talk) = socket::Talk::asked_for(&seen, self.directory.join(HAS_RESPONSES).exists()) {
            return socket::open(talk, self, upgrade, seen);
        }
        let response = match host {
            "api.anthropic.com" if self.logins.refuse("anthropic", &seen, &self.directory) => anthropic::unauthorized(),
            "api.anthropic.com" => anthropic::answer(&seen),
            "platform.claude.com" if seen.method == "POST" => self.logins.exchange("anthropic", &seen, &self.directory),
            "auth.openai.com" if seen.target == "/oauth/token" => {
                self.logins.exchange("openai", &seen, &self.directory)
            }
            "auth.openai.com" => oauth::device(&seen),
            "oauth2.googleapis.com" if seen.target == "/token" => {
                self.logins.exchange("google", &seen, &self.directory)
            }
            host if host.ends_with(".googleapis.com") && self.logins.refuse("google", &seen, &self.directory) => {
                openai::unauthorized()
            }
            host if host.ends_with(".googleapis.com") => oauth::google(&seen),
            "chatgpt.com" if self.logins.refuse("openai", &seen, &self.directory) => openai::unauthorized(),
            "chatgpt.com" => openai::chatgpt(&seen),
            "api.openai.com" => openai::answer(&seen),
            "github.com" => git::answer(&self.directory, &seen, &body).await,
            "gitlab.com" | "gitlab.example" => gitlab::answer(&self.tokens, &seen, &self.directory),
            "api.github.com" => github::answer(&seen),
            host if host.starts_with("index.crates.") => packages::crate_index(&seen),
            host if host.starts_with("static.crates.") => packages::crate_files(&seen),
            host if host.ends_with(".amazonaws.com") && aws::is_signed(&seen) => {
                aws::answer(&self.objects, &seen, &body)
            }
            host if host.ends_with(".amazonaws.com") => s3::answer(&seen),
            host if host.starts_with("registry.") => packages::npm(&seen),
            host if host.starts_with("pypi.") || host.starts_with("files.") => packages::pypi(&seen),
            "bao.example" => bao::answer(&self.leases, &seen, &self.directory),
            _ => generic::answer(&seen),
        };
        if seen.method == "HEAD" { without_body(response) } else { response }
    }
}

/// Listens on 443 and 80, on every address; on other ports, too, if something outside serves them.
pub async fn start(origins: &Arc<Origins>) -> io::Result<()> {
    let (tls, clear) = (TcpListener::bind("0.0.0.0:443").await?, TcpListener::bind("0.0.0.0:80").await?);
    for (port, name) in SERVED_FROM_OUTSIDE {
        let socket = origins.directory.join(name);
        if !socket.exists() {
            continue;
        }
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).await?;
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(join(client, socket.clone()));
            }
        });
    }
    let (one, two) = (Arc::clone(origins), Arc::clone(origins));
    tokio::spawn(async move {
        while let Ok((socket, _)) = tls.accept().await {
            let origins = Arc::clone(&one);
            // What a client breaks off is its own affair; tests look at what was seen.
            tokio::spawn(async move { serve_tls(origins, socket).await.ok() });
        }
    });
    tokio::spawn(async move {
        while let Ok((socket, _)) = clear.accept().await {
            let origins = Arc::clone(&two);
            tokio::spawn(async move { serve_clear(origins, socket).await.ok() });
        }
    });
    Ok(())
}

/// Both directions, up to the end of both.
async fn join(mut client: TcpStream, socket: PathBuf) -> io::Result<()> {
    let mut server = UnixStream::connect(socket).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn serve_tls(origins: Arc<Origins>, socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket).await?;
    let name = start.client_hello().server_name().unwrap_or_default().to_owned();
    let host = Host::parse(&name).map_err(io::Error::other)?;
    let protocols: standin_ca::Protocols = if name == ONLY_HTTP2 { &[b"h2"] } else { &[b"h2", b"http/1.1"] };
    let config = origins.ca.server_config(&host, protocols).map_err(io::Error::other)?;
    let tls = start.into_stream(config).await?;
    let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| {
        let (origins, name) = (Arc::clone(&origins), name.clone());
        async move { Ok::<_, Infallible>(origins.answer(&name, request).await) }
    });
    let io = TokioIo::new(tls);
    let served = if http2 {
        // The library's own bound is 16 KiB; the usual servers take more.
        let mut server = http2::Builder::new(TokioExecutor::new());
        server.max_header_list_size(64 * 1024).enable_connect_protocol();
        server.serve_connection(io, service).await
    } else {
        http1::Builder::new().serve_connection(io, service).with_upgrades().await
    };
    served.map_err(io::Error::other)
}

async fn serve_clear(origins: Arc<Origins>, socket: TcpStream) -> io::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let origins = Arc::clone(&origins);
        let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
        async move { Ok::<_, Infallible>(origins.answer(&host, request).await) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(socket), service).await.map_err(io::Error::other)
}

/// The answer to HEAD: hyper leaves a body out in HTTP/1.1, but not in HTTP/2, where clients take it for an error.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.entry("content-length").or_insert(length.into());
    }
    Response::from_parts(head, Full::default().boxed_unsync())
}

/// A whole answer.
pub(crate) fn reply(status: u16, kind: &str, body: impl Into<Bytes>) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(Full::new(body.into()).boxed_unsync())
        .expect("our own headers are valid")
}

/// A JSON answer.
pub(crate) fn json(status: u16, value: &serde_json::Value) -> Response<Body> {
    reply(status, "application/json", value.to_string())
}
