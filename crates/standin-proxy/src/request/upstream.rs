//! Sends an outbound request to the pinned addresses and waits for the head of the answer. The one call site of dialling.

use super::inject::Outbound;
use crate::connection::Tunnel;
use crate::exchange::{Exchange, SentBytes};
use crate::fault::Refusal;
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use standin_net::Need;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What came back, before scrubbing.
pub(crate) struct UpstreamResponse {
    pub(crate) response: Response<Incoming>,
    pub(crate) peer: SocketAddr,
    /// The client's side of a WebSocket, if one was asked for.
    pub(crate) upgrade: Option<OnUpgrade>,
    /// Whether the request was a `HEAD`: its answer has a length but no body.
    pub(crate) head: bool,
}

/// Sends the request.
pub(super) async fn send(
    tunnel: &Tunnel,
    outbound: Outbound,
    exchange: &Exchange,
) -> Result<UpstreamResponse, Refusal> {
    let need = if outbound.upgrade.is_some() { Need::Http1Alone } else { Need::Any };
    let head = outbound.request.method() == http::Method::HEAD;
    let sent = exchange.sent_bytes();
    let request = outbound.request.map(|body| CountedBody { body, sent });
    let sent = tunnel
        .session
        .upstreams
        .send(&tunnel.peer, tunnel.scheme, request, need)
        .await
        .map_err(|error| Refusal::upstream("the origin could not be reached or did not answer", &error))?;
    Ok(UpstreamResponse { response: sent.response, peer: sent.peer, upgrade: outbound.upgrade, head })
}

/// A request body that counts what has gone out.
pub(super) struct CountedBody {
    body: Incoming,
    sent: SentBytes,
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.sent.add(data.len());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
