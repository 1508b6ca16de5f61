//! What the connection phase yields: an admitted, pinned way to one destination.

use super::TunnelPermit;
use crate::session::{Ingress, Session};
use standin_model::{Authority, Scheme};
use standin_net::PinnedPeer;
use std::sync::Arc;

/// Where a client wants to go, and how it said so.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// The name (or literal) and port that was dialled.
    pub(crate) authority: Authority,
    /// How it was dialled.
    pub(crate) ingress: Ingress,
}

/// An admitted connection. It can only be made from a permit and a pinned peer.
pub(crate) struct Tunnel {
    /// What the stages share.
    pub(crate) session: Arc<Session>,
    /// Where it goes.
    pub(crate) destination: Destination,
    /// Whether the origin gets the request in TLS: as the client speaks, or always in reverse mode.
    pub(crate) scheme: Scheme,
    /// The only addresses its requests may be sent to.
    pub(crate) peer: PinnedPeer,
    _permit: TunnelPermit,
}

impl Tunnel {
    pub(super) fn new(
        session: Arc<Session>,
        destination: Destination,
        permit: TunnelPermit,
        scheme: Scheme,
        peer: PinnedPeer,
    ) -> Self {
        Self { session, destination, scheme, peer, _permit: permit }
    }
}
