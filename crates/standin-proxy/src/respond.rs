//! The one place that speaks to the agent in our own name.
//!
//! Models act on what they read: a code, one sentence on why, and what would be allowed instead.

use crate::dialect::Dialect;
use crate::exchange::Exchange;
use crate::fault::{Fault, Owner, Refusal};
use crate::request::ReplyBody;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use standin_model::{Denial, DenyReason};

/// Names the reason for programs; the body says the same for readers.
const REASON: &str = "x-standin-reason";

/// The answer to a request that did not pass, with its record.
pub(crate) fn refusal(refusal: &Refusal, exchange: Exchange) -> Response<ReplyBody> {
    refusal_in(Dialect::Ours, refusal, exchange)
}

/// The same, as the client's libraries read errors.
pub(crate) fn refusal_in(dialect: Dialect, refusal: &Refusal, mut exchange: Exchange) -> Response<ReplyBody> {
    exchange.refused(refusal);
    let Answer { status, code, message } = Answer::to(refusal);
    let status = dialect.status(status);
    exchange.answered_with(status.as_u16());
    response(status, code, dialect, &message, Some(exchange))
}

/// The same to a client that is not waited for: the record is written before the answer has gone out.
pub(crate) fn refusal_on_record(refusal: &Refusal, mut exchange: Exchange) -> Response<ReplyBody> {
    exchange.refused(refusal);
    let Answer { status, code, message } = Answer::to(refusal);
    exchange.answered_with(status.as_u16());
    drop(exchange);
    response(status, code, Dialect::Ours, &message, None)
}

/// Nothing may happen without a record.
pub(crate) fn audit_unavailable() -> Response<ReplyBody> {
    let denial = Denial::new(DenyReason::AuditUnavailable, "the audit log takes no records, so nothing may leave");
    let Answer { status, code, message } = Answer::to(&Refusal::Denied(denial));
    response(status, code, Dialect::Ours, &message, None)
}

/// An answer of our own to a proxy command, not part of an exchange.
pub(crate) fn plain(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::text(Bytes::new(), None));
    *response.status_mut() = status;
    response
}

/// The same as bytes of an HTTP/1.1 message, for a client whose request is not read.
pub(crate) fn refusal_bytes(refusal: &Refusal) -> (u16, Vec<u8>) {
    let Answer { status, code, message } = Answer::to(refusal);
    let body = Dialect::Ours.body(code, &message);
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{REASON}: {code}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    (status.as_u16(), [head.as_bytes(), &body].concat())
}

/// The same for a client that is told in words.
pub(crate) fn in_words(refusal: &Refusal) -> String {
    let Answer { code, message, .. } = Answer::to(refusal);
    format!("{message} ({code})")
}

struct Answer {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Answer {
    fn to(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Denied(told) | Refusal::Unavailable { told, .. } => {
                Self::new(told.reason.status(), told.reason.code(), &told.message)
            }
            Refusal::Fault(Fault { owner: Owner::Upstream, message, .. }) => Self::new(502, "upstream.failed", message),
            Refusal::Fault(Fault { owner: Owner::SilentUpstream, message, .. }) => {
                Self::new(504, "upstream.silent", message)
            }
            Refusal::Fault(Fault { owner: Owner::Downstream, message, .. }) => {
                Self::new(400, "downstream.failed", message)
            }
        }
    }

    fn new(status: u16, code: &'static str, message: &str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        Self { status, code, message: format!("Standin: {message}") }
    }
}

fn response(
    status: StatusCode,
    code: &'static str,
    dialect: Dialect,
    message: &str,
    exchange: Option<Exchange>,
) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::text(dialect.body(code, message), exchange));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(dialect.content_type()));
    headers.insert(REASON, HeaderValue::from_static(code));
    response
}
