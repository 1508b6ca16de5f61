//! PostgreSQL: the connection ends here, and all of it is one exchange.
//!
//! ```text
//! authorize   may this host be reached, and is a password granted there?   -> TunnelPermit
//! resolve     one look-up, every address vetted, pinned                    -> PinnedPeer
//! hear        TLS to the client if it asks for it, and its first words     -> Startup
//! permit      may this user be at this database, and does the client have
//!             the stand-in?                                                -> PostgresPermit
//! upstream    dial, TLS, the server's certificate, the real password       -> Entered
//! carry       both directions, up to the end
//! ```
//!
//! Who wants to cancel what another connection does goes from *hear* to [`cancel`].

mod cancel;
mod carry;
mod permit;
mod upstream;

pub(crate) use cancel::Cancels;

use super::authorize::{self, TunnelPermit};
use super::face::{self, Face};
use super::intercept::{self, ClientIo};
use super::{Destination, Tunnel, refuse, resolve};
use crate::exchange::Exchange;
use crate::fault::{Fault, Owner, Refusal};
use crate::io::{Sniffed, Stream};
use crate::respond;
use crate::session::Session;
use standin_ca::Protocols;
use standin_model::limits::{HEAD_DEADLINE, UNREAD_DEADLINE};
use standin_model::{Denial, DenyReason, Host, Scheme};
use standin_postgres::server::{self, ClientError};
use standin_wire::postgres::startup::{First, Startup};
use standin_wire::postgres::{self, Class, TLS_ACCEPTED};
use std::io;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};
use upstream::Entered;

const PROTOCOLS: Protocols = &[postgres::ALPN];

/// Serves a client that has said its first words, or is about to in TLS.
pub(super) async fn serve<S: Stream>(
    session: Arc<Session>,
    destination: Destination,
    verdict: Result<TunnelPermit, Denial>,
    face: Face<S>,
) {
    let agreed = match &face {
        Face::Tls(start) => face::named_as_dialled(start, &destination),
        _ => Ok(()),
    };
    let admitted = async {
        // What may be added is said first, whether the host is reached over HTTP or not at all.
        authorize::postgres(&session, &destination)?;
        let permit = verdict?;
        agreed?;
        let peer = resolve(&session, &permit).await?;
        Ok((permit, peer))
    };
    let (permit, peer) = match admitted.await {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse::connection(&session, &destination, face, refusal).await,
    };
    let tunnel = Tunnel::new(session, destination, permit, Scheme::Http, peer);
    match heard(&tunnel, face).await {
        Ok((Ok(First::Startup(startup)), client)) => begin(&tunnel, &startup, client).await,
        Ok((Ok(First::Cancel(key)), client)) => cancel::serve(&tunnel, &key, client).await,
        Ok((other, client)) => {
            let refusal = not_understood(&other.err().unwrap_or(ClientError::Answer));
            super::record_failure(&tunnel, &refusal).await;
            end(client, &refusal).await;
        }
        Err(refusal) => super::record_failure(&tunnel, &refusal).await,
    }
}

fn not_understood(error: &ClientError) -> Refusal {
    match error {
        ClientError::Startup(error) => {
            Denial::new(DenyReason::PostgresRequest, format!("a client of PostgreSQL {error}")).into()
        }
        other => Refusal::downstream("the client's first words were not understood", other),
    }
}

/// What a client wants, or why that was not understood, and its connection.
type Heard<S> = (Result<First, ClientError>, ClientIo<S>);

/// What the client wants, after TLS if it asked for that.
async fn heard<S: Stream>(tunnel: &Tunnel, face: Face<S>) -> Result<Heard<S>, Refusal> {
    let hear = async {
        let start = match face {
            Face::Tls(start) => *start,
            Face::Clear(mut io) | Face::Ssh(mut io) | Face::Postgres(mut io) | Face::Opaque(mut io) => {
                match server::first_words(&mut io).await {
                    Ok(First::Tls) => begin_tls(io).await.map_err(|error| not_understood(&error.into()))?,
                    other => return Ok((other, ClientIo::Clear(io))),
                }
            }
        };
        face::named_as_dialled(&start, &tunnel.destination)?;
        let mut io = intercept::handshake(tunnel, start, PROTOCOLS).await?;
        let first = server::first_words(&mut io).await;
        Ok((first, ClientIo::Tls(Box::new(io))))
    };
    match tokio::time::timeout(HEAD_DEADLINE, hear).await {
        Ok(heard) => heard,
        Err(elapsed) => Err(Refusal::downstream("the client took too long to begin", &elapsed)),
    }
}

/// Says yes to TLS, and reads how the client begins it.
async fn begin_tls<S: Stream>(mut io: Sniffed<S>) -> io::Result<StartHandshake<Sniffed<S>>> {
    io.write_all(&[TLS_ACCEPTED]).await?;
    io.flush().await?;
    LazyConfigAcceptor::new(rustls::server::Acceptor::default(), io).await
}

/// One connection, up to its record.
async fn begin<S: Stream>(tunnel: &Tunnel, startup: &Startup, mut client: ClientIo<S>) {
    let target = format!("{}@{}", startup.user(), startup.database());
    let Ok(mut exchange) = Exchange::postgres(tunnel, "connect", Some(target.clone())).await else {
        let denial = Denial::new(DenyReason::AuditUnavailable, "the audit log takes no records, so nothing may leave");
        return end(client, &denial.into()).await;
    };
    match enter(tunnel, startup, &mut client, &mut exchange).await {
        Ok(entered) => carry::both_ways(tunnel, target, client, entered, &mut exchange).await,
        Err(refusal) => {
            exchange.refused(&refusal);
            end(client, &refusal).await;
        }
    }
}

/// From the client's first words to the server's yes.
async fn enter<S: Stream>(
    tunnel: &Tunnel,
    startup: &Startup,
    client: &mut ClientIo<S>,
    exchange: &mut Exchange,
) -> Result<Entered, Refusal> {
    exchange.may_stay_open()?;
    let meant = permit::meant(tunnel, startup)?;
    let (permit, words) = permit::proven(tunnel, meant, startup, client).await?;
    exchange.permitted(permit.rule(), permit.by());
    exchange.may_go_on()?; // the proof may have taken its time
    server::accept(client, &words).await.map_err(|error| Refusal::downstream("the client broke off", &error))?;
    upstream::enter(tunnel, permit, startup, exchange).await
}

/// Tells a client why its connection ends.
async fn end<S: Stream>(client: ClientIo<S>, refusal: &Refusal) {
    let words = in_words(refusal);
    match tokio::time::timeout(UNREAD_DEADLINE, refuse::tell(client, &words)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a refused client did not hear why"),
        Err(_) => tracing::debug!("a refused client took too long to hear why"),
    }
}

/// Tells a client that may not begin at all: in TLS, if it wants that. Nothing else that it sends is looked at.
pub(super) async fn tell<S: Stream>(
    session: &Session,
    host: &Host,
    face: Face<S>,
    refusal: &Refusal,
) -> io::Result<()> {
    let answer = in_words(refusal);
    let start = match face {
        Face::Tls(start) => *start,
        Face::Clear(mut io) | Face::Ssh(mut io) | Face::Postgres(mut io) | Face::Opaque(mut io) => {
            match server::first_words(&mut io).await.map_err(io::Error::other)? {
                First::Tls => begin_tls(io).await?,
                _ => return refuse::tell(io, &answer).await,
            }
        }
    };
    refuse::tell_in_tls(session, host, start, PROTOCOLS, &answer).await
}

fn in_words(refusal: &Refusal) -> Vec<u8> {
    postgres::fatal(class(refusal), &respond::in_words(refusal))
}

fn class(refusal: &Refusal) -> Class {
    match refusal {
        Refusal::Denied(denial) => match denial.reason {
            DenyReason::ForeignCredential | DenyReason::WrongDestination => Class::Password,
            _ => Class::NotAllowed,
        },
        Refusal::Fault(Fault { owner: Owner::Downstream, .. }) => Class::Protocol,
        Refusal::Unavailable { .. } | Refusal::Fault(_) => Class::Unreachable,
    }
}
