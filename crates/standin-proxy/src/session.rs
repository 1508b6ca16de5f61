//! What every stage of one session shares.

use crate::alarm::{Alarm, AlarmParts};
use crate::connection::Cancels;
use crate::dns::FakeAddresses;
use crate::flights::Flights;
use crate::in_force::InForce;
use crate::keeper::TokenKeeper;
use standin_audit::AuditSink;
use standin_ca::SessionCa;
use standin_model::{CredentialName, Denial, ExchangeId, Principal, SessionCaps, SessionId, limits};
use standin_net::Upstreams;
use standin_policy::Policy;
use standin_ssh::Ssh;
use standin_vault::{Credential, SessionVault};
use standin_wire::scrub::{Scrubber, Tripwire};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::Semaphore;

/// One sandboxed run, as the data plane sees it. Built by the binary, shared by all connections.
pub struct Session {
    /// Who is asking.
    pub principal: Principal,
    /// Keeps the logins that are lent.
    pub keeper: Option<Arc<dyn TokenKeeper>>,
    /// Mints the leaves that the sandbox trusts.
    pub ca: SessionCa,
    /// The way out: resolver, connector and pool.
    pub upstreams: Upstreams,
    /// The user's SSH keys and known hosts, if a key is granted.
    pub ssh: Option<Ssh>,
    /// Where records go.
    pub audit: AuditSink,
    /// The names behind the addresses that our DNS gave out.
    pub names: FakeAddresses,
    /// The gateway's own addresses in the sandbox: a connection to one of them speaks to the proxy itself.
    pub gateway: Vec<IpAddr>,
    /// Bounds the decoders that run at once.
    pub(crate) decoders: Arc<Semaphore>,
    /// Bounds the bodies that are gathered at once, in units of [`crate::request::UNIT`] bytes.
    pub(crate) gathering: Arc<Semaphore>,
    /// Bounds the exchanges that are open at once.
    pub(crate) room: Arc<Semaphore>,
    /// Bounds the exchanges of tokens that are under way, which outlive their clients.
    pub(crate) settling: Arc<Semaphore>,
    /// Hears of stand-ins that go astray.
    pub(crate) alarm: Arc<Alarm>,
    /// Brings credentials from their sources.
    pub(crate) flights: Flights,
    /// Connections to databases whose statements may be cancelled.
    pub(crate) cancels: Cancels,
    /// The policy in force. Connections ask for it; what they carry goes on from the one that admitted them.
    in_force: RwLock<Arc<InForce>>,
    /// What is lent now.
    lent: RwLock<Arc<Lent>>,
    /// Held while something else is made of it.
    lending: Mutex<()>,
    exchanges: AtomicU64,
}

/// What a session lends, as of one moment. A request is judged by one of these, its answer by the one that is there when
/// it comes, and a WebSocket by the one that was there when it began.
pub struct Lent {
    /// Which stand-in stands for which secret.
    pub vault: SessionVault,
    /// Takes the secrets out of what comes back.
    pub scrubber: Scrubber,
    /// Finds stand-ins where none should be; its numbers are those of [`SessionVault::pairs`].
    pub tripwire: Tripwire,
}

/// The parts of a [`Session`] that the binary provides.
pub struct SessionParts {
    /// What may be asked, until another takes its place.
    pub policy: Policy,
    /// What is lent at first.
    pub vault: SessionVault,
    /// See [`Session::keeper`].
    pub keeper: Option<Arc<dyn TokenKeeper>>,
    /// See [`Session::ca`].
    pub ca: SessionCa,
    /// See [`Session::upstreams`].
    pub upstreams: Upstreams,
    /// See [`Session::ssh`].
    pub ssh: Option<Ssh>,
    /// See [`Session::audit`].
    pub audit: AuditSink,
    /// See [`Session::gateway`].
    pub gateway: Vec<IpAddr>,
    /// How much may be used.
    pub caps: SessionCaps,
    /// What is done about stand-ins that go astray.
    pub alarm: AlarmParts,
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
    /// It is our own, to see that it is refused.
    Gate,
}

impl Session {
    /// Puts the parts together and builds the automata that look for secrets and stand-ins.
    pub fn new(id: SessionId, parts: SessionParts) -> Arc<Self> {
        Arc::new(Self {
            principal: Principal { session: id },
            in_force: RwLock::new(InForce::new(parts.policy, parts.caps)),
            keeper: parts.keeper,
            ca: parts.ca,
            upstreams: parts.upstreams,
            ssh: parts.ssh,
            audit: parts.audit,
            names: FakeAddresses::default(),
            gateway: parts.gateway,
            decoders: Arc::new(Semaphore::new(limits::MAX_DECODERS)),
            gathering: Arc::new(Semaphore::new(limits::MAX_GATHERED_BYTES / crate::request::UNIT)),
            room: Arc::new(Semaphore::new(limits::MAX_EXCHANGES)),
            settling: Arc::new(Semaphore::new(limits::MAX_TOKEN_EXCHANGES)),
            alarm: Arc::new(Alarm::new(parts.alarm)),
            flights: Flights::default(),
            cancels: Cancels::default(),
            lent: RwLock::new(Arc::new(Lent::new(parts.vault))),
            lending: Mutex::default(),
            exchanges: AtomicU64::new(1),
        })
    }

    /// The policy in force.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another policy in force.
    pub(crate) fn put_in_force(&self, policy: Policy, caps: SessionCaps) {
        let mut last = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = last.replace(policy, caps) {
            *last = next;
        }
    }

    /// What is lent now.
    pub fn lent(&self) -> Arc<Lent> {
        Arc::clone(&self.lent.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lends these from now on, also in the place of others of their names. What is under way keeps to what was lent when
    /// it began.
    pub(crate) fn lend(&self, credentials: Vec<Credential>) {
        if credentials.is_empty() {
            return;
        }
        let _one_at_a_time = self.lending.lock().unwrap_or_else(PoisonError::into_inner);
        // Building the automata takes a while, and nobody waits for it.
        let lent = Arc::new(Lent::new(self.lent().vault.with(credentials)));
        *self.lent.write().unwrap_or_else(PoisonError::into_inner) = lent;
    }

    /// Waits until no tokens are exchanged any more.
    pub(crate) async fn settled(&self) {
        let all = u32::try_from(limits::MAX_TOKEN_EXCHANGES).expect("16 fits in 32 bits");
        drop(self.settling.acquire_many(all).await);
    }

    /// The number of the next record.
    pub fn next_exchange(&self) -> ExchangeId {
        ExchangeId(self.exchanges.fetch_add(1, Ordering::Relaxed))
    }
}

impl Lent {
    /// Builds the automata that look for secrets and stand-ins.
    fn new(vault: SessionVault) -> Self {
        let scrubber =
            Scrubber::new(vault.sought().map(|(secret, stand_in)| (secret.expose(), stand_in.as_str().as_bytes())));
        let tripwire = Tripwire::new(vault.pairs().map(|(_, stand_in)| stand_in.as_str().as_bytes()));
        Self { vault, scrubber, tripwire }
    }

    /// The credential of a stand-in that the tripwire found, by its number.
    pub(crate) fn name(&self, number: usize) -> Option<&CredentialName> {
        let (_, stand_in) = self.vault.pairs().nth(number)?;
        self.vault.by_stand_in(stand_in.as_str()).map(|index| self.vault.name(index))
    }

    /// A denial about the stand-in with that number.
    pub(crate) fn astray(&self, number: usize, denial: Denial) -> Denial {
        match self.name(number) {
            Some(name) => denial.astray(name.clone()),
            None => denial,
        }
    }
}
