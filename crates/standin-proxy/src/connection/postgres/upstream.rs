//! The way of an admitted client to its server: dialled at the pinned addresses, verified, authenticated.

use super::permit::PostgresPermit;
use crate::connection::Tunnel;
use crate::exchange::Exchange;
use crate::fault::{self, Refusal};
use crate::flights;
use crate::io::Stream;
use bytes::BytesMut;
use standin_model::limits::POSTGRES_DEADLINE;
use standin_model::{AddressBlocks, Denial, DenyReason};
use standin_net::PinnedPeer;
use standin_net::vet::vet;
use standin_postgres::client::{self, ServerError};
use standin_secret::Secret;
use standin_wire::postgres;
use standin_wire::postgres::startup::Startup;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

/// A server that has said yes.
pub(super) struct Entered {
    pub(super) permit: Arc<PostgresPermit>,
    /// It, at the address that was dialled.
    pub(super) peer: PinnedPeer,
    pub(super) io: Box<dyn Stream>,
    /// What it said after its yes.
    pub(super) said: BytesMut,
}

/// Enters with the password that a permit names. The record says whose it is, and to whom it was shown, also if that one refuses then.
pub(super) async fn enter(
    tunnel: &Tunnel,
    permit: PostgresPermit,
    startup: &Startup,
    exchange: &mut Exchange,
) -> Result<Entered, Refusal> {
    let password = password(tunnel, &permit).await?;
    let converse = async {
        let (mut io, address) = reach(tunnel, &tunnel.peer, &permit).await?;
        exchange.reached(address);
        exchange.injected(vec![permit.credential().clone()]);
        let started = client::start(&mut io, startup, &password, !permit.plaintext()).await;
        let said = started.map_err(|error| refusal(tunnel, &permit, startup, &error))?;
        Ok::<_, Refusal>((io, address, said))
    };
    match tokio::time::timeout(POSTGRES_DEADLINE, converse).await {
        Ok(entered) => entered.map(|(io, address, said)| {
            let peer = tunnel.peer.at(address).unwrap_or_else(|| tunnel.peer.clone());
            Entered { permit: Arc::new(permit), peer, io, said }
        }),
        Err(elapsed) => Err(Refusal::silent("this server did not answer in time", &elapsed)),
    }
}

/// Dials, and makes the connection one in verified TLS, unless its grant says that there is none.
pub(super) async fn reach(
    tunnel: &Tunnel,
    peer: &PinnedPeer,
    permit: &PostgresPermit,
) -> Result<(Box<dyn Stream>, SocketAddr), Refusal> {
    let unreachable = |error| Refusal::upstream("this server could not be reached", &error);
    let (mut io, address) = tunnel.session.upstreams.open(peer).await.map_err(unreachable)?;
    if permit.plaintext() {
        let public = vet(address.ip(), &AddressBlocks::default()).is_ok();
        if public || peer.parent().is_some() {
            let message =
                "a database is reached without TLS at addresses that are not public only, and not through a proxy";
            return Err(Denial::new(DenyReason::PostgresPlaintext, message).into());
        }
        return Ok((Box::new(io), address));
    }
    let asked = client::ask_for_tls(&mut io).await;
    if !asked.map_err(|error| Refusal::upstream("this server broke off", &error))? {
        let message = format!(
            "the server {} has no TLS; its owner can say `plaintext = true` in the grant for one at an address that is not public",
            tunnel.destination.authority
        );
        return Err(Denial::new(DenyReason::PostgresPlaintext, message).into());
    }
    let secured = tunnel.session.upstreams.secure(io, peer, postgres::ALPN).await;
    let io = secured
        .map_err(|error| Refusal::upstream("TLS to this server failed, or its certificate is not good", &error))?;
    Ok((Box::new(io), address))
}

/// The real password, fetched if it has to be.
async fn password(tunnel: &Tunnel, permit: &PostgresPermit) -> Result<Arc<Secret>, Refusal> {
    let (session, name) = (&tunnel.session, permit.credential());
    let credential = || {
        let lent = session.lent();
        lent.vault.by_name(name).map(|index| lent.vault.get(index).clone())
    };
    let missing = || flights::failed(name, "it is not lent");
    let held = credential().ok_or_else(missing)?;
    if let Some(supplied) = held.supplied.as_ref().filter(|_| held.is_due(SystemTime::now())) {
        let fetched = session.flights.fetch(session, &supplied.supply).await;
        if let Err(why) = fetched.or_else(|why| if held.is_spent(SystemTime::now()) { Err(why) } else { Ok(()) }) {
            return Err(flights::failed(name, &why));
        }
    }
    credential().map(|credential| credential.secret).ok_or_else(missing)
}

/// What the client is told: what is wrong and who can mend it. The server's own words are the operator's, where they may be about the password.
fn refusal(tunnel: &Tunnel, permit: &PostgresPermit, startup: &Startup, error: &ServerError) -> Refusal {
    let unavailable = |message| {
        let told = Denial::new(DenyReason::SourceFailed, message);
        Refusal::Unavailable { told, recorded: fault::chain(error) }
    };
    let (host, name) = (&tunnel.destination.authority.host, permit.credential());
    match error {
        ServerError::Refused { code, .. } if code == "28P01" => {
            unavailable(format!("{host} did not accept the real password `{name}` for the user {}", startup.user()))
        }
        ServerError::Refused { .. } => Refusal::upstream("this server refused the connection", error),
        ServerError::Unprotected(_) | ServerError::Method | ServerError::NoProof => unavailable(format!(
            "{host} asks for another kind of authentication than is answered; `standin log` tells its owner which"
        )),
        ServerError::Io(_) => Refusal::upstream("the conversation with this server failed", error),
    }
}
