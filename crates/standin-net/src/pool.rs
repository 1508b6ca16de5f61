//! Connections to origins that outlive one exchange.

use crate::resolve::PinnedPeer;
use crate::upstreams::Need;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::{http1, http2};
use standin_model::limits::{DIAL_DEADLINE, H2_UPSTREAM_STREAMS, POOL_IDLE, POOL_IDLE_PER_AUTHORITY};
use standin_model::{CredentialName, Scheme};
use standin_wire::http2::Allowed;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;
use tokio::sync::watch;
use tokio::time::timeout;

/// What is sent: any body, in a box.
pub(crate) type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A way to send one request.
pub(crate) enum Sender {
    /// A connection of its own.
    Http1(http1::SendRequest<Body>),
    /// A stream of a shared one, and its place among that connection's streams.
    Http2(http2::SendRequest<Body>, Lease),
}

/// A stream's place on its connection. While it is held, the answer may still come in, and take up window.
#[derive(Default)]
pub struct Lease(Option<Arc<Streams>>);

/// What the streams of one connection share, held by each of them and so counted: what its origin allows, once that is known.
struct Streams(watch::Receiver<Option<Allowed>>);

impl Lease {
    /// Whether the origin opens WebSockets in streams of this connection. On a new one that is known when its settings are
    /// there, which are the first that it says (RFC 9113 §3.4).
    pub(crate) async fn opens_websockets(&self) -> bool {
        let Some(streams) = &self.0 else { return false };
        let mut allowed = streams.0.clone();
        let told = timeout(DIAL_DEADLINE, allowed.wait_for(Option::is_some)).await;
        told.is_ok_and(|told| told.is_ok_and(|allowed| allowed.is_some_and(|allowed| allowed.websockets)))
    }
}

/// A pooled way to send, and where it leads.
pub(crate) struct Pooled {
    pub(crate) sender: Sender,
    pub(crate) address: SocketAddr,
}

/// Connections by the pinned peer, name *and* addresses.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<PinnedPeer, Vec<Kept>>>);

/// Connections to one peer, and what else they are shared by: there are few of these for a peer.
struct Kept {
    /// A wake-up across threads costs more than a connection saves.
    thread: ThreadId,
    /// Whether TLS protects them.
    scheme: Scheme,
    /// Who we are in it.
    who: Option<CredentialName>,
    place: Arc<Place>,
}

/// The connections to one peer.
#[derive(Default)]
pub(crate) struct Place {
    connections: Mutex<Connections>,
    /// Held while the first connection is dialled: it tells whether the origin speaks HTTP/2, and then one is enough.
    pub(crate) first: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Connections {
    http1: Vec<(http1::SendRequest<Body>, SocketAddr, Instant)>,
    http2: Vec<Shared>,
    speaks: Speaks,
}

/// A connection that several exchanges use at once.
struct Shared {
    sender: http2::SendRequest<Body>,
    address: SocketAddr,
    /// Cloned for each stream.
    streams: Arc<Streams>,
}

/// What an origin has been seen to speak.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// Not known to lack either.
    #[default]
    Unknown,
    /// It chose HTTP/1.1 although HTTP/2 was offered.
    OnlyHttp1,
    /// It refused HTTP/1.1.
    OnlyHttp2,
}

impl Pool {
    /// The connections to this peer.
    pub(crate) fn place(&self, peer: &PinnedPeer, scheme: Scheme, who: Option<&CredentialName>) -> Arc<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = std::thread::current().id();
        let is_it = |kept: &&Kept| kept.thread == thread && kept.scheme == scheme && kept.who.as_ref() == who;
        if let Some(known) = all.get(peer).and_then(|here| here.iter().find(is_it)) {
            return Arc::clone(&known.place);
        }
        let place = Arc::<Place>::default();
        let kept = Kept { thread, scheme, who: who.cloned(), place: Arc::clone(&place) };
        all.entry(peer.clone()).or_default().push(kept);
        place
    }
}

impl Place {
    /// A connection that is idle (HTTP/1) or open (HTTP/2), if there is one that will do.
    pub(crate) fn take(&self, need: Need) -> Option<Pooled> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        match need {
            Need::Any => match connections.stream(|_| true) {
                // What is idle was opened for a client that wanted HTTP/1.1; this one prefers HTTP/2.
                None if connections.speaks == Speaks::OnlyHttp1 => connections.idle(),
                stream => stream,
            },
            Need::Http1 => connections.idle(),
            Need::WebSocket { in_stream } => {
                let only_http2 = connections.speaks == Speaks::OnlyHttp2;
                let opens_some = |allowed: Option<Allowed>| allowed.is_some_and(|allowed| allowed.websockets);
                let known = if in_stream || only_http2 { connections.stream(opens_some) } else { None };
                // Another connection would be offered no more than one that is there.
                known.or_else(|| if only_http2 { connections.stream(|_| true) } else { None })
            }
        }
    }

    /// Lists an HTTP/1 connection whose exchange has begun.
    pub(crate) fn keep_http1(&self, sender: http1::SendRequest<Body>, address: SocketAddr) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.http1.len() < POOL_IDLE_PER_AUTHORITY {
            connections.http1.push((sender, address, Instant::now()));
        }
    }

    /// Shares an HTTP/2 connection, and gives its first stream.
    pub(crate) fn share_http2(
        &self,
        sender: http2::SendRequest<Body>,
        address: SocketAddr,
        allowed: watch::Receiver<Option<Allowed>>,
    ) -> Pooled {
        let shared = Shared { sender, address, streams: Arc::new(Streams(allowed)) };
        let first = shared.stream();
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).http2.push(shared);
        first
    }

    /// What the origin has been seen to speak.
    pub(crate) fn speaks(&self) -> Speaks {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).speaks
    }

    /// Remembers it.
    pub(crate) fn learn(&self, speaks: Speaks) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).speaks = speaks;
    }
}

impl Connections {
    /// A stream of an HTTP/2 connection with room, whose origin allows what is wanted.
    fn stream(&mut self, wanted: impl Fn(Option<Allowed>) -> bool) -> Option<Pooled> {
        let mut idle = 0;
        self.http2.retain(|shared| {
            // An origin that takes back that it allows any streams leaves a connection of no use, and for the next request another one.
            let keeps = shared.open() > 0 || {
                idle += 1;
                idle <= POOL_IDLE_PER_AUTHORITY && shared.has_room_for(|_| true)
            };
            keeps && !shared.sender.is_closed()
        });
        self.http2.iter().find(|shared| shared.has_room_for(&wanted)).map(Shared::stream)
    }

    /// An HTTP/1 connection on which nothing happens. It stays listed while its exchange runs; hyper tells when it is
    /// ready again.
    fn idle(&mut self) -> Option<Pooled> {
        let now = Instant::now();
        self.http1.retain(|(sender, _, used)| {
            let stale = sender.is_ready() && now.duration_since(*used) > POOL_IDLE;
            !sender.is_closed() && !stale
        });
        let idle = self.http1.iter().rposition(|(sender, ..)| sender.is_ready())?;
        let (sender, address, _) = self.http1.swap_remove(idle);
        Some(Pooled { sender: Sender::Http1(sender), address })
    }
}

impl Shared {
    /// Streams of ours on it.
    fn open(&self) -> usize {
        Arc::strong_count(&self.streams) - 1
    }

    /// Whether another stream can be opened at once, by our count and by the origin's (RFC 9113 §5.1.2), and is wanted.
    fn has_room_for(&self, wanted: impl Fn(Option<Allowed>) -> bool) -> bool {
        let allowed = *self.streams.0.borrow();
        let streams = allowed.unwrap_or_default().streams.min(H2_UPSTREAM_STREAMS);
        self.open() < streams as usize && wanted(allowed)
    }

    fn stream(&self) -> Pooled {
        let lease = Lease(Some(Arc::clone(&self.streams)));
        Pooled { sender: Sender::Http2(self.sender.clone(), lease), address: self.address }
    }
}
