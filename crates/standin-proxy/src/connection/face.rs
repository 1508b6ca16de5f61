//! What a client speaks, read from its first bytes; in TLS, what its `ClientHello` says.
//!
//! Nothing is decrypted here. A `ClientHello` is in clear, and rustls parses it.

use super::{Destination, TunnelPermit};
use crate::io::{self, Sniffed, Stream};
use standin_model::limits::HEAD_DEADLINE;
use standin_model::{Denial, DenyReason, Host, Scheme};
use standin_wire::postgres;
use standin_wire::sniff::Sniff;
use std::time::Duration;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

/// How long a client that will be refused anyway is waited for, to learn in which language to tell it.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(2);

/// A client that has said its first words.
pub(super) enum Face<S> {
    /// A TLS handshake that waits for our side.
    Tls(Box<StartHandshake<Sniffed<S>>>),
    /// HTTP/1 in clear.
    Clear(Sniffed<S>),
    /// SSH's identification.
    Ssh(Sniffed<S>),
    /// A PostgreSQL client's first packet.
    Postgres(Sniffed<S>),
    /// None of them: another database, a server-first protocol that never spoke.
    Opaque(Sniffed<S>),
}

/// Why a client's first words could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FaceError {
    /// It hung up, or its handshake is not TLS.
    #[error("the client's first bytes could not be read")]
    Io(#[source] std::io::Error),
    /// It said nothing.
    #[error("the client said nothing for {0:?}")]
    Silent(Duration),
}

/// Whether the name in a `ClientHello` is the one that was dialled.
pub(super) fn named_as_dialled<S: Stream>(
    start: &StartHandshake<Sniffed<S>>,
    destination: &Destination,
) -> Result<(), Denial> {
    match start.client_hello().server_name() {
        // No SNI: the destination was dialled by name or is a listed literal; the leaf will be for it.
        None => Ok(()),
        Some(sni) if Host::parse(sni).as_ref() == Ok(&destination.authority.host) => Ok(()),
        Some(_) => Err(Denial::new(
            DenyReason::AuthorityMismatch,
            format!("the TLS server name is not {}, which was dialled", destination.authority.host),
        )),
    }
}

/// How long to wait for the first words.
pub(super) fn patience(verdict: &Result<TunnelPermit, Denial>) -> Duration {
    if verdict.is_ok() { HEAD_DEADLINE } else { REFUSAL_PATIENCE }
}

impl<S: Stream> Face<S> {
    /// Reads the first words; whole `ClientHello` or nothing.
    pub(super) async fn read(io: S, patience: Duration) -> Result<Self, FaceError> {
        let read = async {
            let (kind, io) = io::sniff(io).await?;
            Ok(match kind {
                Sniff::Tls => {
                    let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), io);
                    Self::Tls(Box::new(acceptor.await?))
                }
                Sniff::Http => Self::Clear(io),
                Sniff::Ssh => Self::Ssh(io),
                Sniff::Postgres => Self::Postgres(io),
                _ => Self::Opaque(io),
            })
        };
        match tokio::time::timeout(patience, read).await {
            Ok(face) => face.map_err(FaceError::Io),
            Err(_) => Err(FaceError::Silent(patience)),
        }
    }

    /// Whether what the client says fits what it dialled: the SNI is the name, and the protocol can be judged.
    pub(super) fn agree(&self, destination: &Destination) -> Result<Scheme, Denial> {
        match self {
            Self::Clear(_) => Ok(Scheme::Http),
            Self::Ssh(_) | Self::Postgres(_) | Self::Opaque(_) => Err(Denial::new(
                DenyReason::OpaqueProtocol,
                "only TLS, HTTP, git over SSH and PostgreSQL leave this sandbox; this connection speaks none of them",
            )),
            Self::Tls(start) => named_as_dialled(start, destination).map(|()| Scheme::Https),
        }
    }

    /// Whether it is PostgreSQL's: in clear, or in TLS that says so.
    pub(super) fn is_postgres(&self) -> bool {
        match self {
            Self::Postgres(_) => true,
            Self::Tls(start) => {
                start.client_hello().alpn().is_some_and(|mut names| names.any(|name| name == postgres::ALPN))
            }
            _ => false,
        }
    }

    /// The name a refusal's certificate must carry so that the client reads the reason.
    pub(super) fn asked_for(&self, destination: &Destination) -> Host {
        match self {
            Self::Tls(start) => start.client_hello().server_name().and_then(|sni| Host::parse(sni).ok()),
            _ => None,
        }
        .unwrap_or_else(|| destination.authority.host.clone())
    }
}
