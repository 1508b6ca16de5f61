//! The request's body on its way out: counted against the cap, its trailers judged, and known to be at fault if it breaks off.

use super::inject::TrailerRule;
use crate::exchange::RequestSide;
use crate::fault::{self, Refusal};
use crate::usage::Spending;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use standin_model::Denial;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body. Its share of the exchange keeps the record open until nothing more can go out.
pub(super) struct Upload {
    body: Incoming,
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
        body: Incoming,
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
