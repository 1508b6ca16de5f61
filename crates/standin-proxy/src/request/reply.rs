//! The answer on its way to the client. Its body holds the exchange, so the record closes when the body ends.

use super::Afterwards;
use super::scrub::scrub_headers;
use super::websocket::Joined;
use crate::exchange::Exchange;
use crate::fault;
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use standin_wire::scrub::{Scrubber, Stream};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// An answer that is ready to be sent.
pub(super) struct Reply(Kind);

enum Kind {
    Streaming { response: Response<Incoming>, stream: Stream, scrubber: Scrubber },
    Switching { response: Response<()>, websocket: Joined },
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
    Origin { body: Incoming, stream: Stream, scrubber: Scrubber },
    /// Everything has been handed over to `ready`.
    Ended,
}

impl Reply {
    pub(super) fn streaming(response: Response<Incoming>, stream: Stream, scrubber: Scrubber) -> Self {
        Self(Kind::Streaming { response, stream, scrubber })
    }

    pub(super) fn switching(response: Response<()>, websocket: Joined) -> Self {
        Self(Kind::Switching { response, websocket })
    }

    /// Hands the exchange over to the body (or to the WebSocket that follows).
    pub(super) fn into_response(self, exchange: Exchange, afterwards: &Afterwards) -> Response<ReplyBody> {
        match self.0 {
            Kind::Streaming { response, stream, scrubber } => response.map(|body| ReplyBody {
                source: Source::Origin { body, stream, scrubber },
                ready: VecDeque::new(),
                trailers_came: false,
                exchange: Some(exchange),
            }),
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

    /// Takes the next frame from the origin into `ready`.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        let Source::Origin { body, stream, scrubber } = &mut self.source else {
            self.source = Source::Ended;
            return Poll::Ready(Ok(()));
        };
        let polled = match Pin::new(body).poll_frame(cx) {
            Poll::Ready(polled) => polled,
            Poll::Pending => {
                // The origin may be waiting for the client's answer to what is held back.
                stream.flush(|clean| self.ready.push_back(Frame::data(clean)));
                return if self.ready.is_empty() { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
        };
        match polled {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => stream.push(data, |clean| self.ready.push_back(Frame::data(clean))),
                Err(frame) => {
                    stream.finish(|clean| self.ready.push_back(Frame::data(clean)));
                    if let Ok(mut trailers) = frame.into_trailers() {
                        self.trailers_came = true;
                        scrub_headers(scrubber, &mut trailers);
                        self.ready.push_back(Frame::trailers(trailers));
                    }
                }
            },
            Some(Err(error)) => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.broken_off(fault::chain(&error));
                }
                return Poll::Ready(Err(error));
            }
            None => {
                stream.finish(|clean| self.ready.push_back(Frame::data(clean)));
                self.source = Source::Ended;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
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
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty()
            && match &self.source {
                Source::Origin { .. } if self.trailers_came => true,
                Source::Origin { body, stream, .. } => body.is_end_stream() && !stream.holds_back(),
                Source::Ours | Source::Ended => true,
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Origin { body, scrubber, .. } if scrubber.preserves_length() => body.size_hint(),
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
