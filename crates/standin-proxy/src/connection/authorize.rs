//! May this name and port be reached at all? The one call site of connection policy.

use super::Destination;
use crate::in_force::InForce;
use crate::session::{Ingress, Session};
use crate::usage::Place;
use standin_model::{AddressBlocks, Authority, Denial};
use standin_net::vet::vet;
use standin_net::{MayResolve, PinnedPeer};
use standin_policy::ConnectionVerdict;
use std::sync::Arc;

/// Proof that policy and the caps admit a destination, and its place among those that may be open: what `resolve` and [`super::Tunnel`] take.
pub(crate) struct TunnelPermit {
    /// The policy that said yes.
    by: Arc<InForce>,
    ingress: Ingress,
    authority: Authority,
    addresses: AddressBlocks,
    rule: Arc<str>,
    _place: Place,
}

/// Asks policy about a destination. Nothing has been looked up, dialled or decrypted yet.
pub(super) fn connection(session: &Session, destination: &Destination) -> Result<TunnelPermit, Denial> {
    let (by, Destination { authority, ingress, .. }) = (session.in_force(), destination);
    let (addresses, rule) = ask(&by, authority, *ingress)?;
    let place = by.usage.connection(&authority.host)?;
    Ok(TunnelPermit { by, ingress: *ingress, authority: authority.clone(), addresses, rule, _place: place })
}

fn ask(
    rules: &InForce,
    Authority { host, port }: &Authority,
    ingress: Ingress,
) -> Result<(AddressBlocks, Arc<str>), Denial> {
    let verdict = match ingress {
        Ingress::Reach => rules.policy.reach(*port),
        _ => rules.policy.connection(host, *port),
    };
    match verdict {
        ConnectionVerdict::Allow { addresses, rule } => Ok((addresses, rule)),
        ConnectionVerdict::Deny(denial) => Err(denial),
    }
}

/// Whether SSH is spoken there at all.
pub(super) fn ssh(session: &Session, destination: &Destination) -> Result<(), Denial> {
    let Authority { host, port } = &destination.authority;
    session.in_force().policy.ssh(host, *port)
}

/// Whether PostgreSQL is spoken there at all.
pub(super) fn postgres(session: &Session, destination: &Destination) -> Result<(), Denial> {
    let Authority { host, port } = &destination.authority;
    session.in_force().policy.speaks_postgres(host, *port)
}

impl TunnelPermit {
    /// The policy in force now, if it admits the destination as the one before did: at the addresses that it was pinned to, too.
    pub(super) fn in_force(&self, peer: Option<&PinnedPeer>) -> Result<Arc<InForce>, Denial> {
        let now = self.by.now();
        if !Arc::ptr_eq(&now, &self.by) {
            let (allowed, _) = ask(&now, &self.authority, self.ingress)?;
            // Behind a parent proxy the addresses are that one's.
            let mut pinned = peer.filter(|peer| peer.parent().is_none()).into_iter().flat_map(PinnedPeer::addresses);
            let refused = pinned.find_map(|address| vet(address.ip(), &allowed).err());
            if let Some(reason) = refused {
                let message = format!("{} leads to an address that is not allowed any more", self.authority.host);
                return Err(Denial::new(reason, message));
            }
        }
        Ok(now)
    }

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
