//! How long an origin may say nothing.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is known of a request's body while the head of its answer is waited for.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<State>);

#[derive(Default)]
struct State {
    frames: AtomicU64,
    client_is_slow: AtomicBool,
}

/// A body that tells how it fares.
pub(crate) struct Watched<B> {
    body: B,
    progress: Progress,
}

impl Progress {
    /// This body is the one.
    pub(crate) fn watch<B>(&self, body: B) -> Watched<B> {
        Watched { body, progress: self.clone() }
    }

    /// Ends when nothing has gone out for `patience` (at the latest after twice that), and it was not the client who
    /// held it up: a client may take its time over its request.
    pub(crate) async fn silence(&self, patience: Duration) {
        loop {
            let before = self.0.frames.load(Ordering::Relaxed);
            tokio::time::sleep(patience).await; // the deadline itself
            let sent = self.0.frames.load(Ordering::Relaxed) != before;
            if !sent && !self.0.client_is_slow.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.progress.0.client_is_slow.store(polled.is_pending(), Ordering::Relaxed);
        if polled.is_ready() {
            self.progress.0.frames.fetch_add(1, Ordering::Relaxed);
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
