//! The guard around an exchange: it closes with exactly one audit record, on every path out, `Drop` included.
//!
//! Room in the audit queue is reserved before anything happens ([`standin_audit::Ticket`]), so writing
//! the record later cannot fail or wait, and an audit store that takes no records stops all exchanges.

use crate::connection::{Destination, Tunnel};
use crate::fault::{Owner, Refusal};
use crate::request::UpstreamResponse;
use crate::session::{Ingress, Session};
use http::{Request, Version};
use standin_audit::{AuditClosed, Kind, Outcome, Record, Ticket, Verdict};
use standin_model::limits::MAX_RECORDED_TARGET;
use standin_model::{CredentialName, Scheme};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// An open exchange. Dropping it writes the record as it stands.
pub(crate) struct Exchange {
    open: Option<(Ticket, Box<Record>)>,
    started: Instant,
    sent: SentBytes,
}

/// Counts the bytes of a request body while it goes out.
#[derive(Clone, Default)]
pub(crate) struct SentBytes(Arc<AtomicU64>);

impl SentBytes {
    /// Adds to the count.
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Exchange {
    /// Opens the exchange of one request.
    pub(crate) async fn request<B>(tunnel: &Tunnel, request: &Request<B>) -> Result<Self, AuditClosed> {
        let mut exchange = Self::open(&tunnel.session, &tunnel.destination, Kind::Exchange).await?;
        exchange.record(|record| {
            record.protocol = if request.version() == Version::HTTP_2 { "h2" } else { "h1" };
            record.scheme = tunnel.scheme.as_str();
            record.method = Some(request.method().as_str().to_owned());
            record.target = Some(recorded_target(request.uri()));
        });
        Ok(exchange)
    }

    /// Opens the record of a connection that carried no request.
    pub(crate) async fn connection(session: &Session, destination: &Destination) -> Result<Self, AuditClosed> {
        Self::open(session, destination, Kind::Connection).await
    }

    async fn open(session: &Session, destination: &Destination, kind: Kind) -> Result<Self, AuditClosed> {
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
            },
            protocol: "raw",
            scheme: Scheme::Https.as_str(),
            host: destination.authority.host.to_string(),
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
        let open = Some((ticket, Box::new(record)));
        Ok(Self { open, started: Instant::now(), sent: SentBytes::default() })
    }

    /// Policy said yes by this rule.
    pub(crate) fn permitted(&mut self, rule: &Arc<str>) {
        self.record(|record| record.rule = Some(Arc::clone(rule)));
    }

    /// These credentials were put in.
    pub(crate) fn injected(&mut self, credentials: &[CredentialName]) {
        self.record(|record| record.credentials = credentials.to_vec());
    }

    /// The origin answered.
    pub(crate) fn answered(&mut self, answer: &UpstreamResponse) {
        self.record(|record| {
            record.status = Some(answer.response.status().as_u16());
            record.peer = Some(answer.peer);
        });
    }

    /// What was to happen did not.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.record(|record| match refusal {
            Refusal::Denied(denial) => {
                record.verdict = Verdict::Deny;
                record.reason = Some(denial.reason.code());
                record.detail = Some(denial.message.clone());
                record.outcome = Outcome::Denied;
            }
            Refusal::Fault(fault) => {
                record.outcome = match fault.owner {
                    Owner::Upstream => Outcome::UpstreamFailed,
                    Owner::Downstream => Outcome::DownstreamClosed,
                };
                record.detail = Some(fault.detail.clone());
            }
        });
    }

    /// The status of an answer that is ours.
    pub(crate) fn answered_with(&mut self, status: u16) {
        self.record(|record| record.status = Some(status));
    }

    /// The client got more of the answer.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.record(|record| record.bytes_in += bytes as u64);
    }

    /// The answer ended as it should. A refusal stays a refusal.
    pub(crate) fn completed(&mut self) {
        self.record(|record| {
            if record.outcome == Outcome::DownstreamClosed {
                record.outcome = Outcome::Completed;
            }
        });
    }

    /// The origin broke off in the middle of its answer.
    pub(crate) fn broken_off(&mut self, detail: String) {
        self.record(|record| {
            record.outcome = Outcome::UpstreamClosed;
            record.detail = Some(detail);
        });
    }

    /// The counter for what goes out.
    pub(crate) fn sent_bytes(&self) -> SentBytes {
        self.sent.clone()
    }

    /// It became a WebSocket.
    pub(crate) fn became_websocket(&mut self) {
        self.record(|record| record.protocol = "websocket");
    }

    fn record(&mut self, change: impl FnOnce(&mut Record)) {
        if let Some((_, record)) = &mut self.open {
            change(record);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some((ticket, mut record)) = self.open.take() {
            record.duration_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            record.bytes_out = self.sent.0.load(Ordering::Relaxed);
            ticket.write(record);
        }
    }
}

/// Path and query as the agent sent them (with stand-ins), cut to the limit.
fn recorded_target(uri: &http::Uri) -> String {
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() <= MAX_RECORDED_TARGET {
        return target.to_owned();
    }
    let mut end = MAX_RECORDED_TARGET;
    while !target.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &target[..end])
}

fn unix_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
