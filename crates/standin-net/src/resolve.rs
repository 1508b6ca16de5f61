//! One look-up, after policy; every address vetted; the result pinned.

use crate::vet::vet;
use standin_model::limits::{RESOLVE_DEADLINE, VET_DEADLINE};
use standin_model::{AddressBlocks, Authority, Denial, DenyReason, Host, Name};
use std::future::Future;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

/// The host itself.
const LOCALHOST: &str = "localhost";

/// What the proxy's permit tells: proof that policy admits this destination.
pub trait MayResolve {
    /// What was admitted.
    fn authority(&self) -> &Authority;
    /// The addresses that are not public and admitted all the same.
    fn addresses(&self) -> &AddressBlocks;
}

/// Who knows the addresses of names. A session asks once per connection, after policy.
pub trait Resolver: Send + Sync {
    /// The addresses of a name, in the order in which they are to be tried. The port is not the resolver's to choose.
    fn look_up<'a>(&'a self, name: &'a Name) -> LookUp<'a>;
}

/// A look-up under way.
pub type LookUp<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// The host's resolver, as its other programs use it (`getaddrinfo`: hosts file, DNS, whatever is configured).
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn look_up<'a>(&'a self, name: &'a Name) -> LookUp<'a> {
        Box::pin(async move {
            // The function wants a port and gives it back; ours is added by `resolve`.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// An admitted destination with the vetted addresses it may be dialled at. There is no other way to make one, and it
/// costs nothing to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedPeer {
    /// The hash of what follows, made once: every request looks for its connections.
    mark: u64,
    authority: Arc<Authority>,
    addresses: Arc<[SocketAddr]>,
    /// The proxy that the addresses are of, if they are not the destination's.
    parent: Option<Arc<Authority>>,
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

/// Keys of its own in every process: a client may choose names, but not which of them collide.
static MARKS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Hash for PinnedPeer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.mark);
    }
}

impl PinnedPeer {
    fn new(authority: &Authority, addresses: Vec<SocketAddr>, parent: Option<&Authority>) -> Self {
        let mark = MARKS.hash_one((authority, &addresses, parent));
        let (authority, parent) = (Arc::new(authority.clone()), parent.cloned().map(Arc::new));
        Self { mark, authority, addresses: addresses.into(), parent }
    }

    /// What was admitted.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The parent proxy that is dialled in its place, and that looks it up.
    pub fn parent(&self) -> Option<&Authority> {
        self.parent.as_deref()
    }

    /// The same at one of its addresses, and at no other.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Option<Self> {
        let addresses = self.addresses.iter().copied().filter(|known| *known == address).collect();
        Some(Self { addresses, ..self.clone() }).filter(|peer| !peer.addresses.is_empty())
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
pub(crate) async fn resolve(resolver: &dyn Resolver, permit: &impl MayResolve) -> Result<PinnedPeer, ResolveError> {
    let authority = permit.authority();
    let found = look_up(resolver, authority).await?;
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
        (false, _) => Ok(PinnedPeer::new(authority, addresses, None)),
        (true, Some((address, reason))) => Err(ResolveError::Refused { host: authority.host.clone(), address, reason }),
        (true, None) => Err(ResolveError::NoAddress(authority.host.clone())),
    }
}

/// The way to an admitted destination through a parent proxy, which looks the name up itself. What we can see of its
/// addresses is vetted, and one that is refused refuses them all: which one the parent takes is not ours to say. What
/// we cannot see is the parent's to judge.
pub(crate) async fn resolve_through(
    resolver: &dyn Resolver,
    permit: &impl MayResolve,
    parent: &Authority,
) -> Result<PinnedPeer, ResolveError> {
    let authority = permit.authority();
    let seen = tokio::time::timeout(VET_DEADLINE, look_up(resolver, authority)).await;
    for address in seen.into_iter().flatten().flatten() {
        vet(address.ip(), permit.addresses()).map_err(|reason| ResolveError::Refused {
            host: authority.host.clone(),
            address,
            reason,
        })?;
    }
    let addresses = look_up(resolver, parent).await?;
    if addresses.is_empty() {
        return Err(ResolveError::NoAddress(parent.host.clone()));
    }
    Ok(PinnedPeer::new(authority, addresses, Some(parent)))
}

/// Whether this is the host itself, to which no parent proxy leads.
pub(crate) fn is_local(host: &Host) -> bool {
    host.as_name().is_some_and(|name| name.as_str() == LOCALHOST)
}

async fn look_up(resolver: &dyn Resolver, authority: &Authority) -> Result<Vec<SocketAddr>, ResolveError> {
    let Authority { host, port } = authority;
    let name = match host {
        Host::Ip(address) => return Ok(vec![SocketAddr::new(*address, *port)]),
        // Nobody is asked what this name means (RFC 6761 §6.3).
        Host::Name(_) if is_local(host) => {
            let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
            return Ok(loopback.map(|address| SocketAddr::new(address, *port)).to_vec());
        }
        Host::Name(name) => name,
    };
    match tokio::time::timeout(RESOLVE_DEADLINE, resolver.look_up(name)).await {
        Ok(Ok(found)) => Ok(found.into_iter().map(|address| SocketAddr::new(address, *port)).collect()),
        Ok(Err(source)) => Err(ResolveError::LookUp { host: host.clone(), source }),
        Err(_) => Err(ResolveError::Deadline(host.clone())),
    }
}
