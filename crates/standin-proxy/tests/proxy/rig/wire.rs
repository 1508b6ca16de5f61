//! One side of a connection, written and read by hand.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A connection and what has been read of it ahead.
pub struct Wire {
    io: Io,
    ahead: Vec<u8>,
}

/// What carries it.
pub enum Io {
    Tls(Box<TlsStream<TcpStream>>),
    Clear(TcpStream),
}

impl Wire {
    pub fn tls(io: TlsStream<TcpStream>) -> Self {
        Self { io: Io::Tls(Box::new(io)), ahead: Vec::new() }
    }

    pub fn clear(io: TcpStream) -> Self {
        Self { io: Io::Clear(io), ahead: Vec::new() }
    }

    pub fn into_io(self) -> Io {
        assert!(self.ahead.is_empty(), "something was read that nobody will see");
        self.io
    }

    pub fn into_socket(self) -> TcpStream {
        match self.into_io() {
            Io::Clear(socket) => socket,
            Io::Tls(_) => panic!("in TLS"),
        }
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.io.write_all(bytes.as_ref()).await?;
        self.io.flush().await
    }

    /// The next message head, with its empty line.
    pub async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.ahead.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            let got = self.fill().await.unwrap();
            assert!(got > 0, "closed before the end of a head: {:?}", String::from_utf8_lossy(&self.ahead));
        }
    }

    /// The next bytes are these.
    pub async fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let got = self.exactly(expected.len()).await;
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(expected));
    }

    /// The next bytes, so many.
    pub async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length {
            let got = self.fill().await.unwrap();
            assert!(got > 0, "closed after {:?}", String::from_utf8_lossy(&self.ahead));
        }
        self.ahead.drain(..length).collect()
    }

    /// Some more bytes; none if the other side closed.
    pub async fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.ahead.is_empty() {
            self.ahead.reserve(64 * 1024);
            self.fill().await?;
        }
        Ok(std::mem::take(&mut self.ahead))
    }

    /// Everything until the connection ends, however it ends.
    pub async fn until_gone(&mut self) -> Vec<u8> {
        while self.fill().await.is_ok_and(|got| got > 0) {}
        std::mem::take(&mut self.ahead)
    }

    /// Says that nothing more will be sent (in TLS: `close_notify`).
    pub async fn shut(&mut self) {
        self.io.shutdown().await.unwrap();
    }

    /// Breaks off with a reset.
    pub fn reset(self) {
        self.socket().set_zero_linger().unwrap();
    }

    /// Breaks off without a word: in TLS that is a truncation.
    pub fn cut(self) {
        drop(self);
    }

    fn socket(&self) -> &TcpStream {
        match &self.io {
            Io::Tls(io) => io.get_ref().0,
            Io::Clear(io) => io,
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.io.read_buf(&mut self.ahead).await
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(io) => Pin::new(io).poll_read(cx, buf),
            Self::Clear(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(io) => Pin::new(io).poll_write(cx, buf),
            Self::Clear(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
            Self::Clear(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
            Self::Clear(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
