//! The answer on its way to the client. Its body holds the exchange, so the record closes when the body ends.

use super::Afterwards;
use super::content::{Content, ContentError};
use super::websocket::Joined;
use crate::exchange::Exchange;
use crate::fault::{self, Refusal};
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use standin_model::{Denial, DenyReason};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// An answer that is ready to be sent.
pub(super) struct Reply(Kind);

enum Kind {
    Streaming { response: Response<Incoming>, content: Content },
    Switching { response: Response<()>, websocket: Joined },
    Ours(Response<Bytes>),
}

/// The body of an answer.
pub(crate) struct ReplyBody {
    source: Source,
    ready: VecDeque<Frame<Bytes>>,
    /// Trailers have come: nothing follows them (RFC 9112 §7.1.2, RFC 9113 §8.1), and hyper does not ask.
    trailers_came: bool,
    exchange: Option<Exchange>,
}

enum Source {
    /// What we say ourselves, whole.
    Ours,
    /// What the origin says, scrubbed.
    Origin { body: Incoming, content: Box<Content> },
    /// Everything has been handed over to `ready`.
    Ended,
}

/// Why an answer ended before its end: it is the origin's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenOff {
    /// It hung up.
    #[error("the origin broke off")]
    Connection(#[from] hyper::Error),
    /// The policy has changed, or what its request took along was revoked.
    #[error("{0}")]
    Stopped(Denial),
    /// What it sent may not go on.
    #[error("the answer may not go on")]
    Content(#[from] ContentError),
}

impl BrokenOff {
    fn record(&self, exchange: &mut Exchange) {
        match self {
            Self::Connection(_) | Self::Content(ContentError::Coding(_)) => exchange.broken_off(fault::chain(self)),
            Self::Stopped(denial) => exchange.refused(&denial.clone().into()),
            Self::Content(found) => {
                exchange.refused(&Refusal::Denied(Denial::new(DenyReason::CannotScrub, found.to_string())));
            }
        }
    }
}

impl Reply {
    pub(super) fn streaming(response: Response<Incoming>, content: Content) -> Self {
        Self(Kind::Streaming { response, content })
    }

    /// What we say in the origin's place, or instead of what it said.
    pub(super) fn ours(response: Response<Bytes>) -> Self {
        Self(Kind::Ours(response))
    }

    pub(super) fn switching(response: Response<()>, websocket: Joined) -> Self {
        Self(Kind::Switching { response, websocket })
    }

    /// Hands the exchange over to the body (or to the WebSocket that follows).
    pub(super) fn into_response(self, mut exchange: Exchange, afterwards: &Afterwards) -> Response<ReplyBody> {
        match self.0 {
            Kind::Streaming { response, content } => response.map(|body| ReplyBody {
                source: Source::Origin { body, content: Box::new(content) },
                ready: VecDeque::new(),
                trailers_came: false,
                exchange: Some(exchange),
            }),
            Kind::Ours(response) => {
                exchange.answered_with(response.status().as_u16());
                response.map(|text| ReplyBody::text(text, Some(exchange)))
            }
            Kind::Switching { response, websocket } => {
                websocket.run(exchange, afterwards);
                response.map(|()| ReplyBody::text(Bytes::new(), None))
            }
        }
    }
}

impl ReplyBody {
    /// A body of our own.
    pub(crate) fn text(text: Bytes, exchange: Option<Exchange>) -> Self {
        let ready = if text.is_empty() { VecDeque::new() } else { VecDeque::from([Frame::data(text)]) };
        Self { source: Source::Ours, ready, trailers_came: false, exchange }
    }

    /// Takes what comes next from the origin into `ready`.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BrokenOff>> {
        let Source::Origin { body, content } = &mut self.source else {
            self.source = Source::Ended;
            return Poll::Ready(Ok(()));
        };
        if let Some(exchange) = &self.exchange {
            exchange.may_go_on().map_err(BrokenOff::Stopped)?;
        }
        if content.next(|clean| self.ready.push_back(Frame::data(clean)))? {
            if self.ready.is_empty() {
                cx.waker().wake_by_ref(); // much can be decoded to nothing: let others have their turn
                return Poll::Pending;
            }
            return Poll::Ready(Ok(()));
        }
        if !self.ready.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let give = |clean| self.ready.push_back(Frame::data(clean));
        let Poll::Ready(polled) = Pin::new(body).poll_frame(cx) else {
            // The origin may be waiting for the client's answer to what is held back.
            content.flush(give);
            return if self.ready.is_empty() { Poll::Pending } else { Poll::Ready(Ok(())) };
        };
        match polled.transpose()?.map(Frame::into_data) {
            Some(Ok(data)) => content.push(data, give),
            Some(Err(frame)) => {
                content.finish(give)?;
                if let Ok(mut trailers) = frame.into_trailers() {
                    self.trailers_came = true;
                    content.clean_trailers(&mut trailers);
                    self.ready.push_back(Frame::trailers(trailers));
                }
            }
            None => {
                content.finish(give)?;
                self.source = Source::Ended;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        loop {
            if let Some(frame) = this.ready.pop_front() {
                if let (Some(exchange), Some(data)) = (&mut this.exchange, frame.data_ref()) {
                    exchange.received(data.len());
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            if matches!(this.source, Source::Ended) {
                if let Some(mut exchange) = this.exchange.take() {
                    exchange.completed();
                }
                return Poll::Ready(None);
            }
            if let Err(error) = ready!(this.advance(cx)) {
                if let Some(exchange) = &mut this.exchange {
                    error.record(exchange);
                }
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty()
            && match &self.source {
                Source::Origin { .. } if self.trailers_came => true,
                Source::Origin { body, content } => body.is_end_stream() && !content.holds_back(),
                Source::Ours | Source::Ended => true,
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Origin { body, content } if content.keeps_length() => body.size_hint(),
            Source::Origin { .. } => SizeHint::default(),
            Source::Ours | Source::Ended => {
                SizeHint::with_exact(self.ready.iter().filter_map(Frame::data_ref).map(|d| d.len() as u64).sum())
            }
        }
    }
}

impl Drop for ReplyBody {
    /// hyper does not poll a body to its end when it can see the end: that too is completion.
    fn drop(&mut self) {
        if self.is_end_stream()
            && let Some(exchange) = &mut self.exchange
        {
            exchange.completed();
        }
    }
}
