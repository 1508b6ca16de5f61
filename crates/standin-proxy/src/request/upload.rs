//! The request's body on its way out: counted against the cap, its trailers judged, and known to be at fault if it breaks off.

use super::gather::Whole;
use super::inject::TrailerRule;
use super::unread::Unread;
use crate::exchange::RequestSide;
use crate::fault::{self, Refusal};
use crate::usage::Spending;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use standin_model::Denial;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a request's body is when it goes out.
pub(super) enum RequestBody {
    /// It passes while it comes.
    Streaming(Unread),
    /// It is here.
    Whole(Whole),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Streaming(body) => Pin::new(body).poll_frame(cx),
            Self::Whole(whole) if !whole.data.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut whole.data)))))
            }
            Self::Whole(whole) => Poll::Ready(whole.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streaming(body) => body.is_end_stream(),
            Self::Whole(whole) => whole.data.is_empty() && whole.trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streaming(body) => body.size_hint(),
            // What has trailers has no length that can be told first (RFC 9112 §7.1.2).
            Self::Whole(whole) if whole.trailers.is_some() => SizeHint::default(),
            Self::Whole(whole) => SizeHint::with_exact(whole.data.len() as u64),
        }
    }
}

/// The body. Its share of the exchange keeps the record open until nothing more can go out.
pub(super) struct Upload {
    body: RequestBody,
    trailers: TrailerRule,
    spending: Spending,
    exchange: RequestSide,
    broken: Broken,
}

/// Why the body ended before its end, if it did: to the connection that carries it all reasons look alike.
#[derive(Clone, Default)]
pub(super) struct Broken(Arc<Mutex<Option<Refusal>>>);

impl Broken {
    /// The reason.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn by(&self, refusal: Refusal) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }
}

impl Upload {
    pub(super) fn new(
        body: RequestBody,
        trailers: TrailerRule,
        spending: Spending,
        exchange: RequestSide,
        broken: Broken,
    ) -> Self {
        Self { body, trailers, spending, exchange, broken }
    }

    /// Counts data, judges trailers.
    fn pass(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BoxError> {
        let passed = match frame.into_trailers() {
            Ok(trailers) => self.trailers.judge(trailers).map(Frame::trailers),
            Err(frame) => self.count(frame.data_ref().map_or(0, Bytes::len)).map(|()| frame),
        };
        passed.map_err(|denial| {
            let text = denial.to_string();
            self.exchange.denied(&denial);
            self.broken.by(Refusal::Denied(denial));
            text.into()
        })
    }

    fn count(&self, bytes: usize) -> Result<(), Denial> {
        self.spending.spend(bytes)?;
        self.exchange.sent(bytes);
        Ok(())
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.exchange.is_over(cx) {
            return Poll::Ready(Some(Err("the origin has answered in full and reads no more".into())));
        }
        let polled = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => Some(self.pass(frame)),
            Some(Err(error)) => {
                self.exchange.broken_off(fault::chain(&error));
                self.broken.by(Refusal::downstream("the request broke off", &error));
                Some(Err(error.into()))
            }
            None => None,
        };
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
