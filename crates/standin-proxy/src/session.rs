//! What every stage of one session shares.

use crate::dns::FakeAddresses;
use crate::usage::Usage;
use standin_audit::AuditSink;
use standin_ca::SessionCa;
use standin_model::{ExchangeId, Principal, SessionCaps, SessionId, limits};
use standin_net::Upstreams;
use standin_policy::Policy;
use standin_vault::SessionVault;
use standin_wire::scrub::{Scrubber, Tripwire};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// One sandboxed run, as the data plane sees it. Built by the binary, shared by all connections.
pub struct Session {
    /// Who is asking.
    pub principal: Principal,
    /// What may be asked.
    pub policy: Policy,
    /// Which stand-in stands for which secret.
    pub vault: SessionVault,
    /// Takes the secrets out of what comes back.
    pub scrubber: Scrubber,
    /// Finds stand-ins where none should be.
    pub tripwire: Tripwire,
    /// Mints the leaves that the sandbox trusts.
    pub ca: SessionCa,
    /// The way out: resolver, connector and pool.
    pub upstreams: Upstreams,
    /// Where records go.
    pub audit: AuditSink,
    /// The names behind the addresses that our DNS gave out.
    pub names: FakeAddresses,
    /// The gateway's own addresses in the sandbox: a connection to one of them speaks to the proxy itself.
    pub gateway: Vec<IpAddr>,
    /// What has been used of the session's caps.
    pub(crate) usage: Arc<Usage>,
    /// Bounds the decoders that run at once.
    pub(crate) decoders: Arc<Semaphore>,
    /// Bounds the bodies that are gathered at once, in units of [`crate::request::UNIT`] bytes.
    pub(crate) gathering: Arc<Semaphore>,
    /// Bounds the exchanges that are open at once.
    pub(crate) room: Arc<Semaphore>,
    exchanges: AtomicU64,
}

/// The parts of a [`Session`] that the binary provides.
pub struct SessionParts {
    /// See [`Session::policy`].
    pub policy: Policy,
    /// See [`Session::vault`].
    pub vault: SessionVault,
    /// See [`Session::ca`].
    pub ca: SessionCa,
    /// See [`Session::upstreams`].
    pub upstreams: Upstreams,
    /// See [`Session::audit`].
    pub audit: AuditSink,
    /// See [`Session::gateway`].
    pub gateway: Vec<IpAddr>,
    /// How much may be used.
    pub caps: SessionCaps,
}

/// How a connection came to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// The client dialled the destination and was captured.
    Transparent,
    /// The client asked for a tunnel with `CONNECT` (RFC 9110 §9.3.6).
    Connect,
    /// The client sent a request in absolute form (RFC 9112 §3.2.2).
    Absolute,
    /// The client asked for a tunnel over SOCKS5 (RFC 1928).
    Socks5,
    /// The client sent a request in origin form to the gateway, and its path names the destination.
    Reverse,
    /// The client dialled a port of its own loopback that stands for the host's.
    Reach,
}

impl Session {
    /// Puts the parts together and builds the automata that look for secrets and stand-ins.
    pub fn new(id: SessionId, parts: SessionParts) -> Arc<Self> {
        let pairs = || parts.vault.iter().map(|c| (c.secret.expose(), c.stand_in.as_str().as_bytes()));
        Arc::new(Self {
            scrubber: Scrubber::new(pairs()),
            tripwire: Tripwire::new(pairs().map(|(_, stand_in)| stand_in)),
            principal: Principal { session: id },
            policy: parts.policy,
            vault: parts.vault,
            ca: parts.ca,
            upstreams: parts.upstreams,
            audit: parts.audit,
            names: FakeAddresses::default(),
            gateway: parts.gateway,
            usage: Usage::new(parts.caps),
            decoders: Arc::new(Semaphore::new(limits::MAX_DECODERS)),
            gathering: Arc::new(Semaphore::new(limits::MAX_GATHERED_BYTES / crate::request::UNIT)),
            room: Arc::new(Semaphore::new(limits::MAX_EXCHANGES)),
            exchanges: AtomicU64::new(1),
        })
    }

    /// The number of the next record.
    pub fn next_exchange(&self) -> ExchangeId {
        ExchangeId(self.exchanges.fetch_add(1, Ordering::Relaxed))
    }
}
