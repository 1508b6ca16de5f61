//! What one record says.

use serde::Serialize;
use standin_model::{CredentialName, ExchangeId, SessionId};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

/// One exchange, or one connection that carried none.
#[derive(Clone, Debug)]
pub struct Record {
    /// The session it belongs to.
    pub session: SessionId,
    /// Its number in the session.
    pub id: ExchangeId,
    /// Exchange or connection.
    pub kind: Kind,
    /// When it began: microseconds since 1970-01-01 UTC.
    pub started_us: i64,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// How it came: `transparent`, `connect`, `absolute`, `socks5`, `reverse`, `reach`; from the host: `publish`, `reload`; our own: `gate`.
    pub ingress: &'static str,
    /// What was spoken: `h1`, `h2`, `websocket`, `raw`.
    pub protocol: &'static str,
    /// `http` or `https`; `tcp` for what nobody looked into.
    pub scheme: &'static str,
    /// The host that was dialled.
    pub host: Arc<str>,
    /// The port that was dialled.
    pub port: u16,
    /// The request's method.
    pub method: Option<Cow<'static, str>>,
    /// Path and query as the agent sent them: with stand-ins, never with secrets.
    pub target: Option<String>,
    /// Allowed or denied.
    pub verdict: Verdict,
    /// Why it was denied: a stable code.
    pub reason: Option<&'static str>,
    /// The rule that allowed it.
    pub rule: Option<Arc<str>>,
    /// The credentials that were put in, by name.
    pub credentials: Vec<CredentialName>,
    /// The status the agent got.
    pub status: Option<u16>,
    /// Bytes of the request's body.
    pub bytes_out: u64,
    /// Bytes of the response's body.
    pub bytes_in: u64,
    /// The address that was dialled for it: the origin's, or the parent proxy's, and then the detail says so.
    pub peer: Option<SocketAddr>,
    /// How it ended.
    pub outcome: Outcome,
    /// For the operator.
    pub detail: Option<String>,
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request and its response.
    Exchange,
    /// A connection that was refused or failed before a request.
    Connection,
    /// A port of the command's that was published on the host's loopback, with all that came there.
    Published,
    /// A policy that was to take the place of the session's.
    Reload,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It went out.
    Allow,
    /// It did not.
    Deny,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The whole answer went to the agent.
    Completed,
    /// Refused.
    Denied,
    /// The agent hung up first.
    DownstreamClosed,
    /// The origin broke off in the middle of its answer.
    UpstreamClosed,
    /// The origin could not be reached, or gave no answer.
    UpstreamFailed,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Connection => "connection",
            Self::Published => "published",
            Self::Reload => "reload",
        }
    }
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Denied => "denied",
            Self::DownstreamClosed => "downstream_closed",
            Self::UpstreamClosed => "upstream_closed",
            Self::UpstreamFailed => "upstream_failed",
        }
    }
}
