//! Connections to origins that outlive one exchange.

use crate::resolve::PinnedPeer;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::{http1, http2};
use standin_model::Scheme;
use standin_model::limits::{POOL_IDLE, POOL_IDLE_PER_AUTHORITY};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;

/// What is sent: any body, in a box.
pub(crate) type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// What connections are shared by: the thread, since a wake-up across threads costs more than a connection saves, the
/// pinned peer (name *and* addresses), and whether TLS protects them.
type Key = (ThreadId, PinnedPeer, Scheme);

/// A way to send one request.
pub(crate) enum Sender {
    /// A connection of its own.
    Http1(http1::SendRequest<Body>),
    /// A stream of a shared one.
    Http2(http2::SendRequest<Body>),
}

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
    http2: Option<(http2::SendRequest<Body>, SocketAddr)>,
    speaks: Speaks,
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
    pub(crate) fn place(&self, peer: &PinnedPeer, scheme: Scheme) -> Arc<Place> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry((std::thread::current().id(), peer.clone(), scheme)).or_default())
    }
}

impl Place {
    /// A connection that is idle (HTTP/1) or open (HTTP/2), if there is one.
    pub(crate) fn take(&self, http1_only: bool) -> Option<Pooled> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if !http1_only && let Some((sender, address)) = &connections.http2 {
            if !sender.is_closed() {
                return Some(Pooled { sender: Sender::Http2(sender.clone()), address: *address });
            }
            connections.http2 = None;
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

    /// Shares an HTTP/2 connection.
    pub(crate) fn share_http2(&self, sender: http2::SendRequest<Body>, address: SocketAddr) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).http2 = Some((sender, address));
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
