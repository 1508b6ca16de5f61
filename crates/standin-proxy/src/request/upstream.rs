//! Sends an outbound request to the pinned addresses and waits for the head of the answer. The one call site of dialling.

use super::inject::Outbound;
use super::upload::Upload;
use super::websocket::Asked;
use crate::connection::Tunnel;
use crate::exchange::Exchange;
use crate::fault::Refusal;
use http::{Response, Version, header};
use hyper::body::Incoming;
use standin_net::{Lease, Need, SendError, Sent, Way};
use std::net::SocketAddr;

/// What came back, before scrubbing.
pub(crate) struct UpstreamResponse {
    pub(crate) response: Response<Incoming>,
    pub(crate) peer: SocketAddr,
    /// The answer's place on its connection, for the exchange to keep.
    pub(crate) lease: Option<Lease>,
    /// The client's side of a WebSocket, if one was asked for.
    pub(crate) upgrade: Option<Asked>,
    /// Whether the request was a `HEAD`: its answer has a length but no body.
    pub(crate) head: bool,
}

/// Sends the request. What needs no waiting is done before the future begins, which would hold on to what it was done with.
pub(super) fn send<'a>(
    tunnel: &'a Tunnel,
    outbound: Outbound,
    exchange: &Exchange,
) -> impl Future<Output = Result<UpstreamResponse, Refusal>> + Send + use<'a> {
    // An HTTP/1.1 client gets what it would have got without us, limits and quirks included.
    let need = match (&outbound.upgrade, outbound.client) {
        (Some(_), version) => Need::WebSocket { in_stream: version == Version::HTTP_2 },
        (None, Version::HTTP_2) => Need::Any,
        (None, _) => Need::Http1,
    };
    let head = outbound.request.method() == http::Method::HEAD;
    let Outbound { request, rest, identity, upgrade, .. } = outbound;
    let spending = exchange.spending(&tunnel.destination.authority.host);
    let side = exchange.request_side();
    let mut request = request.map(|body| Upload::new(body, rest, spending, side.clone()));
    async move {
        if request.body().is_looked_at() && !request.headers().contains_key(header::EXPECT) {
            request.body_mut().begin().await?;
        }
        let way = Way { scheme: tunnel.scheme, need, who: identity.as_ref() };
        let sent = tunnel.session.upstreams.send(&tunnel.peer, way, request).await;
        let Sent { response, peer, lease } = sent.map_err(|error| side.refusal().unwrap_or_else(|| fault(&error)))?;
        Ok(UpstreamResponse { response, peer, lease: Some(lease), upgrade, head })
    }
}

fn fault(error: &SendError) -> Refusal {
    match error {
        SendError::Silent { .. } => Refusal::silent("the origin took the request and did not begin to answer", error),
        _ => Refusal::upstream("the origin could not be reached or did not answer", error),
    }
}
