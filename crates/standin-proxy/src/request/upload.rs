//! The request's body on its way out: looked at, counted against the cap, and known to be at fault if it breaks off.

use super::gather::Whole;
use super::inject::{Progress, Rest};
use super::signed::{SignedBody, Unverified};
use super::unread::Unread;
use crate::exchange::RequestSide;
use crate::fault::Refusal;
use crate::usage::Spending;
use bytes::Bytes;
use h2::Reason;
use http_body::{Body, Frame, SizeHint};
use standin_model::Denial;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Nothing more goes out. In HTTP/2 the library tells the origin the code that it finds in the source.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct Stopped {
    why: String,
    source: h2::Error,
}

/// What a request's body is when it goes out.
pub(super) enum RequestBody {
    /// It passes while it comes.
    Streaming(Unread),
    /// It is here. (In a box, as the other that is rare: every request has room for one.)
    Whole(Box<Whole>),
    /// It passes while it comes, if it is what was signed.
    Signed(Box<SignedBody>),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Unverified;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unverified>>> {
        match &mut *self {
            Self::Streaming(body) => Pin::new(body).poll_frame(cx).map_err(Unverified::Broken),
            Self::Signed(body) => body.poll(cx),
            Self::Whole(whole) if !whole.data.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut whole.data)))))
            }
            Self::Whole(whole) => Poll::Ready(whole.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streaming(body) => body.is_end_stream(),
            Self::Signed(body) => body.is_over(),
            Self::Whole(whole) => whole.data.is_empty() && whole.trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streaming(body) => body.size_hint(),
            Self::Signed(body) => body.size(),
            // What has trailers has no length that can be told first (RFC 9112 §7.1.2).
            Self::Whole(whole) if whole.trailers.is_some() => SizeHint::default(),
            Self::Whole(whole) => SizeHint::with_exact(whole.data.len() as u64),
        }
    }
}

/// The body. Its share of the exchange keeps the record open until nothing more can go out.
pub(super) struct Upload {
    body: RequestBody,
    rest: Rest,
    /// Its beginning, which has been looked at.
    begun: Option<Frame<Bytes>>,
    spending: Spending,
    exchange: RequestSide,
}

impl Upload {
    pub(super) fn new(body: RequestBody, rest: Rest, spending: Spending, exchange: RequestSide) -> Self {
        Self { body, rest, begun: None, spending, exchange }
    }

    /// Whether its beginning is looked at before anything goes out.
    pub(super) fn is_looked_at(&self) -> bool {
        self.rest.looks()
    }

    /// Looks at the beginning of the body, which in most requests is all of it, before anything goes out. It has to be on its
    /// way: a body without a length may be one whose client waits for the answer first.
    pub(super) async fn begin(&mut self) -> Result<(), Refusal> {
        if self.is_looked_at() && self.body.size_hint().exact().is_some() {
            self.begun = poll_fn(|cx| self.poll_judged(cx)).await.transpose()?;
        }
        Ok(())
    }

    /// What comes next and may go out.
    fn poll_judged(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Refusal>>> {
        loop {
            match self.rest.next() {
                Ok(Progress::Passes(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Progress::Busy) => {
                    cx.waker().wake_by_ref(); // a little can unfold to much: let others have their turn
                    return Poll::Pending;
                }
                Ok(Progress::Idle) => {}
                Err(denial) => return Poll::Ready(Some(Err(denial.into()))),
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose() {
                Ok(frame) => frame,
                Err(Unverified::Refused(denial)) => return Poll::Ready(Some(Err(denial.into()))),
                Err(Unverified::Broken(error)) => {
                    return Poll::Ready(Some(Err(Refusal::downstream("the request broke off", &error))));
                }
            };
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => self.rest.push(data),
                Some(Err(frame)) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    let judged = self.rest.judge_trailers(trailers).map(Frame::trailers);
                    return Poll::Ready(Some(judged.map_err(Refusal::from)));
                }
                None => return Poll::Ready(None),
            }
        }
    }

    /// Counts what goes out.
    fn pass(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Refusal> {
        self.count(frame.data_ref().map_or(0, Bytes::len))?;
        Ok(frame)
    }

    /// Notes why nothing more goes out.
    fn stop(&self, refusal: Refusal) -> Stopped {
        let (why, reset) = match &refusal {
            Refusal::Denied(denial) | Refusal::Unavailable { told: denial, .. } => {
                self.exchange.denied(denial);
                (denial.to_string(), None)
            }
            Refusal::Fault(fault) => {
                self.exchange.broken_off(fault.detail.clone());
                (fault.detail.clone(), fault.reset)
            }
        };
        self.exchange.broken_by(refusal);
        // Nobody has made a mistake that the origin should know of: it is not needed any more (RFC 9113 §7).
        Stopped { why, source: reset.unwrap_or(Reason::CANCEL).into() }
    }

    fn count(&self, bytes: usize) -> Result<(), Denial> {
        // What was put into the head is worth nothing once it is revoked, and what follows is sent with it.
        self.exchange.may_go_on_with([])?;
        self.spending.spend(bytes)?;
        self.exchange.sent(bytes);
        Ok(())
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Stopped;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Stopped>>> {
        if self.exchange.is_over(cx) {
            let why = "the origin has answered in full and reads no more".to_owned();
            return Poll::Ready(Some(Err(Stopped { why, source: Reason::NO_ERROR.into() })));
        }
        let next = match self.begun.take() {
            Some(frame) => Some(Ok(frame)),
            None => ready!(self.poll_judged(cx)),
        };
        let passed = next.map(|frame| frame.and_then(|frame| self.pass(frame)));
        Poll::Ready(passed.map(|frame| frame.map_err(|refusal| self.stop(refusal))))
    }

    fn is_end_stream(&self) -> bool {
        self.begun.is_none() && self.rest.is_idle() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let begun = self.begun.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + begun);
        }
        hint.set_lower(hint.lower() + begun);
        hint
    }
}
