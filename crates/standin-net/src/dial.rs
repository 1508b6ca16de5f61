//! TCP and TLS to a pinned peer.

use crate::last_words::LastWords;
use crate::parent::Parent;
use crate::resolve::PinnedPeer;
use crate::trust::{ClientConfigs, TrustError};
use crate::upstreams::{Need, Way};
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use standin_model::limits::{DIAL_DEADLINE, TCP_PROBE_INTERVAL, TCP_PROBES};
use standin_model::{Authority, CredentialName, Host, Scheme};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long one address is tried before the next one is tried beside it (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);

/// A connection to an origin.
pub(crate) enum UpstreamIo {
    /// In TLS, verified.
    Tls(Box<TlsStream<LastWords<TcpStream>>>),
    /// In clear.
    Clear(LastWords<TcpStream>),
}

/// What was reached.
pub(crate) struct Dialled {
    pub(crate) io: UpstreamIo,
    pub(crate) address: SocketAddr,
    /// Whether the origin chose HTTP/2.
    pub(crate) http2: bool,
}

/// Why an origin was not reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No address answered.
    #[error("cannot connect to {authority} at {address}")]
    Connect {
        /// What was dialled.
        authority: Authority,
        /// The last address tried.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The handshake failed, or the certificate is not good for the name.
    #[error("the TLS handshake with {authority} failed")]
    Tls {
        /// What was dialled.
        authority: Authority,
        /// What the TLS library said.
        source: io::Error,
    },
    /// The parent proxy was reached and opened no tunnel.
    #[error("the parent proxy opened no tunnel to {authority}")]
    Parent {
        /// What it was asked for.
        authority: Authority,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took too long.
    #[error("{0} was not reached within {DIAL_DEADLINE:?}")]
    Deadline(Authority),
    /// Nobody can be believed.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// Dials a pinned peer, and nothing else.
pub(crate) async fn dial(
    peer: &PinnedPeer,
    Way { scheme, need, who }: Way<'_>,
    configs: &ClientConfigs,
    parent: Option<&Parent>,
) -> Result<Dialled, DialError> {
    let authority = peer.authority();
    let reach = async {
        match reach(peer, scheme, need != Need::Any, who, configs, parent).await {
            // An origin may speak HTTP/2 only (RFC 7301 §3.2).
            Err(DialError::Tls { source, .. }) if need != Need::Any && speaks_no_http1(&source) => {
                reach(peer, scheme, false, who, configs, parent).await
            }
            reached => reached,
        }
    };
    tokio::time::timeout(DIAL_DEADLINE, reach).await.unwrap_or_else(|_| Err(DialError::Deadline(authority.clone())))
}

async fn reach(
    peer: &PinnedPeer,
    scheme: Scheme,
    http1: bool,
    who: Option<&CredentialName>,
    configs: &ClientConfigs,
    parent: Option<&Parent>,
) -> Result<Dialled, DialError> {
    let authority = peer.authority();
    let (mut socket, address) = connect(peer).await?;
    if let Some(parent) = parent.filter(|_| peer.parent().is_some()) {
        let refused = |source| DialError::Parent { authority: authority.clone(), source };
        socket = parent.tunnel(socket, authority).await.map_err(refused)?;
    }
    let socket = LastWords::new(socket);
    if scheme == Scheme::Http {
        return Ok(Dialled { io: UpstreamIo::Clear(socket), address, http2: false });
    }
    let tls = TlsConnector::from(configs.get(http1, who).await?)
        .connect(server_name(&authority.host), socket)
        .await
        .map_err(|source| DialError::Tls { authority: authority.clone(), source })?;
    let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Dialled { io: UpstreamIo::Tls(Box::new(tls)), address, http2 })
}

/// TLS, verified, on a connection whose server was asked for it in another protocol's words.
pub(crate) async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    peer: &PinnedPeer,
    protocol: &[u8],
    configs: &ClientConfigs,
) -> Result<TlsStream<S>, DialError> {
    let authority = peer.authority();
    let mut config = ClientConfig::clone(&*configs.get(true, None).await?);
    config.alpn_protocols = vec![protocol.to_vec()];
    // What HTTP's servers of that name gave us is not for them.
    config.resumption = Resumption::disabled();
    let handshake = TlsConnector::from(Arc::new(config)).connect(server_name(&authority.host), io);
    match tokio::time::timeout(DIAL_DEADLINE, handshake).await {
        Ok(tls) => tls.map_err(|source| DialError::Tls { authority: authority.clone(), source }),
        Err(_) => Err(DialError::Deadline(authority.clone())),
    }
}

fn speaks_no_http1(error: &io::Error) -> bool {
    let refused = rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol);
    error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>()) == Some(&refused)
}

/// Happy eyeballs over the pinned addresses: in order, the next one whenever one fails or takes long.
async fn connect(peer: &PinnedPeer) -> Result<(TcpStream, SocketAddr), DialError> {
    let mut waiting = peer.addresses().iter().copied();
    let mut trying = JoinSet::new();
    let mut failure = None;
    loop {
        match waiting.next() {
            Some(address) => drop(trying.spawn(async move { (connect_one(address).await, address) })),
            None if trying.is_empty() => {
                let (source, address) = failure.expect("a pinned peer has at least one address");
                return Err(DialError::Connect { authority: peer.authority().clone(), address, source });
            }
            None => {}
        }
        let stagger = async {
            if waiting.len() == 0 {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(STAGGER).await; // RFC 8305's delay, not a wait for an event
        };
        tokio::select! {
            Some(tried) = trying.join_next() => match tried {
                Ok((Ok(socket), address)) => return Ok((socket, address)),
                Ok((Err(source), address)) => failure = Some((source, address)),
                Err(join) => std::panic::resume_unwind(join.into_panic()),
            },
            () = stagger => {}
        }
    }
}

async fn connect_one(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    // A path that died without a word must not hold an exchange for ever, whatever is spoken over it.
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, TCP_PROBE_INTERVAL)?;
    sockopt::set_tcp_keepintvl(&socket, TCP_PROBE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(&socket, TCP_PROBES)?;
    Ok(socket)
}

fn server_name(host: &Host) -> ServerName<'static> {
    match host {
        Host::Ip(address) => ServerName::IpAddress((*address).into()),
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned()).expect("a Name is a DNS name"),
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

impl AsyncRead for UpstreamIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tls(io) => io.is_write_vectored(),
            Self::Clear(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel asks whether the other end is still there: nobody else does where HTTP/1.1 or a WebSocket is silent.
    #[tokio::test]
    async fn a_dead_path_is_noticed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let socket = connect_one(listener.local_addr().expect("bound")).await.expect("it listens");
        let told = (
            sockopt::socket_keepalive(&socket),
            sockopt::tcp_keepidle(&socket),
            sockopt::tcp_keepintvl(&socket),
            sockopt::tcp_keepcnt(&socket),
        );
        assert_eq!(told, (Ok(true), Ok(TCP_PROBE_INTERVAL), Ok(TCP_PROBE_INTERVAL), Ok(TCP_PROBES)));
    }
}
