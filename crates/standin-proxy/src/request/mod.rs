//! The request phase: once per request, whatever protocol brought it.
//!
//! ```text
//! bind        the request is for this tunnel, and can be read in one way only -> BoundRequest
//! facts       what policy asks of a body, read ahead                          -> Seen
//! authorize   method, path and facts against policy                           -> Permit
//! gather      the body as a whole, where a grant has a slot in it             -> BoundRequest
//! turn        one at a time, where a login's tokens are exchanged
//! fetch       what it will carry, from its source, where that is due          -> Ready
//! inject      stand-in -> secret, in granted slots only; signatures anew      -> Outbound
//! upstream    to the pinned addresses, pooled                                 -> UpstreamResponse
//! capture     a login's new tokens stay on the host                           -> Reply
//! scrub       secret -> stand-in, streaming                                   -> Reply
//! record      the exchange closes when the reply's body ends, or is dropped
//! ```

mod afterwards;
mod authorize;
mod bind;
mod content;
mod facts;
mod fetch;
mod fields;
mod gather;
mod goes_on;
mod inject;
mod readable;
mod reply;
mod scrub;
mod signed;
mod tokens;
mod unread;
mod upload;
mod upstream;
mod websocket;

pub(crate) use afterwards::Afterwards;
pub(crate) use gather::UNIT;
pub(crate) use reply::ReplyBody;
pub(crate) use signed::endpoint;
pub(crate) use upstream::UpstreamResponse;

use crate::connection::{Destination, Tunnel};
use crate::dialect::Dialect;
use crate::exchange::Exchange;
use crate::fault::{self, Refusal};
use crate::io::Stream;
use crate::respond;
use crate::session::Session;
use goes_on::GoesOn;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use standin_model::{Denial, DenyReason, limits};
use std::error::Error as _;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokens::{Taken, Turn};

/// What a client speaks inside a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// RFC 9112.
    Http1,
    /// RFC 9113.
    Http2,
}

/// Instead of an answer, the stream of HTTP/2 ends with the code with which the origin ended its own: some say that the request
/// may be sent again, others how (RFC 9113 §8.7).
#[derive(Debug, thiserror::Error)]
#[error("the origin reset its stream")]
pub(crate) struct Reset(#[source] h2::Error);

/// Serves every request of one tunnel, and the WebSocket it may turn into, until the client hangs up.
pub(crate) async fn serve_tunnel<S: Stream>(tunnel: Arc<Tunnel>, protocol: Protocol, io: S) {
    let afterwards = Afterwards::default();
    // The name was looked up for it, so a connection that asks for nothing is on record, too.
    let Ok(mut silent) = Exchange::connection(&tunnel.session, &tunnel.destination).await else {
        return; // no record, no service
    };
    silent.hung_up("it asked for nothing".to_owned());
    let silent = Mutex::new(Some(silent));
    let service = service_fn(|request| {
        let (tunnel, afterwards) = (Arc::clone(&tunnel), afterwards.clone());
        if let Some(silent) = silent.lock().unwrap_or_else(PoisonError::into_inner).take() {
            silent.never_mind();
        }
        async move { serve(&tunnel, &afterwards, request).await }
    });
    let io = TokioIo::new(io);
    let ended = match protocol {
        Protocol::Http1 => http1_server().serve_connection(io, service).with_upgrades().await,
        Protocol::Http2 => {
            // In a box: on its way through the HTTP library it is moved some sixteen times.
            let boxed = service_fn(|request| Box::pin(service.call(request)));
            http2_server().serve_connection(io, boxed).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "the client's connection ended early");
        if is_the_clients(&error)
            && let Some(silent) = silent.into_inner().unwrap_or_else(PoisonError::into_inner)
        {
            silent.never_mind(); // the record of what could not be read says more
        }
        record_unreadable(&tunnel.session, &tunnel.destination, &error).await;
    }
    afterwards.run().await;
}

/// What the HTTP library refused to read began no exchange: a request in HTTP/1.1, or frames for which it ended an HTTP/2
/// connection. It got the library's answer, and gets a record.
pub(crate) async fn record_unreadable(session: &Session, destination: &Destination, error: &hyper::Error) {
    if !is_the_clients(error) {
        return;
    }
    if let Ok(mut exchange) = Exchange::connection(session, destination).await {
        let message = format!("what was sent cannot be read: {}", fault::chain(error));
        exchange.refused(&Refusal::Denied(Denial::new(DenyReason::Malformed, message)));
    }
}

/// Whether a connection ended for what its client sent on it.
fn is_the_clients(error: &hyper::Error) -> bool {
    let http2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    error.is_parse() || http2.is_some_and(h2::Error::is_library)
}

/// Serves one request. Whatever happens, there is an answer and exactly one record.
///
/// Where tokens are exchanged it goes on without its client: a refresh token that was used is worth nothing any more, and the
/// new one is in the answer.
pub(crate) async fn serve(
    tunnel: &Arc<Tunnel>,
    afterwards: &Afterwards,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Reset> {
    if !tunnel.exchanges_tokens {
        return serve_here(tunnel, afterwards, request).await;
    }
    // In a box, as whatever is rare on the way of a request: what waits in it takes up room in all of them.
    Box::pin(serve_to_its_end(tunnel, afterwards, request)).await
}

async fn serve_to_its_end(
    tunnel: &Arc<Tunnel>,
    afterwards: &Afterwards,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Reset> {
    let place = Arc::clone(&tunnel.session.settling).acquire_owned().await;
    let (tunnel, afterwards) = (Arc::clone(tunnel), afterwards.clone());
    let exchange = async move {
        let answer = serve_here(&tunnel, &afterwards, request).await;
        drop(place);
        answer
    };
    GoesOn::new(exchange).await
}

async fn serve_here(
    tunnel: &Tunnel,
    afterwards: &Afterwards,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Reset> {
    let in_stream = request.version() == Version::HTTP_2;
    let Ok(mut exchange) = Exchange::request(tunnel, &request).await else {
        return Ok(respond::audit_unavailable());
    };
    if let Err(denial) = exchange.may_stay_open() {
        return Ok(respond::refusal_on_record(&Refusal::Denied(denial), exchange));
    }
    let dialect = Dialect::of(tunnel, &request);
    match run(tunnel, request, &mut exchange).await {
        Ok(reply) => Ok(reply.into_response(exchange, afterwards)),
        Err(refusal) => match refusal.reset_by_origin() {
            Some(reason) if in_stream => {
                exchange.refused(&refusal);
                Err(Reset(reason.into()))
            }
            _ => Ok(respond::refusal_in(dialect, &refusal, exchange)),
        },
    }
}

/// The request phase proper.
async fn run(tunnel: &Tunnel, request: Request<Incoming>, exchange: &mut Exchange) -> Result<reply::Reply, Refusal> {
    let mut bound = bind::bind(tunnel, request)?;
    let (by, seen) = facts::read(tunnel, &mut bound).await?;
    let mut permit = authorize::request(tunnel, by, &bound, &seen)?;
    drop(seen);
    exchange.permitted(permit.rule(), permit.by());
    let bound = gather::gather(tunnel, &permit, bound).await?;
    let turn = match tokens::take_turn(tunnel, &mut permit, &bound).await? {
        Taken::Told(reply) => {
            exchange.closed("answered on the host, where somebody has exchanged these tokens meanwhile".to_owned());
            return Ok(*reply);
        }
        Taken::Turn(turn) => turn,
    };
    let ready = fetch::fetch(tunnel, &mut permit, &bound).await?;
    exchange.may_go_on()?; // what was waited for may have taken a while
    let mut outbound = inject::inject(tunnel, &permit, ready, bound)?;
    exchange.injected(outbound.take_credentials());
    let mut response = tokens::in_time(turn.is_waited_for(), pin!(upstream::send(tunnel, outbound, exchange))).await?;
    exchange.answered(&mut response);
    match turn {
        Turn::Mine(turn) => tokens::capture(tunnel, turn, response).await,
        Turn::NotNeeded(none) => scrub::scrub(tunnel, &permit, none, response),
    }
}

/// The HTTP/1 face towards the client: strict, and with header names as the origin wrote them. How many fields a head may have is
/// left to the library, which reads a hundred without taking memory for them from the heap, and more than that only so.
pub(crate) fn http1_server() -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .preserve_header_case(true)
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_DEADLINE)
        .max_buf_size(limits::MAX_HEAD_BYTES);
    server
}

/// The HTTP/2 face towards the client. What the library bounds without being told: frames of a head (CVE-2024-27316), the
/// overhead of small DATA, and one answer to a PING or SETTINGS before the next frame is read (RFC 9113 §10.5).
fn http2_server() -> http2::Builder<TokioExecutor> {
    let mut server = http2::Builder::new(TokioExecutor::new());
    server
        .timer(TokioTimer::new())
        .enable_connect_protocol() // RFC 8441: a WebSocket in a stream
        .max_concurrent_streams(limits::MAX_H2_STREAMS)
        .max_pending_accept_reset_streams(limits::H2_UNSEEN_RESETS)
        .max_local_error_reset_streams(limits::H2_ERRORS)
        .initial_stream_window_size(limits::H2_STREAM_WINDOW)
        .initial_connection_window_size(limits::H2_CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(limits::MAX_HEAD_BYTES).expect("128 KiB fits in 32 bits"));
    server
}
