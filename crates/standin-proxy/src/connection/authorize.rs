//! May this name and port be reached at all? The one call site of connection policy.

use super::Destination;
use crate::session::Session;
use crate::usage::Place;
use standin_model::{AddressBlocks, Authority, Denial};
use standin_net::MayResolve;
use standin_policy::ConnectionVerdict;

/// Proof that policy and the caps admit a destination, and its place among those that may be open: what `resolve` and [`super::Tunnel`] take.
pub(crate) struct TunnelPermit {
    authority: Authority,
    addresses: AddressBlocks,
    _place: Place,
}

/// Asks policy about a destination. Nothing has been looked up, dialled or decrypted yet.
pub(super) fn connection(session: &Session, destination: &Destination) -> Result<TunnelPermit, Denial> {
    let Authority { host, port } = &destination.authority;
    match session.policy.connection(host, *port) {
        ConnectionVerdict::Allow { addresses, .. } => {
            let place = session.usage.connection(host)?;
            Ok(TunnelPermit { authority: destination.authority.clone(), addresses, _place: place })
        }
        ConnectionVerdict::Deny(denial) => Err(denial),
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
