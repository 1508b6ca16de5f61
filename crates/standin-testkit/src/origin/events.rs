//! Server-sent events, as the APIs of models answer: each on its own, not all in one body.

use super::Body;
use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

/// A body of one frame an event. Between two it has nothing to give, which is when a server flushes: each event
/// leaves in a write of its own.
struct Events {
    left: vec::IntoIter<Bytes>,
    rested: bool,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.rested = !self.rested;
        if self.rested {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.next().map(|event| Ok(Frame::data(event))))
    }
}

/// An answer of these events: names and data.
pub(super) fn events(list: &[(&str, serde_json::Value)]) -> Response<Body> {
    let left: Vec<_> = list.iter().map(|(name, data)| format!("event: {name}\ndata: {data}\n\n").into()).collect();
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Events { left: left.into_iter(), rested: false }.boxed_unsync())
        .expect("our own headers are valid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn each_event_is_a_frame() {
        let mut body = events(&[("a", json!(1)), ("b", json!(2))]).into_body();
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        assert_eq!(frames, ["event: a\ndata: 1\n\n", "event: b\ndata: 2\n\n"]);
    }
}
