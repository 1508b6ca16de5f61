//! Connections to origins that outlive one exchange.

use crate::resolve::PinnedPeer;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::{http1, http2};
use standin_model::limits::{H2_UPSTREAM_STREAMS, POOL_IDLE, POOL_IDLE_PER_AUTHORITY};
use standin_model::{CredentialName, Scheme};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;

/// What is sent: any body, in a box.
pub(crate) type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// What connections are shared by: the thread, since a wake-up across threads costs more than a connection saves, the
/// pinned peer (name *and* addresses), whether TLS protects them, and who we are in it.
type Key = (ThreadId, PinnedPeer, Scheme, Option<CredentialName>);

/// A way to send one request.
pub(crate) enum Sender {
    /// A connection of its own.
    Http1(http1::SendRequest<Body>),
    /// A stream of a shared one, and its place among that connection's streams.
    Http2(http2::SendRequest<Body>, Lease),
}

/// A stream's place on its connection. While it is held, the answer may still come in, and take up window.
#[derive(Default)]
pub struct Lease(#[expect(dead_code, reason = "held to be counted")] Option<Arc<()>>);

/// A pooled way to send, and where it leads.
pub(crate) struct Pooled {
    pub(crate) sender: Sender,
    pub(crate) address: SocketAddr,
}

#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<Key, Arc<Place>>>);

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
    streams: Arc<()>,
    /// Streams the origin allows at once.
    limit: Arc<AtomicUsize>,
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
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry((std::thread::current().id(), peer.clone(), scheme, who.cloned())).or_default())
    }
}

impl Place {
    /// A connection that is idle (HTTP/1) or open (HTTP/2), if there is one.
    pub(crate) fn take(&self, http1_only: bool) -> Option<Pooled> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if !http1_only {
            connections.http2.retain(|shared| !shared.sender.is_closed());
            if let Some(shared) = connections.http2.iter().find(|shared| shared.has_room()) {
                return Some(shared.stream());
            }
            if connections.speaks != Speaks::OnlyHttp1 {
                return None; // what is idle was opened for a client that wanted HTTP/1.1; this one prefers HTTP/2
            }
        }
        let now = Instant::now();
        // A connection stays listed while its exchange runs; hyper tells when it is ready again.
        connections.http1.retain(|(sender, _, used)| {
            let stale = sender.is_ready() && now.duration_since(*used) > POOL_IDLE;
            !sender.is_closed() && !stale
        });
        let idle = connections.http1.iter().rposition(|(sender, ..)| sender.is_ready())?;
        let (sender, address, _) = connections.http1.swap_remove(idle);
        Some(Pooled { sender: Sender::Http1(sender), address })
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
        limit: Arc<AtomicUsize>,
    ) -> Pooled {
        let shared = Shared { sender, address, streams: Arc::default(), limit };
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

impl Shared {
    /// Whether another stream can be opened at once, by our count and by the origin's (RFC 9113 §5.1.2).
    fn has_room(&self) -> bool {
        let open = Arc::strong_count(&self.streams) - 1;
        open < self.limit.load(Ordering::Relaxed).min(H2_UPSTREAM_STREAMS as usize)
    }

    fn stream(&self) -> Pooled {
        let lease = Lease(Some(Arc::clone(&self.streams)));
        Pooled { sender: Sender::Http2(self.sender.clone(), lease), address: self.address }
    }
}
