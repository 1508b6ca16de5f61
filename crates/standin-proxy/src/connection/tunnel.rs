//! What the connection phase yields: an admitted, pinned way to one destination.

use super::TunnelPermit;
use crate::in_force::InForce;
use crate::session::{Ingress, Session};
use http::uri;
use standin_model::{Authority, Denial, Scheme};
use standin_net::PinnedPeer;
use std::sync::Arc;

/// Where a client wants to go, and how it said so.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// The name (or literal) and port that was dialled.
    pub(crate) authority: Authority,
    /// How it was dialled.
    pub(crate) ingress: Ingress,
    /// The host as records spell it.
    pub(crate) host: Arc<str>,
}

impl Destination {
    pub(crate) fn new(authority: Authority, ingress: Ingress) -> Self {
        let host = authority.host.to_string().into();
        Self { authority, ingress, host }
    }
}

/// An admitted connection. It can only be made from a permit and a pinned peer.
pub(crate) struct Tunnel {
    /// What the stages share.
    pub(crate) session: Arc<Session>,
    /// Where it goes.
    pub(crate) destination: Destination,
    /// Whether the origin gets the request in TLS: as the client speaks, or always in reverse mode.
    pub(crate) scheme: Scheme,
    /// The destination as our requests to the origin spell it, and as most clients do.
    pub(crate) spelling: uri::Authority,
    /// The only addresses its requests may be sent to.
    pub(crate) peer: PinnedPeer,
    /// Whether tokens of a login may be exchanged there.
    pub(crate) exchanges_tokens: bool,
    permit: TunnelPermit,
}

impl Tunnel {
    pub(super) fn new(
        session: Arc<Session>,
        destination: Destination,
        permit: TunnelPermit,
        scheme: Scheme,
        peer: PinnedPeer,
    ) -> Self {
        let spelling = spelling(&destination, scheme);
        let Authority { host, port } = &destination.authority;
        // By rules of the catalogue, which are the same in every policy of a session.
        let exchanges_tokens = session.in_force().policy.exchanges_tokens_at(host, *port);
        Self { session, destination, scheme, spelling, peer, exchanges_tokens, permit }
    }

    /// The policy by which a request is to be decided: the one in force, if it admits the connection, too.
    pub(crate) fn in_force(&self) -> Result<Arc<InForce>, Denial> {
        self.permit.in_force(Some(&self.peer))
    }

    /// The rule that admitted the connection, for the record of one that is an exchange as a whole.
    pub(super) fn rule(&self) -> &Arc<str> {
        self.permit.rule()
    }
}

/// `host`, or `host:port` where the port is not the scheme's (RFC 9110 §4.2).
fn spelling(destination: &Destination, scheme: Scheme) -> uri::Authority {
    let Destination { authority, host, .. } = destination;
    let spelt = if authority.port == scheme.default_port() { host.to_string() } else { authority.to_string() };
    spelt.try_into().expect("a host and a port are an authority")
}
