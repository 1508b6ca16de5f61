//! Tells a client on the connection level that it may not pass, and closes.
//!
//! A client in TLS can read a reason only inside TLS, so it gets a handshake with a leaf for the name it
//! asked for, then a 403. Nothing it sends is looked at: its bytes are thrown away as ciphertext, and
//! nothing is resolved or dialled.

use super::face::{Face, FaceError};
use super::{Destination, TunnelPermit, postgres};
use crate::exchange::Exchange;
use crate::fault::Refusal;
use crate::io::{Sniffed, Stream};
use crate::respond;
use crate::session::Session;
use standin_ca::Protocols;
use standin_model::Denial;
use standin_model::limits::{UNREAD_BYTES, UNREAD_DEADLINE};
use standin_wire::ssh::disconnection;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::StartHandshake;

/// Refuses a client that has said its first words.
pub(super) async fn connection<S: Stream>(
    session: &Session,
    destination: &Destination,
    face: Face<S>,
    refusal: Refusal,
) {
    let Ok(mut exchange) = Exchange::connection(session, destination).await else {
        return; // no record, no answer: closing is all that is left
    };
    exchange.refused(&refusal);
    let (status, answer) = respond::refusal_bytes(&refusal);
    let status = Some(status).filter(|_| !matches!(face, Face::Ssh(_)) && !face.is_postgres()); // a status is HTTP's
    let asked_for = face.asked_for(destination);
    let told = async {
        match face {
            face if face.is_postgres() => postgres::tell(session, &asked_for, face, &refusal).await,
            Face::Clear(io) => tell(io, &answer).await,
            Face::Tls(start) => tell_in_tls(session, &asked_for, *start, &[b"http/1.1"], &answer).await,
            Face::Ssh(io) => tell(io, &disconnection(&respond::in_words(&refusal))).await,
            Face::Postgres(_) | Face::Opaque(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    };
    match tokio::time::timeout(UNREAD_DEADLINE, told).await {
        Ok(Ok(())) => status.into_iter().for_each(|status| exchange.answered_with(status)),
        Ok(Err(error)) => tracing::debug!(%error, "a refused client did not hear why"),
        Err(_) => tracing::debug!("a refused client took too long to hear why"),
    }
}

/// A client whose first words could not be read gets no answer, only a record.
pub(super) async fn mute(
    session: &Session,
    destination: &Destination,
    verdict: Result<TunnelPermit, Denial>,
    error: &FaceError,
) {
    if let Ok(mut exchange) = Exchange::connection(session, destination).await {
        exchange.refused(&match verdict {
            Err(denial) => Refusal::Denied(denial),
            Ok(_) => Refusal::downstream("the client did not speak", error),
        });
    }
}

pub(super) async fn tell<S: Stream>(mut io: S, answer: &[u8]) -> io::Result<()> {
    io.write_all(answer).await?;
    io.shutdown().await?;
    drain(io).await
}

pub(super) async fn tell_in_tls<S: Stream>(
    session: &Session,
    host: &standin_model::Host,
    start: StartHandshake<Sniffed<S>>,
    protocols: Protocols,
    answer: &[u8],
) -> io::Result<()> {
    let config = session.ca.server_config(host, protocols).map_err(io::Error::other)?;
    let (mut io, mut tls) = start.into_stream(config).await?.into_inner();
    // Some clients take an answer that comes before they asked for a broken connection, so the request is
    // waited for. It stays ciphertext.
    let asked = tls.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() > 0);
    if !asked {
        let mut ciphertext = [0; 1024];
        if io.read(&mut ciphertext).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    io::Write::write_all(&mut tls.writer(), answer)?;
    tls.send_close_notify();
    let mut records = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut records)?;
    }
    io.write_all(&records).await?;
    io.shutdown().await?;
    drain(io).await
}

/// Reads on until the client hangs up: closing with unread bytes would reset the connection under the reason.
async fn drain<S: Stream>(io: S) -> io::Result<()> {
    tokio::io::copy(&mut io.take(UNREAD_BYTES), &mut tokio::io::sink()).await.map(|_| ())
}
