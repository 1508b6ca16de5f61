//! An origin that answers a request before it has read it may hang up at once. Then our next write fails while the answer
//! lies in the socket, and a client should look for it there (RFC 9112 §9.5). The HTTP library gives up at a write that
//! fails, so that failure is kept from it until there is nothing more to read.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket that is read to its end although the other side takes nothing more.
pub(crate) struct LastWords<S> {
    inner: S,
    /// Why nothing more is taken.
    refused: Option<ErrorKind>,
}

impl<S> LastWords<S> {
    /// Of this socket.
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, refused: None }
    }

    /// What is written to somebody who has hung up is gone, as it would be in the network.
    fn lost(&mut self, written: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
        match written {
            // A kernel that says either has nothing more to wait for: what follows is data, then an end or an error.
            Poll::Ready(Err(error)) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                self.refused = Some(error.kind());
                Poll::Ready(Ok(length))
            }
            written => written,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LastWords<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (before, room) = (buf.filled().len(), buf.remaining());
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        match (self.refused, &polled) {
            // The error was told to the write and the kernel has no second one: without this, an answer that ends with
            // its connection would seem whole.
            (Some(refused), Poll::Ready(Ok(()))) if buf.filled().len() == before && room > 0 => {
                Poll::Ready(Err(refused.into()))
            }
            _ => polled,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LastWords<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.lost(written, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.lost(written, bufs.iter().map(|buf| buf.len()).sum())
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// The other side says its last words and hangs up on what it has not read.
    #[tokio::test]
    async fn the_last_words_are_heard() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let ours = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (mut theirs, _) = listener.accept().await.expect("it was dialled");
        let mut ours = LastWords::new(ours);
        ours.write_all(b"more than they read").await.expect("they are there");
        theirs.readable().await.expect("it has come");
        theirs.write_all(b"no").await.expect("we are there");
        drop(theirs); // with something unread: a reset
        while ours.refused.is_none() {
            ours.write_all(b"more").await.expect("nothing is told to who writes");
        }
        let mut heard = [0; 2];
        ours.read_exact(&mut heard).await.expect("what came before the reset is there");
        assert_eq!(&heard, b"no");
        assert!(ours.read(&mut heard).await.is_err(), "a reset is no clean end");
    }
}
