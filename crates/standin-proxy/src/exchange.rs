//! The guard around an exchange: it closes with exactly one audit record, on every path out, `Drop` included.
//!
//! Room in the audit queue is reserved before anything happens ([`standin_audit::Ticket`]), so writing
//! the record later cannot fail or wait, and an audit store that takes no records stops all exchanges.

use crate::alarm::Alarm;
use crate::connection::{Destination, Tunnel};
use crate::fault::{Owner, Refusal};
use crate::in_force::InForce;
use crate::request::UpstreamResponse;
use crate::session::{Ingress, Session};
use crate::usage::Spending;
use http::{Method, Request, Version};
use standin_audit::{AuditClosed, Kind, Outcome, Record, Ticket, Verdict};
use standin_model::limits::{MAX_EXCHANGES, MAX_RECORDED_TARGET};
use standin_model::{Authority, CredentialName, Denial, DenyReason, Host, Scheme};
use standin_net::Lease;
use standin_wire::ssh::GitCommand;
use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::OwnedSemaphorePermit;

/// An open exchange. Its record is written when it is dropped, and the request's body with it: an origin may
/// answer in full while the body still goes out, and what goes out is counted.
pub(crate) struct Exchange {
    open: Arc<Open>,
    /// The answer's place on its connection: free when the exchange is over.
    lease: Option<Lease>,
    /// The answer's end is the exchange's: on an HTTP/1.1 connection nobody waits for the rest of the request.
    ends_with_answer: bool,
}

/// The exchange as what carries its bytes sees it: the request's body, or either direction of a WebSocket.
#[derive(Clone)]
pub(crate) struct RequestSide(Arc<Open>);

struct Open {
    record: Mutex<Option<(Ticket, Box<Record>)>>,
    started: Instant,
    sent: AtomicU64,
    request: Mutex<RequestState>,
    /// Why the request's body ended before its end, if it did: to the connection that carries it all reasons look alike.
    broken: Mutex<Option<Refusal>>,
    /// The parent proxy it went through, which looked the name up.
    parent: Option<Authority>,
    /// Its place among the exchanges that may be open; a connection has one of another kind.
    place: Option<OwnedSemaphorePermit>,
    host: Arc<str>,
    alarm: Arc<Alarm>,
    /// The policy that decided it, once it said yes.
    by: OnceLock<Arc<InForce>>,
}

/// Whether more of the request may go out.
enum RequestState {
    /// It may; who sends it may wait for the client, and is woken when this changes.
    Open(Option<Waker>),
    /// The answer is over, and the request with it.
    Over,
}

impl RequestSide {
    /// Whether the request is over although it has not ended; if not, the task is woken when it is.
    pub(crate) fn is_over(&self, cx: &Context<'_>) -> bool {
        match &mut *self.0.request.lock().unwrap_or_else(PoisonError::into_inner) {
            RequestState::Open(waiting) => {
                match waiting {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waiting = Some(cx.waker().clone()),
                }
                false
            }
            RequestState::Over => true,
        }
    }

    /// More of the body goes out.
    pub(crate) fn sent(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The client got more.
    pub(crate) fn received(&self, bytes: usize) {
        self.0.change(|record| record.bytes_in += bytes as u64);
    }

    /// The client broke off in the middle of its request.
    pub(crate) fn broken_off(&self, detail: String) {
        self.0.change(|record| record.detail = Some(detail)); // the outcome is this one until another is known
    }

    /// A frame took this credential along.
    pub(crate) fn injected(&self, name: &CredentialName) {
        self.0.change(|record| {
            if !record.credentials.contains(name) {
                record.credentials.push(name.clone());
            }
        });
    }

    /// Whether this credential may be put in, and what was taken along before may still be used: not what was revoked meanwhile, and not
    /// where the policy has changed.
    pub(crate) fn may_go_on_with<'a>(&self, more: impl IntoIterator<Item = &'a CredentialName>) -> Result<(), Denial> {
        self.0.may_go_on_with(more)
    }

    /// Why nothing more goes out, for who waits for the answer.
    pub(crate) fn broken_by(&self, refusal: Refusal) {
        *self.0.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    /// The same, once.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.0.broken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The body may not go out after all.
    pub(crate) fn denied(&self, denial: &Denial) {
        self.0.deny(denial);
    }
}

impl Exchange {
    /// Opens the exchange of one request.
    pub(crate) async fn request<B>(tunnel: &Tunnel, request: &Request<B>) -> Result<Self, AuditClosed> {
        let parent = tunnel.peer.parent().cloned();
        let place = Arc::clone(&tunnel.session.room).try_acquire_owned().ok();
        let mut exchange = Self::open(&tunnel.session, &tunnel.destination, Kind::Exchange, parent, place).await?;
        exchange.record(|record| {
            record.protocol = if request.version() == Version::HTTP_2 { "h2" } else { "h1" };
            record.scheme = tunnel.scheme.as_str();
            record.method = Some(spelt(request.method()));
            record.target = Some(recorded_target(request.uri()));
        });
        Ok(exchange)
    }

    /// Opens the record of a connection that carried no request.
    pub(crate) async fn connection(session: &Session, destination: &Destination) -> Result<Self, AuditClosed> {
        Self::open(session, destination, Kind::Connection, None, None).await
    }

    /// Opens the exchange that a whole connection is, whatever it carries.
    pub(crate) async fn opaque(session: &Session, destination: &Destination) -> Result<Self, AuditClosed> {
        let place = Arc::clone(&session.room).try_acquire_owned().ok();
        let mut exchange = Self::open(session, destination, Kind::Exchange, None, place).await?;
        exchange.record(|record| record.scheme = "tcp");
        Ok(exchange)
    }

    /// Opens the exchange of one thing that is asked over SSH; its target is known when it was understood.
    pub(crate) async fn ssh(tunnel: &Tunnel, asked: &'static str) -> Result<Self, AuditClosed> {
        let parent = tunnel.peer.parent().cloned();
        let place = Arc::clone(&tunnel.session.room).try_acquire_owned().ok();
        let mut exchange = Self::open(&tunnel.session, &tunnel.destination, Kind::Exchange, parent, place).await?;
        exchange.record(|record| {
            (record.protocol, record.scheme) = ("ssh", "ssh");
            record.method = Some(asked.into());
        });
        Ok(exchange)
    }

    /// Opens the exchange that a connection to a PostgreSQL server is, or a wish to cancel what another one does.
    pub(crate) async fn postgres(tunnel: &Tunnel, method: &str, target: Option<String>) -> Result<Self, AuditClosed> {
        let parent = tunnel.peer.parent().cloned();
        let place = Arc::clone(&tunnel.session.room).try_acquire_owned().ok();
        let mut exchange = Self::open(&tunnel.session, &tunnel.destination, Kind::Exchange, parent, place).await?;
        exchange.record(|record| {
            (record.protocol, record.scheme) = ("postgres", "postgres");
            record.method = Some(method.to_owned().into());
            record.target = target.as_deref().map(cut);
        });
        Ok(exchange)
    }

    /// It is a service of git's, of this repository.
    pub(crate) fn names(&mut self, command: &GitCommand) {
        self.record(|record| {
            record.method = Some(command.service.as_str().into());
            record.target = Some(command.repository.as_str().to_owned());
        });
    }

    /// Whether the exchange may stay open. If not, its record is to be written at once: what waits for a client takes up
    /// room, and there is none for it.
    pub(crate) fn may_stay_open(&self) -> Result<(), Denial> {
        if self.open.place.is_some() {
            return Ok(());
        }
        let message = format!("{MAX_EXCHANGES} exchanges are open at once; let some of them end, or cancel them");
        Err(Denial::new(DenyReason::ExchangeCap, message))
    }

    async fn open(
        session: &Session,
        destination: &Destination,
        kind: Kind,
        parent: Option<Authority>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Self, AuditClosed> {
        let ticket = session.audit.reserve().await?;
        let record = Record {
            session: session.principal.session.clone(),
            id: session.next_exchange(),
            kind,
            started_us: unix_micros(),
            duration_us: 0,
            ingress: match destination.ingress {
                Ingress::Transparent => "transparent",
                Ingress::Connect => "connect",
                Ingress::Absolute => "absolute",
                Ingress::Socks5 => "socks5",
                Ingress::Reverse => "reverse",
                Ingress::Reach => "reach",
                Ingress::Gate => "gate",
            },
            protocol: "raw",
            scheme: Scheme::Https.as_str(),
            host: Arc::clone(&destination.host),
            port: destination.authority.port,
            method: None,
            target: None,
            verdict: Verdict::Allow,
            reason: None,
            rule: None,
            credentials: Vec::new(),
            status: None,
            bytes_out: 0,
            bytes_in: 0,
            peer: None,
            outcome: Outcome::DownstreamClosed,
            detail: None,
        };
        let record = Mutex::new(Some((ticket, Box::new(record))));
        let request = Mutex::new(RequestState::Open(None));
        let open = Open {
            record,
            started: Instant::now(),
            sent: AtomicU64::new(0),
            request,
            broken: Mutex::default(),
            parent,
            place,
            host: Arc::clone(&destination.host),
            alarm: Arc::clone(&session.alarm),
            by: OnceLock::new(),
        };
        Ok(Self { open: Arc::new(open), lease: None, ends_with_answer: false })
    }

    /// Opens the record of a policy that is to take another's place.
    pub(crate) async fn replacement(session: &Session, file: &str) -> Result<Self, AuditClosed> {
        let destination = Destination::new(Authority::new(Host::from(Ipv4Addr::UNSPECIFIED), 0), Ingress::Gate);
        let mut exchange = Self::open(session, &destination, Kind::Reload, None, None).await?;
        exchange.record(|record| {
            (record.ingress, record.protocol, record.scheme) = ("reload", "policy", "file");
            (record.host, record.target) = (Arc::from(""), Some(cut(file)));
        });
        Ok(exchange)
    }

    /// The policy stays as it was, or allows nothing.
    pub(crate) fn not_replaced(&mut self, reason: DenyReason, why: String) {
        self.open.deny(&Denial::new(reason, why));
    }

    /// This policy said yes, by this rule.
    pub(crate) fn permitted(&mut self, rule: &Arc<str>, by: &Arc<InForce>) {
        self.record(|record| record.rule = Some(Arc::clone(rule)));
        self.open.by.set(Arc::clone(by)).ok(); // it is decided once
    }

    /// Whether it may go on: not if policy says something else of its host now, or what it took along was revoked.
    pub(crate) fn may_go_on(&self) -> Result<(), Denial> {
        self.open.may_go_on_with([])
    }

    /// What its bytes are counted with, against the caps of the policy that decided it.
    pub(crate) fn spending(&self, host: &Host) -> Spending {
        let by = self.open.by.get().expect("nothing goes out before policy said yes");
        by.usage.spending(host)
    }

    /// These credentials were put in.
    pub(crate) fn injected(&mut self, mut credentials: Vec<CredentialName>) {
        for at in (1..credentials.len()).rev() {
            if credentials[..at].contains(&credentials[at]) {
                credentials.remove(at); // in two slots, it is one all the same
            }
        }
        self.record(|record| record.credentials = credentials);
    }

    /// The origin answered.
    pub(crate) fn answered(&mut self, answer: &mut UpstreamResponse) {
        self.lease = answer.lease.take();
        self.ends_with_answer = answer.response.version() != Version::HTTP_2;
        self.record(|record| {
            record.status = Some(answer.response.status().as_u16());
            record.peer = Some(answer.peer);
        });
    }

    /// What was to happen did not.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::Denied(denial) => self.open.deny(denial),
            Refusal::Unavailable { told, recorded } => self.open.deny(&Denial::new(told.reason, recorded.as_str())),
            Refusal::Fault(fault) => self.record(|record| {
                record.outcome = match fault.owner {
                    Owner::Upstream | Owner::SilentUpstream => Outcome::UpstreamFailed,
                    Owner::Downstream => Outcome::DownstreamClosed,
                };
                record.detail = Some(fault.detail.clone());
            }),
        }
    }

    /// This address was dialled for it.
    pub(crate) fn reached(&mut self, peer: SocketAddr) {
        self.record(|record| record.peer = Some(peer));
    }

    /// The status of an answer that is ours.
    pub(crate) fn answered_with(&mut self, status: u16) {
        self.record(|record| record.status = Some(status));
    }

    /// The client got more of the answer.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.record(|record| record.bytes_in += bytes as u64);
    }

    /// The answer ended as it should. A refusal stays a refusal, and who broke off before stays the one who did.
    pub(crate) fn completed(&mut self) {
        self.record(|record| {
            if undecided(record) {
                record.outcome = Outcome::Completed;
            }
        });
    }

    /// It ended as it should; this is how, or who ended it.
    pub(crate) fn closed(&mut self, detail: String) {
        self.record(|record| {
            if undecided(record) {
                record.outcome = Outcome::Completed;
                record.detail = Some(detail);
            }
        });
    }

    /// The origin broke off in the middle of its answer, unless we know better: a refusal stays a refusal, and a
    /// client that broke off its request was first.
    pub(crate) fn broken_off(&mut self, detail: String) {
        self.record(|record| {
            if undecided(record) {
                record.outcome = Outcome::UpstreamClosed;
                record.detail = Some(detail);
            }
        });
    }

    /// The client broke off; this is what is known about it.
    pub(crate) fn hung_up(&mut self, detail: String) {
        self.record(|record| record.detail = Some(detail)); // the outcome is this one until another is known
    }

    /// Another record says more than this one, which is not written.
    pub(crate) fn never_mind(self) {
        self.open.record.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The share of what carries the request's body.
    pub(crate) fn request_side(&self) -> RequestSide {
        RequestSide(Arc::clone(&self.open))
    }

    /// It became a WebSocket.
    pub(crate) fn became_websocket(&mut self) {
        self.record(|record| record.protocol = "websocket");
    }

    fn record(&mut self, change: impl FnOnce(&mut Record)) {
        self.open.change(change);
    }
}

impl Drop for Exchange {
    /// An origin that speaks HTTP/1.1 and has answered in full may keep its connection without reading the rest of the
    /// request, and then both sides would wait for each other (RFC 9112 §9.3). So the request ends here, and with it
    /// the connections that carry it.
    fn drop(&mut self) {
        if self.ends_with_answer {
            let mut request = self.open.request.lock().unwrap_or_else(PoisonError::into_inner);
            if let RequestState::Open(Some(waker)) = std::mem::replace(&mut *request, RequestState::Over) {
                waker.wake();
            }
        }
    }
}

impl Open {
    /// The one place where a denial goes on record, and where it is heard of that a stand-in went astray.
    fn deny(&self, denial: &Denial) {
        self.alarm.hear(denial, &self.host);
        self.change(|record| {
            record.verdict = Verdict::Deny;
            record.reason = Some(denial.reason.code());
            record.detail = Some(denial.message.clone());
            record.outcome = Outcome::Denied;
        });
    }

    fn may_go_on_with<'a>(&self, more: impl IntoIterator<Item = &'a CredentialName>) -> Result<(), Denial> {
        self.by.get().map_or(Ok(()), |by| by.still_holds(&self.host))?;
        if !self.alarm.has_revoked() {
            return Ok(());
        }
        more.into_iter().try_for_each(|name| self.alarm.admits(name))?;
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = record.iter().flat_map(|(_, record)| &record.credentials);
        taken.try_for_each(|name| self.alarm.admits(name))
    }

    fn change(&self, change: impl FnOnce(&mut Record)) {
        if let Some((_, record)) = &mut *self.record.lock().unwrap_or_else(PoisonError::into_inner) {
            change(record);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let open = self.record.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((ticket, mut record)) = open {
            record.duration_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            record.bytes_out = *self.sent.get_mut();
            // A client writes both, and a hundred thousand of its records would fill the caller's disk.
            if let Some(method) = record.method.as_mut().filter(|text| is_long(text)) {
                *method = cut(method).into();
            }
            if let Some(detail) = record.detail.as_mut().filter(|text| is_long(text)) {
                *detail = cut(detail);
            }
            if let (Some(parent), Some(peer)) = (&self.parent, record.peer) {
                // The address is the parent's; the one it chose for the name is not known here (THREATS 26).
                let via = format!("through the parent proxy {parent} at {peer}, which resolved the name");
                record.detail = Some(record.detail.take().map_or(via.clone(), |detail| format!("{detail}; {via}")));
            }
            ticket.write(record);
        }
    }
}

/// Whether the outcome is the one that every record begins with: nothing is known of it yet.
fn undecided(record: &Record) -> bool {
    record.outcome == Outcome::DownstreamClosed && record.detail.is_none()
}

/// A method as it is written; those that most requests have are written already.
fn spelt(method: &Method) -> Cow<'static, str> {
    match *method {
        Method::GET => "GET".into(),
        Method::POST => "POST".into(),
        Method::PUT => "PUT".into(),
        Method::PATCH => "PATCH".into(),
        Method::DELETE => "DELETE".into(),
        Method::HEAD => "HEAD".into(),
        _ => method.as_str().to_owned().into(),
    }
}

/// Path and query as the agent sent them (with stand-ins), cut to the limit.
fn recorded_target(uri: &http::Uri) -> String {
    cut(uri.path_and_query().map_or("", |target| target.as_str()))
}

fn is_long(text: &str) -> bool {
    text.len() > MAX_RECORDED_TARGET
}

fn cut(text: &str) -> String {
    if !is_long(text) {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_RECORDED_TARGET)])
}

fn unix_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
