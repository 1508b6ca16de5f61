//! The way out: resolve once, vet every address, pin, dial, verify, pool.
//!
//! A [`PinnedPeer`] is the only thing that can be dialled, and only [`Upstreams::resolve`] makes one, from
//! something that [`MayResolve`]: the proxy implements that for its permit alone. So nothing is looked up
//! before policy has said yes, and nothing is dialled that was not vetted (THREATS 21, 25, 26).
//!
//! It knows nothing of request contents or of our own CA: upstream certificates are verified against the
//! host's trust store, as any client on the host would.

mod dial;
mod form;
mod identity;
mod last_words;
mod overheard;
mod parent;
mod patience;
mod pool;
mod resolve;
mod trust;
mod upstreams;
pub mod vet;

pub use dial::DialError;
pub use identity::{Identity, IdentityError};
pub use parent::Parent;
pub use pool::Lease;
pub use resolve::{LookUp, MayResolve, PinnedPeer, ResolveError, Resolver, SystemResolver};
pub use trust::{Trust, TrustError};
pub use upstreams::{Need, Pings, SendError, Sent, Upstreams, Way};
