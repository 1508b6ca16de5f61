//! Where a login's tokens are exchanged: the answer holds real ones, and they stay on the host.
//!
//! Before the endpoint is asked, [`take_turn`] waits until nobody else on this host asks it for the same login: a refresh token
//! is good once, and of two who show it the second is taken for a thief. If somebody has exchanged it meanwhile, the agent is
//! told what came of that. Afterwards [`capture`] reads the whole answer, has its tokens kept, and tells the agent
//! stand-ins; an answer that is not understood goes nowhere.

use super::authorize::Permit;
use super::bind::BoundRequest;
use super::gather::Whole;
use super::readable;
use super::reply::Reply;
use super::scrub::scrub_headers;
use super::upload::RequestBody;
use super::upstream::UpstreamResponse;
use crate::connection::Tunnel;
use crate::fault::Refusal;
use crate::keeper::{self, Asked, KeeperError, Next};
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use standin_model::limits::{MAX_TOKEN_ANSWER, TOKEN_DEADLINE};
use standin_model::{CredentialName, Denial, DenyReason, JsonPointer, Scheme, Slot};
use standin_wire::body::{self, Kind, Value};
use standin_wire::coding::Decoder;
use std::sync::Arc;

/// Ways to ask that are answered with tokens of the login and nothing else (RFC 6749 §4.1.3 and §6, RFC 8628 §3.4).
const REFRESH: &str = "refresh_token";
const LOG_IN: &[&str] = &["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"];

/// What else the agent learns of an answer's head: when to ask again, and what to tell the service's people. No cookies.
const RETURNED: &[HeaderName] = &[header::RETRY_AFTER, header::DATE];
const RETURNED_TOO: &[&str] = &["request-id", "x-request-id"];

/// What came of taking a turn.
pub(super) enum Taken {
    /// The origin is asked.
    Turn(Turn),
    /// The host has newer tokens than the agent.
    Told(Box<Reply>),
}

/// How the answer goes on.
pub(super) enum Turn {
    /// Its tokens are kept.
    Mine(Box<dyn keeper::Turn>),
    /// There are none in it.
    NotNeeded(NoTokens),
}

impl Turn {
    /// Whether others wait for it to be over.
    pub(super) fn is_waited_for(&self) -> bool {
        matches!(self, Self::Mine(_))
    }
}

/// Proof that an answer is not a token endpoint's.
pub(super) struct NoTokens(());

/// Takes the turn of a login, if this request exchanges its tokens.
pub(super) async fn take_turn(tunnel: &Tunnel, permit: &mut Permit, bound: &BoundRequest) -> Result<Taken, Refusal> {
    match permit.login().cloned() {
        None => Ok(Taken::Turn(Turn::NotNeeded(NoTokens(())))),
        Some(login) => Box::pin(wait_for_turn(tunnel, permit, bound, login)).await,
    }
}

async fn wait_for_turn(
    tunnel: &Tunnel,
    permit: &mut Permit,
    bound: &BoundRequest,
    login: Arc<str>,
) -> Result<Taken, Refusal> {
    if tunnel.scheme != Scheme::Https {
        return Err(Denial::new(DenyReason::Cleartext, "tokens are exchanged over TLS only; use https").into());
    }
    if permit.grants().is_empty() {
        let message =
            "no login of this kind is lent to this session, so none is made inside either; its owner can say --login";
        return Err(Denial::new(DenyReason::LoginRequest, message).into());
    }
    let RequestBody::Whole(whole) = &bound.body else {
        return Err(odd("a form or JSON is expected").into());
    };
    let asked = asked(whole)?;
    if let Asked::Refresh(token) = &asked {
        is_ours(tunnel, permit, token)?;
    }
    let keeper = tunnel.session.keeper.clone().ok_or_else(|| odd("this session keeps no login"))?;
    let begun = blocking(move || keeper.turn(&login, asked)).await?;
    tunnel.session.lend(begun.lent);
    permit.renew(tunnel);
    Ok(match begun.next {
        Next::Ask(turn) => Taken::Turn(Turn::Mine(turn)),
        Next::Tell { told, until_lent } => {
            drop(until_lent);
            Taken::Told(Box::new(tell(tunnel, StatusCode::OK, HeaderMap::new(), told)))
        }
    })
}

/// Waits for the answer's head: where others wait for it too, not as long as elsewhere.
pub(super) async fn in_time<T>(
    others_wait: bool,
    sent: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    if !others_wait {
        return sent.await;
    }
    let late = |late| Refusal::silent("the token endpoint did not answer in time", &late);
    tokio::time::timeout(TOKEN_DEADLINE, sent).await.map_err(late)?
}

/// Takes the tokens out of what the endpoint answered.
pub(super) async fn capture(
    tunnel: &Tunnel,
    turn: Box<dyn keeper::Turn>,
    answer: UpstreamResponse,
) -> Result<Reply, Refusal> {
    Box::pin(keep_and_tell(tunnel, turn, answer)).await
}

async fn keep_and_tell(
    tunnel: &Tunnel,
    turn: Box<dyn keeper::Turn>,
    answer: UpstreamResponse,
) -> Result<Reply, Refusal> {
    let status = answer.response.status();
    let (headers, text) = tokio::time::timeout(TOKEN_DEADLINE, whole_answer(answer))
        .await
        .map_err(|late| Refusal::silent("the token endpoint did not finish its answer", &late))??;
    if status.is_success() {
        let kept = blocking(move || turn.keep(&text)).await?;
        // Before the agent hears of it: from here on they are looked for in everything that comes back.
        tunnel.session.lend(kept.lent);
        drop(kept.until_lent);
        return Ok(tell(tunnel, StatusCode::OK, headers, kept.told));
    }
    if !status.is_client_error() && !status.is_server_error() {
        return Err(unavailable("the token endpoint answered with neither tokens nor an error").into());
    }
    turn.judge_error(&text).map_err(|error| unavailable(&error.0))?;
    Ok(tell(tunnel, status, headers, text.to_vec()))
}

/// What is asked for. A name that stands there twice is read in two ways.
fn asked(whole: &Whole) -> Result<Asked, Denial> {
    let kind = whole.kind.as_ref().ok_or_else(|| odd("a form or JSON is expected"))?;
    let field = |name: &str| {
        let slot = match kind {
            Kind::Form | Kind::Multipart(_) => Slot::Form(name.to_owned()),
            Kind::Json => {
                Slot::Json(JsonPointer::parse(&format!("/{name}")).expect("a name without escapes is one step"))
            }
        };
        match body::find(kind, &whole.data, &slot).map(|place| place.map(|place| place.value)) {
            Ok(Some(Value::Text(text))) => Ok(Some(text)),
            Ok(Some(Value::Nothing) | None) => Ok(None),
            Ok(Some(Value::Other)) => Err(odd("a field in it is no text")),
            Err(error) => Err(odd(&error.to_string())),
        }
    };
    if matches!(kind, Kind::Multipart(_)) {
        return Err(odd("a form or JSON is expected"));
    }
    let (grant, refresh) = (field("grant_type")?, field("refresh_token")?);
    match (grant.as_deref(), refresh) {
        (Some(REFRESH), Some(token)) => Ok(Asked::Refresh(token)),
        (Some(grant), None) if LOG_IN.contains(&grant) => Ok(Asked::LogIn),
        _ => Err(odd("its grant type is another, or its fields are not those of its grant type")),
    }
}

/// A refresh token that was not lent is somebody else's.
fn is_ours(tunnel: &Tunnel, permit: &Permit, token: &str) -> Result<(), Denial> {
    let vault = &permit.lent().vault;
    let name = vault.by_stand_in(token).map(|index| vault.name(index));
    let granted = |name: &CredentialName| permit.grants().iter().any(|id| permit.grant(*id).credential == *name);
    match name {
        Some(name) if granted(name) => tunnel.session.alarm.admits(name),
        Some(name) => {
            let message = format!("`{name}` is not what is exchanged for new tokens here");
            Err(Denial::new(DenyReason::WrongDestination, message).astray(name.clone()))
        }
        None => {
            let message = "the refresh token was not lent to this session";
            Err(Denial::new(DenyReason::ForeignCredential, message))
        }
    }
}

/// The fields that may be told, and the body without its codings.
async fn whole_answer(answer: UpstreamResponse) -> Result<(HeaderMap, Bytes), Refusal> {
    let codings = readable::codings(&answer.response, false, true)?;
    let (head, body) = answer.response.into_parts();
    let mut headers = HeaderMap::new();
    let returned = RETURNED.iter().cloned().chain(RETURNED_TOO.iter().copied().map(HeaderName::from_static));
    for name in returned.chain((!head.status.is_success()).then_some(header::CONTENT_TYPE)) {
        if let Some(value) = head.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let coded = collect(body).await?;
    if codings.is_empty() {
        return Ok((headers, coded));
    }
    let mut decoder = Decoder::new(&codings);
    let mut text = BytesMut::new();
    let unreadable = |_| unavailable("the token endpoint's answer cannot be decoded");
    decoder.push(coded);
    while let Some(piece) = decoder.next().map_err(unreadable)? {
        append(&mut text, &piece)?;
    }
    decoder.finish().map_err(unreadable)?;
    Ok((headers, text.freeze()))
}

async fn collect(mut body: Incoming) -> Result<Bytes, Refusal> {
    let mut text = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::upstream("the token endpoint broke off its answer", &error))?;
        if let Ok(data) = frame.into_data() {
            append(&mut text, &data)?;
        }
    }
    Ok(text.freeze())
}

fn append(text: &mut BytesMut, more: &[u8]) -> Result<(), Denial> {
    if text.len() + more.len() > MAX_TOKEN_ANSWER {
        return Err(unavailable("the token endpoint's answer is too long"));
    }
    text.extend_from_slice(more);
    Ok(())
}

/// An answer of ours, searched as every other one is.
fn tell(tunnel: &Tunnel, status: StatusCode, mut headers: HeaderMap, told: Vec<u8>) -> Reply {
    let lent = tunnel.session.lent();
    scrub_headers(&lent.scrubber, &mut headers);
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store")); // RFC 6749 §5.1
    let told = lent.scrubber.scrub_header(&told).unwrap_or(told);
    let mut response = Response::new(Bytes::from(told));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Reply::ours(response)
}

/// What waits for locks and writes files is done where nobody else waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeeperError> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| unavailable(&error.0).into()),
        Err(_) => Err(unavailable("the session is ending").into()),
    }
}

fn odd(why: &str) -> Denial {
    Denial::new(DenyReason::LoginRequest, format!("this request to exchange tokens is not understood: {why}"))
}

fn unavailable(why: &str) -> Denial {
    Denial::new(DenyReason::LoginUnavailable, why.to_owned())
}
