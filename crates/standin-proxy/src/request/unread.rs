//! A request's body as the client sends it. What of it nobody wants is read away for a while.
//!
//! An answer may come before its request is whole: a refusal, or the origin's. HTTP/1.1 then closes the connection under the
//! rest, HTTP/2 resets the stream (RFC 9113 §8.1), and clients that are still sending take that for the answer: curl 7.88
//! says that the stream broke, and a connection that is closed with bytes unread is reset (RFC 9112 §9.6). What a client has
//! under way is little. When it is read, the answer is heard, and the connection goes on.

use bytes::Bytes;
use http::header;
use http::request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use standin_model::limits::{UNREAD_BYTES, UNREAD_DEADLINE, UNREAD_IDLE};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// The body of a request.
pub(super) struct Unread {
    /// There until it is dropped.
    body: Option<Incoming>,
    /// The client sends nothing before it is told to, and asking for the body tells it (RFC 9110 §10.1.1).
    is_held_back: bool,
}

impl Unread {
    pub(super) fn new(head: &request::Parts, body: Incoming) -> Self {
        Self { body: Some(body), is_held_back: head.headers.contains_key(header::EXPECT) }
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
        let body = self.body.as_mut().expect("it is there until it is dropped");
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
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
