//! One request to the server: a connection of its own, verified, within a deadline.

use crate::settings::Settings;
use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Host;
use zeroize::Zeroizing;

/// The longest that an answer is waited for. A database that makes a user for it takes a second or two.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest answer, in bytes: a secret is 1 MiB at most, by the server's own default.
const MAX_ANSWER: usize = 1024 * 1024 + 64 * 1024;

/// The way to the server.
pub(crate) struct Way {
    settings: Settings,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// What the server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Why there is no secret. Nothing of an answer is in it.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server cannot be reached.
    #[error("cannot reach {0}")]
    Reach(String, #[source] io::Error),
    /// Its certificate does not hold, or nobody is believed.
    #[error("{0} cannot be verified")]
    Verify(String, #[source] io::Error),
    /// What came is no HTTP, or was broken off.
    #[error("{0} did not answer as HTTP does")]
    Http(String, #[source] hyper::Error),
    /// The answer is larger than a secret can be.
    #[error("the answer of {0} is larger than 1 MiB")]
    TooLarge(String),
    /// No answer in time.
    #[error("no answer of {0} within 20 s")]
    Deadline(String),
    /// No threads, no descriptors.
    #[error("cannot ask")]
    Ask(#[source] io::Error),
    /// A header that cannot be sent.
    #[error("the {0} has characters that cannot be sent")]
    Characters(&'static str),
    /// 403.
    #[error("the token may not do that there, or has expired (403); `vault token lookup` tells")]
    Forbidden,
    /// 404.
    #[error("there is nothing at this path (404), or in another namespace")]
    NotFound,
    /// 404, of a version that was there.
    #[error("the newest version of it was deleted (404)")]
    Deleted,
    /// 503.
    #[error("the server is sealed or down for maintenance (503)")]
    Sealed,
    /// A redirect.
    #[error("the server sends us to another ({0}); name that one as VAULT_ADDR")]
    Elsewhere(u16),
    /// Any other refusal.
    #[error("the server answered {0}")]
    Status(u16),
    /// The answer is not what is documented.
    #[error("the answer is not what the server's API is documented to give: {0}")]
    NotUnderstood(&'static str),
    /// The session is over.
    #[error("the session has ended")]
    Ended,
}

impl Way {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, tls: OnceLock::new() }
    }

    /// Asks, on this thread.
    pub(crate) fn ask(&self, method: Method, path: &str, body: String) -> Result<Answer, CallError> {
        let request = self.request(method, path, body)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CallError::Ask)?;
        runtime.block_on(async {
            let answer = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
            answer.map_err(|_| CallError::Deadline(self.name()))?
        })
    }

    fn request(&self, method: Method, path: &str, body: String) -> Result<Request<Full<Bytes>>, CallError> {
        let Settings { address, token, namespace, .. } = &self.settings;
        let value = |what, text: &[u8]| HeaderValue::from_bytes(text).map_err(|_| CallError::Characters(what));
        let mut token = value("token", token.expose())?;
        token.set_sensitive(true);
        let authority = &address[url::Position::BeforeHost..url::Position::AfterPort];
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", address.path().trim_end_matches('/')))
            .header("host", authority)
            .header("x-vault-request", "true")
            .header("x-vault-token", token);
        if let Some(namespace) = namespace {
            request = request.header("x-vault-namespace", value("namespace", namespace.as_bytes())?);
        }
        request.body(Full::new(body.into())).map_err(|_| CallError::Characters("path"))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
        let address = &self.settings.address;
        let port = address.port_or_known_default().unwrap_or(443);
        let socket = match address.host() {
            Some(Host::Domain(name)) => TcpStream::connect((name, port)).await,
            Some(Host::Ipv4(address)) => TcpStream::connect((address, port)).await,
            Some(Host::Ipv6(address)) => TcpStream::connect((address, port)).await,
            None => Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        let socket = socket.map_err(|error| CallError::Reach(self.name(), error))?;
        if address.scheme() == "http" {
            return self.over(socket, request).await;
        }
        let unverified = |error| CallError::Verify(self.name(), error);
        let host = address.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let name = self.settings.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other).map_err(unverified)?;
        let tls = TlsConnector::from(self.tls().map_err(unverified)?);
        let io = tls.connect(name, socket).await.map_err(unverified)?;
        self.over(io, request).await
    }

    async fn over<I>(&self, io: I, request: Request<Full<Bytes>>) -> Result<Answer, CallError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error| CallError::Http(self.name(), error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(broken)?;
        // It ends with the runtime; what goes wrong in it is said by the request, too.
        tokio::spawn(connection);
        let (head, mut incoming) = sender.send_request(request).await.map_err(broken)?.into_parts();
        // With room at once, so that it need not grow.
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
        while let Some(frame) = incoming.frame().await {
            let Ok(piece) = frame.map_err(broken)?.into_data() else { continue };
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(CallError::TooLarge(self.name()));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status: head.status.as_u16(), body })
    }

    fn tls(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(made) = self.tls.get() {
            return Ok(Arc::clone(made));
        }
        let roots = match &self.settings.roots {
            Some(roots) => roots.clone(),
            None => rustls_native_certs::load_native_certs().certs,
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let made = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(made))))
    }

    fn name(&self) -> String {
        self.settings.address[..url::Position::BeforePath].to_owned()
    }
}
