//! One look-up, after policy; every address vetted; the result pinned.

use crate::vet::vet;
use standin_model::limits::RESOLVE_DEADLINE;
use standin_model::{AddressBlocks, Authority, Denial, DenyReason, Host};
use std::io;
use std::net::SocketAddr;

/// What the proxy's permit tells: proof that policy admits this destination.
pub trait MayResolve {
    /// What was admitted.
    fn authority(&self) -> &Authority;
    /// The addresses that are not public and admitted all the same.
    fn addresses(&self) -> &AddressBlocks;
}

/// An admitted destination with the vetted addresses it may be dialled at. There is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PinnedPeer {
    authority: Authority,
    addresses: Vec<SocketAddr>,
}

/// Why a destination has no address to dial.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The system's resolver failed.
    #[error("cannot resolve {host}")]
    LookUp {
        /// The name.
        host: Host,
        /// What the system said.
        source: io::Error,
    },
    /// The system's resolver took too long.
    #[error("no answer for {0} within {RESOLVE_DEADLINE:?}")]
    Deadline(Host),
    /// It answered without an address.
    #[error("{0} has no address")]
    NoAddress(Host),
    /// Every address was refused.
    #[error("{host} resolves to {address}, which is not public")]
    Refused {
        /// The name.
        host: Host,
        /// One of its addresses.
        address: SocketAddr,
        /// Why.
        reason: DenyReason,
    },
}

impl PinnedPeer {
    /// What was admitted.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Where it may be dialled.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl ResolveError {
    /// The refusal, if this is one; otherwise the fault is the resolver's.
    pub fn denial(&self) -> Option<Denial> {
        match self {
            Self::Refused { host, reason, .. } => Some(Denial::new(
                *reason,
                format!(
                    "{host} leads to an address that is not public; its owner can allow it with `addresses` in a rule"
                ),
            )),
            _ => None,
        }
    }
}

/// Looks an admitted destination up. Addresses that are refused are left out; if none remains, so is the destination.
pub(crate) async fn resolve(permit: &impl MayResolve) -> Result<PinnedPeer, ResolveError> {
    let authority = permit.authority();
    let found = look_up(authority).await?;
    let mut addresses = Vec::with_capacity(found.len());
    let mut refused = None;
    for address in found {
        match vet(address.ip(), permit.addresses()) {
            Ok(()) if !addresses.contains(&address) => addresses.push(address),
            Ok(()) => {}
            Err(reason) => refused = Some((address, reason)),
        }
    }
    match (addresses.is_empty(), refused) {
        (false, _) => Ok(PinnedPeer { authority: authority.clone(), addresses }),
        (true, Some((address, reason))) => Err(ResolveError::Refused { host: authority.host.clone(), address, reason }),
        (true, None) => Err(ResolveError::NoAddress(authority.host.clone())),
    }
}

async fn look_up(authority: &Authority) -> Result<Vec<SocketAddr>, ResolveError> {
    let Authority { host, port } = authority;
    let name = match host {
        Host::Ip(address) => return Ok(vec![SocketAddr::new(*address, *port)]),
        Host::Name(name) => name.as_str(),
    };
    match tokio::time::timeout(RESOLVE_DEADLINE, tokio::net::lookup_host((name, *port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(source)) => Err(ResolveError::LookUp { host: host.clone(), source }),
        Err(_) => Err(ResolveError::Deadline(host.clone())),
    }
}
