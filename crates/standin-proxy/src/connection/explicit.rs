//! The proxy for clients that were told to use one over HTTP: `CONNECT` and absolute-form requests on the gateway's address.
//!
//! Neither is trusted with more than a transparent connection: the name goes through the same parser, and the
//! same two phases follow.

use super::{Destination, admit_one, carry, reverse};
use crate::exchange::Exchange;
use crate::fault::Refusal;
use crate::request::{self, Afterwards, ReplyBody, Reset};
use crate::respond;
use crate::session::{Ingress, Session};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use standin_model::{Authority, AuthorityError, Denial, DenyReason, Host, Scheme};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Serves one connection to the proxy's own address, and the tunnel it may turn into.
pub(super) async fn serve(session: Arc<Session>, socket: TcpStream) {
    let afterwards = Afterwards::default();
    let service = service_fn(|request| {
        let (session, afterwards) = (Arc::clone(&session), afterwards.clone());
        async move { answer(session, &afterwards, request).await }
    });
    let served = request::http1_server().serve_connection(TokioIo::new(socket), service).with_upgrades().await;
    if let Err(error) = served {
        tracing::debug!(%error, "a proxy client's connection ended early");
        request::record_unreadable(&session, &nowhere(Ingress::Absolute), &error).await;
    }
    afterwards.run().await;
}

async fn answer(
    session: Arc<Session>,
    afterwards: &Afterwards,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Reset> {
    if request.method() == Method::CONNECT {
        Ok(connect(session, afterwards, request).await)
    } else if reverse::is_meant(request.uri()) {
        reverse::serve(&session, afterwards, request).await
    } else {
        absolute(&session, afterwards, request).await
    }
}

/// Opens a tunnel. Whether it may go anywhere is decided inside it, where the client can read why not.
async fn connect(
    session: Arc<Session>,
    afterwards: &Afterwards,
    mut request: Request<Incoming>,
) -> Response<ReplyBody> {
    let named = request.uri().authority().map_or("", |authority| authority.as_str());
    let authority = match Authority::parse(named, None) {
        Ok(authority) => authority,
        Err(error) => return malformed(&session, Ingress::Connect, error).await,
    };
    let authority = Authority::new(session.names.named(authority.host), authority.port);
    let upgrade = hyper::upgrade::on(&mut request);
    afterwards.set(async move {
        match upgrade.await {
            Ok(io) => carry(session, Destination::new(authority, Ingress::Connect), TokioIo::new(io)).await,
            Err(error) => tracing::debug!(%error, "a CONNECT client went away"),
        }
    });
    respond::plain(StatusCode::OK)
}

/// One request in clear to a named host.
async fn absolute(
    session: &Arc<Session>,
    afterwards: &Afterwards,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Reset> {
    let uri = request.uri();
    let named = match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(authority)) => authority.as_str(),
        _ => "", // https in clear names no destination
    };
    let authority = match Authority::parse(named, Some(80)) {
        Ok(authority) => authority,
        Err(error) => return Ok(malformed(session, Ingress::Absolute, error).await),
    };
    let destination = Destination::new(authority, Ingress::Absolute);
    match admit_one(session, &destination, Scheme::Http).await {
        Ok(tunnel) => request::serve(&Arc::new(tunnel), afterwards, request).await,
        Err(refusal) => Ok(refused(session, &destination, &refusal).await),
    }
}

async fn malformed(session: &Session, ingress: Ingress, error: AuthorityError) -> Response<ReplyBody> {
    let denial = Denial::new(DenyReason::MalformedHost, format!("this is a proxy, and {error}"));
    refused(session, &nowhere(ingress), &Refusal::Denied(denial)).await
}

/// What a record says of a client that named no destination.
pub(super) fn nowhere(ingress: Ingress) -> Destination {
    Destination::new(Authority::new(Host::from(Ipv4Addr::UNSPECIFIED), 0), ingress)
}

pub(super) async fn refused(session: &Session, destination: &Destination, refusal: &Refusal) -> Response<ReplyBody> {
    match Exchange::connection(session, destination).await {
        Ok(exchange) => respond::refusal(refusal, exchange),
        Err(_) => respond::audit_unavailable(),
    }
}
