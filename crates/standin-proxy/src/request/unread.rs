//! A request's body as the client sends it. What of it nobody wants is read away for a while.
//!
//! An answer may come before its request is whole: a refusal, or the origin's. HTTP/1.1 then closes the connection under the
//! rest, HTTP/2 resets the stream (RFC 9113 §8.1), and clients that are still sending take that for the answer: curl 7.88
//! says that the stream broke, and a connection that is closed with bytes unread is reset (RFC 9112 §9.6). What a client has
//! under way is little. When it is read, the answer is heard, and the connection goes on.

use super::gather::hold;
use crate::fault::Refusal;
use crate::session::Session;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap};
use http::request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use standin_model::limits::{AHEAD_DEADLINE, UNREAD_BYTES, UNREAD_DEADLINE, UNREAD_IDLE};
use standin_model::{Denial, DenyReason};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// The body of a request.
pub(super) struct Unread {
    /// There until it is dropped.
    body: Option<Incoming>,
    /// What has been read of it already, and goes first. (In a box: it is rare.)
    ahead: Option<Box<Ahead>>,
    /// The client sends nothing before it is told to, and asking for the body tells it (RFC 9110 §10.1.1).
    is_held_back: bool,
}

/// The beginning of a body.
#[derive(Default)]
struct Ahead {
    data: Bytes,
    trailers: Option<HeaderMap>,
    /// Whether there is no more than this. (What is chunked does not tell otherwise.)
    is_all: bool,
    /// Its share of the memory for bodies that are gathered.
    memory: Option<OwnedSemaphorePermit>,
}

impl Unread {
    pub(super) fn new(head: &request::Parts, body: Incoming) -> Self {
        Self { body: Some(body), ahead: None, is_held_back: head.headers.contains_key(header::EXPECT) }
    }

    /// Reads until what has been read is enough, or more than `most` bytes, or all there is. It goes out all the same.
    pub(super) async fn read_ahead(
        &mut self,
        session: &Session,
        most: usize,
        enough: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Refusal> {
        timeout(AHEAD_DEADLINE, self.read_ahead_at_leisure(session, most, enough)).await.unwrap_or_else(|_| {
            let message = format!(
                "a rule asks what this body says, and it was not there within {} seconds",
                AHEAD_DEADLINE.as_secs()
            );
            Err(Denial::new(DenyReason::BodyTooSlow, message).into())
        })
    }

    async fn read_ahead_at_leisure(
        &mut self,
        session: &Session,
        most: usize,
        mut enough: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Refusal> {
        let mut ahead = Box::<Ahead>::default();
        let mut data = BytesMut::new();
        while data.len() <= most && !enough(&data) {
            let Some(frame) = self.frame().await else {
                ahead.is_all = true;
                break;
            };
            match frame.map_err(|error| Refusal::downstream("the request broke off", &error))?.into_data() {
                Ok(more) => {
                    hold(session, &mut ahead.memory, data.len() + more.len())?;
                    data.extend_from_slice(&more);
                }
                Err(frame) => ahead.trailers = frame.into_trailers().ok(),
            }
        }
        ahead.data = data.freeze();
        self.ahead = Some(ahead);
        Ok(())
    }

    /// What has been read of it already.
    pub(super) fn ahead(&self) -> Bytes {
        self.ahead.as_ref().map(|ahead| ahead.data.clone()).unwrap_or_default()
    }

    /// Whether all of it has been read.
    pub(super) fn is_read(&self) -> bool {
        self.ahead.as_ref().is_some_and(|ahead| ahead.is_all)
    }

    fn body(&self) -> &Incoming {
        self.body.as_ref().expect("it is there until it is dropped")
    }
}

impl Body for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_held_back = false;
        if let Some(ahead) = &mut self.ahead {
            let (data, trailers) = (std::mem::take(&mut ahead.data), ahead.trailers.take());
            if !data.is_empty() {
                ahead.trailers = trailers;
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            self.ahead = None;
            if let Some(trailers) = trailers {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        }
        let body = self.body.as_mut().expect("it is there until it is dropped");
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        match &self.ahead {
            Some(ahead) if !ahead.data.is_empty() || ahead.trailers.is_some() => false,
            Some(ahead) if ahead.is_all => true,
            _ => self.body().is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body().size_hint();
        let ahead = self.ahead.as_ref().map_or(0, |ahead| ahead.data.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + ahead);
        }
        hint.set_lower(hint.lower() + ahead);
        hint
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|rest| !rest.is_end_stream() && !self.is_held_back);
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(timeout(UNREAD_DEADLINE, read_away(rest)));
        }
    }
}

async fn read_away(mut rest: Incoming) {
    let mut bytes = 0;
    while bytes < UNREAD_BYTES
        && let Ok(Some(Ok(frame))) = timeout(UNREAD_IDLE, rest.frame()).await
    {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
}
