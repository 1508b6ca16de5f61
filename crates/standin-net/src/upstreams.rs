//! Resolving and sending: the two verbs of this crate.

use crate::dial::{DialError, dial, secure};
use crate::form;
use crate::identity::Identity;
use crate::overheard::overheard;
use crate::parent::Parent;
use crate::patience::Progress;
use crate::pool::{Body, Lease, Place, Pool, Pooled, Sender, Speaks};
use crate::resolve::{
    MayResolve, PinnedPeer, ResolveError, Resolver, SystemResolver, is_local, resolve, resolve_through,
};
use crate::trust::{ClientConfigs, Trust};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use standin_model::limits::{
    H2_ERRORS, H2_PING_DEADLINE, H2_PING_INTERVAL, H2_STREAM_WINDOW, H2_UPSTREAM_CONNECTION_WINDOW, MAX_HEAD_BYTES,
    RESPONSE_HEAD_DEADLINE,
};
use standin_model::{CredentialName, Scheme};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// The origins of one session.
pub struct Upstreams {
    resolver: Box<dyn Resolver>,
    configs: ClientConfigs,
    pool: Pool,
    patience: Duration,
    pings: Pings,
    parent: Option<Parent>,
}

/// When an HTTP/2 connection with open streams is asked whether it lives.
#[derive(Clone, Copy, Debug)]
pub struct Pings {
    /// Silence before a ping.
    pub interval: Duration,
    /// Time for its answer.
    pub deadline: Duration,
}

impl Default for Pings {
    fn default() -> Self {
        Self { interval: H2_PING_INTERVAL, deadline: H2_PING_DEADLINE }
    }
}

/// Which protocol an exchange can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Whatever the origin prefers.
    Any,
    /// HTTP/1.1 if the origin has it: what an HTTP/1.1 client would have got, without a translation.
    Http1,
    /// A WebSocket: it begins in HTTP/1.1, on a connection that nothing else uses, and, where the origin has no HTTP/1.1, in
    /// a stream of HTTP/2 (RFC 8441).
    WebSocket {
        /// Whether a stream of a connection that is there is preferred, if its origin opens WebSockets in such.
        in_stream: bool,
    },
}

/// How an exchange goes out.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// Whether TLS protects it.
    pub scheme: Scheme,
    /// Which protocol it can use.
    pub need: Need,
    /// The credential whose client certificate is shown, if the origin asks for one.
    pub who: Option<&'a CredentialName>,
}

/// An answer's head, and where it came from.
pub struct Sent {
    /// The answer; its body streams.
    pub response: Response<Incoming>,
    /// The address that was dialled.
    pub peer: SocketAddr,
    /// To be kept until the body has ended.
    pub lease: Lease,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The origin was not reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It was reached, and the exchange failed.
    #[error("the exchange with {address} failed")]
    Exchange {
        /// The address.
        address: SocketAddr,
        /// What the HTTP library said.
        source: hyper::Error,
    },
    /// It was reached, took the request, and said nothing.
    #[error("{address} did not begin to answer within {patience:?}")]
    Silent {
        /// The address.
        address: SocketAddr,
        /// How long it was waited for.
        patience: Duration,
    },
    /// It speaks HTTP/2 only, and opens no WebSockets in it (RFC 8441 §3).
    #[error("{address} speaks HTTP/2 only, and opens no WebSocket in a stream of it")]
    NoWebSocket {
        /// The address.
        address: SocketAddr,
    },
}

impl Upstreams {
    /// Origins that are found by the host's resolver and believed by this trust.
    pub fn new(trust: Trust) -> Self {
        Self::with_resolver(trust, Box::new(SystemResolver))
    }

    /// Origins that are found by this resolver. What it answers is vetted like any other answer.
    pub fn with_resolver(trust: Trust, resolver: Box<dyn Resolver>) -> Self {
        Self {
            resolver,
            configs: ClientConfigs::new(trust),
            pool: Pool::default(),
            patience: RESPONSE_HEAD_DEADLINE,
            pings: Pings::default(),
            parent: None,
        }
    }

    /// Waits for the head of an answer for another time than [`RESPONSE_HEAD_DEADLINE`].
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Pings at other times than usual.
    #[must_use]
    pub fn with_pings(self, pings: Pings) -> Self {
        Self { pings, ..self }
    }

    /// Whether anything goes through a parent proxy.
    pub fn has_parent(&self) -> bool {
        self.parent.is_some()
    }

    /// Goes through a parent proxy.
    #[must_use]
    pub fn with_parent(self, parent: Parent) -> Self {
        Self { parent: Some(parent), ..self }
    }

    /// Shows these client certificates to origins that ask, for exchanges of their credentials only.
    #[must_use]
    pub fn with_identities(self, identities: HashMap<CredentialName, Identity>) -> Self {
        Self { configs: self.configs.with_identities(identities), ..self }
    }

    /// Whether a credential has a client certificate.
    pub fn identifies(&self, credential: &CredentialName) -> bool {
        self.configs.identifies(credential)
    }

    /// Looks an admitted destination up and vets its addresses. The first time the host's trust store is read
    /// meanwhile: a command that connects nowhere does not pay for it.
    pub async fn resolve(&self, permit: &impl MayResolve) -> Result<PinnedPeer, ResolveError> {
        let resolver = self.resolver.as_ref();
        let found = async {
            let through = |parent: &&Parent| parent.serves(permit.authority()) && !is_local(&permit.authority().host);
            match self.parent.as_ref().filter(through) {
                Some(parent) => resolve_through(resolver, permit, parent.authority()).await,
                None => resolve(resolver, permit).await,
            }
        };
        tokio::join!(found, self.configs.prepare()).0
    }

    /// Connects to a pinned peer in clear, for what is no HTTP; gives the address that was dialled, too.
    pub async fn open(
        &self,
        peer: &PinnedPeer,
    ) -> Result<(impl AsyncRead + AsyncWrite + Send + Unpin + use<>, SocketAddr), DialError> {
        let way = Way { scheme: Scheme::Http, need: Need::Http1, who: None };
        let dialled = dial(peer, way, &self.configs, self.parent.as_ref()).await?;
        Ok((dialled.io, dialled.address))
    }

    /// TLS on a connection that [`Self::open`] made to this peer and whose server was asked for it; its certificate is verified for the peer's name,
    /// and `protocol` is named to it.
    pub async fn secure<S>(
        &self,
        io: S,
        peer: &PinnedPeer,
        protocol: &[u8],
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<S>, DialError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        secure(io, peer, protocol, &self.configs).await
    }

    /// Sends a request in absolute form to a pinned peer and waits for the head of the answer.
    ///
    /// A request is sent again only if a pooled connection turns out to be closed before a byte of it was written: then
    /// hyper gives it back, its body untouched. So no origin sees a request twice, whatever its method.
    pub fn send<'a, B>(
        &'a self,
        peer: &'a PinnedPeer,
        way: Way<'a>,
        request: Request<B>,
    ) -> impl Future<Output = Result<Sent, SendError>> + Send + 'a
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let progress = Progress::default();
        let request = request.map(|body| progress.watch(body).boxed_unsync());
        self.send_watched(peer, way, request, progress) // from here on the body is a pointer, in every future that carries it
    }

    async fn send_watched(
        &self,
        peer: &PinnedPeer,
        mut way: Way<'_>,
        mut request: Request<Body>,
        progress: Progress,
    ) -> Result<Sent, SendError> {
        let place = self.pool.place(peer, way.scheme, way.who);
        if way.need == Need::Http1 && place.speaks() == Speaks::OnlyHttp2 {
            way.need = Need::Any;
        }
        loop {
            let pooled = place.take(way.need);
            let reused = pooled.is_some();
            let Pooled { sender, address } = match pooled {
                Some(pooled) => pooled,
                // In a box: what waits in it would take up room in every request, and few of them dial.
                None => Box::pin(self.connect(peer, way, &place)).await?,
            };
            let websocket = matches!(way.need, Need::WebSocket { .. });
            if let (true, Sender::Http2(_, lease)) = (websocket, &sender)
                && !Box::pin(lease.opens_websockets()).await
            {
                return Err(SendError::NoWebSocket { address });
            }
            let exchanged = tokio::select! {
                biased; // and no random number for each
                exchanged = exchange(sender, request, websocket, address, &place) => exchanged,
                () = progress.silence(self.patience) => {
                    return Err(SendError::Silent { address, patience: self.patience });
                }
            };
            match exchanged {
                Ok((response, lease)) => return Ok(Sent { response, peer: address, lease }),
                Err((_, Some(unsent))) if reused => request = *unsent,
                Err((source, _)) => return Err(SendError::Exchange { address, source }),
            }
        }
    }

    async fn connect(&self, peer: &PinnedPeer, way: Way<'_>, place: &Place) -> Result<Pooled, SendError> {
        // Until it is known that the origin has no HTTP/2, the first connection is waited for: it may be enough for all.
        if way.need == Need::Any && way.scheme == Scheme::Https && place.speaks() != Speaks::OnlyHttp1 {
            let first = place.first.lock().await;
            if let Some(pooled) = place.take(way.need) {
                return Ok(pooled);
            }
            let pooled = self.dial(peer, way, place).await;
            drop(first);
            return pooled;
        }
        self.dial(peer, way, place).await
    }

    async fn dial(&self, peer: &PinnedPeer, way: Way<'_>, place: &Place) -> Result<Pooled, SendError> {
        let dialled = dial(peer, way, &self.configs, self.parent.as_ref()).await?;
        match (way.need, dialled.http2) {
            (Need::Any, false) => place.learn(Speaks::OnlyHttp1),
            (Need::Any, true) => place.learn(Speaks::Unknown), // it may have learnt HTTP/2 since
            (Need::Http1 | Need::WebSocket { .. }, true) => place.learn(Speaks::OnlyHttp2),
            (Need::Http1 | Need::WebSocket { .. }, false) => {}
        }
        let address = dialled.address;
        let fault = |source| SendError::Exchange { address, source };
        if dialled.http2 {
            let (io, allowed) = overheard(dialled.io);
            let (sender, connection) = http2_client(self.pings).handshake(TokioIo::new(io)).await.map_err(fault)?;
            tokio::spawn(async move { note(connection.await) });
            return Ok(place.share_http2(sender, address, allowed));
        }
        let io = TokioIo::new(dialled.io);
        let (sender, connection) = http1_client().handshake(io).await.map_err(fault)?;
        tokio::spawn(async move { note(connection.with_upgrades().await) });
        Ok(Pooled { sender: Sender::Http1(sender), address })
    }
}

/// Sends on one connection. If nothing was written, the request comes back with the error.
async fn exchange(
    sender: Sender,
    mut request: Request<Body>,
    websocket: bool,
    address: SocketAddr,
    place: &Place,
) -> Result<(Response<Incoming>, Lease), (hyper::Error, Option<Box<Request<Body>>>)> {
    let (sent, before, lease) = match sender {
        Sender::Http1(mut sender) => {
            let before = form::http1(&mut request);
            let sent = sender.try_send_request(request).await;
            place.keep_http1(sender, address);
            (sent, before, Lease::default())
        }
        Sender::Http2(mut sender, lease) => {
            let before = form::http2(&mut request, websocket);
            (sender.try_send_request(request).await, before, lease)
        }
    };
    match sent {
        Ok(response) => Ok((response, lease)),
        Err(mut error) => {
            let unsent = error.take_message().map(|request| Box::new(before.restore(request)));
            Err((error.into_error(), unsent))
        }
    }
}

fn http1_client() -> http1::Builder {
    let mut client = http1::Builder::new();
    client.preserve_header_case(true).max_buf_size(MAX_HEAD_BYTES);
    client
}

fn http2_client(pings: Pings) -> http2::Builder<TokioExecutor> {
    let mut client = http2::Builder::new(TokioExecutor::new());
    client
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).expect("128 KiB fits in 32 bits"))
        .max_local_error_reset_streams(H2_ERRORS)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_UPSTREAM_CONNECTION_WINDOW)
        .keep_alive_interval(pings.interval)
        .keep_alive_timeout(pings.deadline);
    client
}

/// A connection's end is told to the exchanges on it; here it is for the log.
fn note(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to an origin ended early");
    }
}
