//! A stream that is over when its holder says so. russh serves a connection in a task of its own, which nothing ends: it waits
//! for a peer that neither closes nor reads, or that began to exchange keys anew and stopped there.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// Holds a stream; without it both its directions fail.
pub(crate) struct Leash(#[expect(dead_code, reason = "its end is what is heard")] oneshot::Sender<Infallible>);

/// A stream that is held.
pub(crate) struct Leashed<S> {
    inner: S,
    /// Nothing once its holder has let go.
    held: Option<oneshot::Receiver<Infallible>>,
}

/// A stream, and what holds it.
pub(crate) fn leashed<S>(inner: S) -> (Leashed<S>, Leash) {
    let (leash, held) = oneshot::channel();
    (Leashed { inner, held: Some(held) }, Leash(leash))
}

impl<S> Leashed<S> {
    /// Fails once nobody holds it. Both directions are polled by one task, so there is one to be woken.
    fn is_held(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.held.as_mut().is_some_and(|held| Pin::new(held).poll(cx).is_pending()) {
            return Ok(());
        }
        self.held = None;
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Leashed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.is_held(cx)?;
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Leashed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.is_held(cx)?;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_held(cx)?;
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_held(cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_held(cx)?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
