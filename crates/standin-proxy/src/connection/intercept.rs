//! Terminates the client's TLS with a leaf for the admitted name, and settles on a protocol.

use super::Tunnel;
use super::face::Face;
use crate::fault::Refusal;
use crate::io::{Sniffed, Stream};
use crate::request::Protocol;
use standin_ca::Protocols;
use standin_model::limits::HEAD_DEADLINE;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

/// What we can speak, best first.
const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

/// The client's side of a tunnel, in clear for us.
pub(crate) enum ClientIo<S> {
    /// TLS ends here.
    Tls(Box<TlsStream<Sniffed<S>>>),
    /// There was none.
    Clear(Sniffed<S>),
}

/// Does the handshake (if there is one). Takes a [`Tunnel`], so policy and resolution came before.
pub(super) async fn terminate<S: Stream>(tunnel: &Tunnel, face: Face<S>) -> Result<(Protocol, ClientIo<S>), Refusal> {
    let start = match face {
        Face::Clear(io) | Face::Ssh(io) | Face::Postgres(io) | Face::Opaque(io) => {
            return Ok((Protocol::Http1, ClientIo::Clear(io)));
        }
        Face::Tls(start) => start,
    };
    let io = handshake(tunnel, *start, ALPN).await?;
    let protocol = match io.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    Ok((protocol, ClientIo::Tls(Box::new(io))))
}

/// The handshake with a leaf for the tunnel's host, and with these protocols.
pub(super) async fn handshake<S: Stream>(
    tunnel: &Tunnel,
    start: StartHandshake<Sniffed<S>>,
    protocols: Protocols,
) -> Result<TlsStream<Sniffed<S>>, Refusal> {
    let config = tunnel
        .session
        .ca
        .server_config(&tunnel.destination.authority.host, protocols)
        .map_err(|error| Refusal::downstream("no certificate could be made for this host", &error))?;
    match tokio::time::timeout(HEAD_DEADLINE, start.into_stream(config)).await {
        Ok(Ok(io)) => Ok(io),
        Ok(Err(error)) => Err(Refusal::downstream("the TLS handshake failed", &error)),
        Err(elapsed) => Err(Refusal::downstream("the TLS handshake took too long", &elapsed)),
    }
}

macro_rules! each {
    ($self:ident, $io:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tls($io) => $call,
            Self::Clear($io) => $call,
        }
    };
}

impl<S: Stream> AsyncRead for ClientIo<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        each!(self, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl<S: Stream> AsyncWrite for ClientIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tls(io) => io.is_write_vectored(),
            Self::Clear(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        each!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        each!(self, io => Pin::new(io).poll_shutdown(cx))
    }
}
