//! The proxy for clients that were told to use SOCKS5 (RFC 1928): `CONNECT` to a name or an address, no listening, no UDP.
//!
//! What follows the reply is a connection like any other. Like `CONNECT`'s, the reply says only that the tunnel begins:
//! whether it may go anywhere is decided inside it, where the client can read why not.

use super::explicit::nowhere;
use super::{Destination, carry};
use crate::exchange::Exchange;
use crate::fault::Refusal;
use crate::io::Sniffed;
use crate::session::{Ingress, Session};
use bytes::{Buf, BytesMut};
use standin_model::limits::HEAD_DEADLINE;
use standin_model::{Authority, Denial, DenyReason};
pub(super) use standin_wire::socks::VERSION;
use standin_wire::socks::{self, MAX_MESSAGE, Method, Parsed, Reply, SocksError};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Why a client got no tunnel.
#[derive(Debug, thiserror::Error)]
enum NoTunnel {
    /// What it says is not taken.
    #[error(transparent)]
    Socks(#[from] SocksError),
    /// It hung up.
    #[error("the client hung up during its SOCKS handshake")]
    Io(#[from] io::Error),
    /// It stopped.
    #[error("the SOCKS handshake took longer than {HEAD_DEADLINE:?}")]
    Deadline,
}

/// Serves one SOCKS5 client, to the end of its tunnel.
pub(super) async fn serve(session: Arc<Session>, socket: TcpStream) {
    let mut client = Client { socket, ahead: BytesMut::with_capacity(MAX_MESSAGE) };
    let asked = tokio::time::timeout(HEAD_DEADLINE, client.handshake()).await;
    match asked.unwrap_or(Err(NoTunnel::Deadline)) {
        Ok(Authority { host, port }) => {
            let authority = Authority::new(session.names.named(host), port);
            let io = Sniffed::new(client.ahead.freeze(), client.socket);
            carry(session, Destination::new(authority, Ingress::Socks5), io).await;
        }
        Err(error) => record(&session, &error).await,
    }
}

/// A client and what has been read of it ahead.
struct Client {
    socket: TcpStream,
    ahead: BytesMut,
}

impl Client {
    async fn handshake(&mut self) -> Result<Authority, NoTunnel> {
        let method = match self.message(socks::greeting).await {
            Ok(method) => method,
            Err(error) => return self.refuse(&socks::NO_METHOD, error).await,
        };
        self.socket.write_all(&method.bytes()).await?;
        if method == Method::Password {
            self.message(socks::password).await?;
            self.socket.write_all(&socks::PASSWORD_TAKEN).await?;
        }
        match self.message(socks::request).await {
            Ok(authority) => {
                self.socket.write_all(&Reply::Succeeded.bytes()).await?;
                Ok(authority)
            }
            Err(NoTunnel::Socks(error)) => self.refuse(&error.reply().bytes(), error.into()).await,
            Err(error) => Err(error),
        }
    }

    /// The next message, whole.
    async fn message<T>(&mut self, parse: impl Fn(&[u8]) -> Parsed<T>) -> Result<T, NoTunnel> {
        loop {
            if let Some((value, length)) = parse(&self.ahead)? {
                self.ahead.advance(length);
                return Ok(value);
            }
            // A message that is not whole is shorter than the longest, so there is always room for more.
            let room = MAX_MESSAGE - self.ahead.len();
            if (&mut self.socket).take(room as u64).read_buf(&mut self.ahead).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Tells the client, if it is still there.
    async fn refuse(&mut self, reply: &[u8], error: NoTunnel) -> Result<Authority, NoTunnel> {
        self.socket.write_all(reply).await?;
        self.socket.shutdown().await?;
        Err(error)
    }
}

async fn record(session: &Session, error: &NoTunnel) {
    let denied = |reason, error: &SocksError| Refusal::Denied(Denial::new(reason, format!("over SOCKS, {error}")));
    let refusal = match error {
        NoTunnel::Socks(error @ SocksError::Authority(_)) => denied(DenyReason::MalformedHost, error),
        NoTunnel::Socks(error @ SocksError::Command) => denied(DenyReason::OpaqueProtocol, error),
        NoTunnel::Socks(error) => denied(DenyReason::Malformed, error),
        NoTunnel::Io(_) | NoTunnel::Deadline => Refusal::downstream("no SOCKS request came", error),
    };
    if let Ok(mut exchange) = Exchange::connection(session, &nowhere(Ingress::Socks5)).await {
        exchange.refused(&refusal);
    }
}
