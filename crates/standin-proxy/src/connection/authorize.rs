//! May this name and port be reached at all? The one call site of connection policy.

use super::Destination;
use crate::session::{Ingress, Session};
use crate::usage::Place;
use standin_model::{AddressBlocks, Authority, Denial};
use standin_net::MayResolve;
use standin_policy::ConnectionVerdict;
use std::sync::Arc;

/// Proof that policy and the caps admit a destination, and its place among those that may be open: what `resolve` and [`super::Tunnel`] take.
pub(crate) struct TunnelPermit {
    authority: Authority,
    addresses: AddressBlocks,
    rule: Arc<str>,
    _place: Place,
}

/// Asks policy about a destination. Nothing has been looked up, dialled or decrypted yet.
pub(super) fn connection(session: &Session, destination: &Destination) -> Result<TunnelPermit, Denial> {
    let Authority { host, port } = &destination.authority;
    let verdict = match destination.ingress {
        Ingress::Reach => session.policy.reach(*port),
        _ => session.policy.connection(host, *port),
    };
    match verdict {
        ConnectionVerdict::Allow { addresses, rule } => {
            let place = session.usage.connection(host)?;
            Ok(TunnelPermit { authority: destination.authority.clone(), addresses, rule, _place: place })
        }
        ConnectionVerdict::Deny(denial) => Err(denial),
    }
}

/// Whether SSH is spoken there at all.
pub(super) fn ssh(session: &Session, destination: &Destination) -> Result<(), Denial> {
    let Authority { host, port } = &destination.authority;
    session.policy.ssh(host, *port)
}

/// Whether PostgreSQL is spoken there at all.
pub(super) fn postgres(session: &Session, destination: &Destination) -> Result<(), Denial> {
    let Authority { host, port } = &destination.authority;
    session.policy.speaks_postgres(host, *port)
}

impl TunnelPermit {
    /// The rule that said yes, for the record.
    pub(super) fn rule(&self) -> &Arc<str> {
        &self.rule
    }
}

impl MayResolve for TunnelPermit {
    fn authority(&self) -> &Authority {
        &self.authority
    }

    fn addresses(&self) -> &AddressBlocks {
        &self.addresses
    }
}
