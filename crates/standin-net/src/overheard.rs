//! A connection to an origin in HTTP/2 whose settings are listened to as they come in: at once, also where they change while
//! nothing is asked for.

use standin_wire::http2::{Allowed, Listener};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// The connection.
pub(crate) struct Overheard<S> {
    inner: S,
    listener: Listener,
    told: watch::Sender<Option<Allowed>>,
}

impl<S> Overheard<S> {
    /// Tells what the other side allows, once it is known.
    pub(crate) fn new(inner: S) -> (Self, watch::Receiver<Option<Allowed>>) {
        let (told, heard) = watch::channel(None);
        (Self { inner, listener: Listener::default(), told }, heard)
    }

    fn hear(&mut self, bytes: &[u8]) {
        let before = self.listener.allowed();
        self.listener.hear(bytes);
        let now = self.listener.allowed();
        if now != before {
            self.told.send_replace(now);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Overheard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.hear(&buf.filled()[before..]);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Overheard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
