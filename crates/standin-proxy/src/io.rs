//! A byte stream whose first bytes have been looked at.

use bytes::{Buf, Bytes, BytesMut};
use standin_model::limits::SNIFF_BYTES;
use standin_wire::sniff::{self, Sniff};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What every stream of the data plane can do.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// A stream that gives back the bytes that were read ahead, then the rest.
pub(crate) struct Sniffed<S> {
    ahead: Bytes,
    inner: S,
}

impl<S> Sniffed<S> {
    /// A stream of which `ahead` has been read.
    pub(crate) fn new(ahead: Bytes, inner: S) -> Self {
        Self { ahead, inner }
    }
}

/// Reads until the protocol is known; the bytes stay in the stream.
pub(crate) async fn sniff<S: Stream>(mut inner: S) -> io::Result<(Sniff, Sniffed<S>)> {
    let mut ahead = BytesMut::with_capacity(SNIFF_BYTES);
    let kind = loop {
        match sniff::classify(&ahead) {
            Sniff::NeedMore if ahead.len() < SNIFF_BYTES => {}
            Sniff::NeedMore => break Sniff::Other,
            known => break known,
        }
        let room = SNIFF_BYTES - ahead.len();
        if (&mut inner).take(room as u64).read_buf(&mut ahead).await? == 0 {
            break Sniff::Other; // hung up before it said what it speaks
        }
    };
    Ok((kind, Sniffed { ahead: ahead.freeze(), inner }))
}

impl<S: AsyncRead + Unpin> AsyncRead for Sniffed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let n = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..n]);
        self.ahead.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sniffed<S> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_read_ahead_come_again() {
        for (input, expected) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], Sniff::Http),
            (&[0x16, 3, 1, 0, 5, 1, 2, 3][..], Sniff::Tls),
            (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], Sniff::Ssh),
            (&b""[..], Sniff::Other),
        ] {
            let io = tokio_test_stream(input);
            let (kind, mut stream) = sniff(io).await.unwrap();
            assert_eq!(kind, expected);
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, input);
        }
    }

    fn tokio_test_stream(input: &[u8]) -> impl Stream {
        tokio::io::join(std::io::Cursor::new(input.to_vec()), tokio::io::sink())
    }
}
