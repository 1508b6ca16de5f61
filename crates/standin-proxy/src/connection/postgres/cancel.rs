//! Wishes to cancel what a connection does: by a key that its client was given.
//!
//! A server gives each connection a key, and whoever names it on another connection ends the statement that runs. The server's own
//! stays here: the client gets another in its place, which means that connection, at that host, in this session, and nothing else.

use super::permit::PostgresPermit;
use super::upstream;
use crate::connection::intercept::ClientIo;
use crate::connection::{Tunnel, refuse};
use crate::exchange::Exchange;
use crate::fault::Refusal;
use crate::io::Stream;
use aws_lc_rs::rand;
use standin_model::limits::{POSTGRES_DEADLINE, UNREAD_DEADLINE};
use standin_model::{Authority, Denial, DenyReason};
use standin_net::PinnedPeer;
use standin_wire::postgres::startup::CancelKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The connections of a session that may be cancelled, by the keys that their clients have.
#[derive(Default)]
pub(crate) struct Cancels(Mutex<HashMap<CancelKey, Arc<Cancellable>>>);

/// One of them.
pub(super) struct Cancellable {
    /// Where the client went.
    pub(super) authority: Authority,
    /// The server that it is connected to, at its one address.
    pub(super) peer: PinnedPeer,
    /// By which it is.
    pub(super) permit: Arc<PostgresPermit>,
    /// User and database, for the record.
    pub(super) target: String,
    /// What the server gave.
    pub(super) key: CancelKey,
}

/// A place in the list, free again when this is dropped.
pub(super) struct Listed<'a> {
    cancels: &'a Cancels,
    key: CancelKey,
}

impl Cancels {
    /// Lists a connection. Its client is given a key that nobody else has; the number of the server's process is no secret, and drivers
    /// compare it.
    pub(super) fn list(&self, connection: Cancellable) -> Listed<'_> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = CancelKey { process: connection.key.process, key: [0; 4] };
        loop {
            rand::fill(&mut key.key).expect("the kernel gives random bytes");
            if !all.contains_key(&key) {
                break;
            }
        }
        all.insert(key.clone(), Arc::new(connection));
        Listed { cancels: self, key }
    }

    /// The connection that is meant, by who knows its key and goes where it went.
    fn find(&self, key: &CancelKey, authority: &Authority) -> Option<Arc<Cancellable>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(key).filter(|connection| connection.authority == *authority).cloned()
    }
}

impl Listed<'_> {
    /// What the client is given.
    pub(super) fn key(&self) -> &CancelKey {
        &self.key
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.cancels.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Serves who wants to cancel. There is no answer: the end of the connection tells that it was tried.
pub(super) async fn serve<S: Stream>(tunnel: &Tunnel, key: &CancelKey, client: ClientIo<S>) {
    let meant = tunnel.session.cancels.find(key, &tunnel.destination.authority);
    let target = meant.as_ref().map(|meant| meant.target.clone());
    let Ok(mut exchange) = Exchange::postgres(tunnel, "cancel", target).await else { return };
    match pass_on(tunnel, meant, &mut exchange).await {
        Ok(()) => exchange.completed(),
        Err(refusal) => exchange.refused(&refusal),
    }
    tokio::time::timeout(UNREAD_DEADLINE, refuse::tell(client, b"")).await.ok(); // then it does not wait for the end
}

/// Says it to the server, by the key that it gave, and waits until it has heard.
async fn pass_on(tunnel: &Tunnel, meant: Option<Arc<Cancellable>>, exchange: &mut Exchange) -> Result<(), Refusal> {
    exchange.may_stay_open()?;
    let meant = meant.ok_or_else(|| {
        Denial::new(DenyReason::PostgresRequest, "no connection of this session to this host has the key to cancel it")
    })?;
    tunnel.session.alarm.admits(meant.permit.credential())?;
    let by = meant.permit.by();
    by.still_holds(&tunnel.destination.host)?;
    by.usage.request(&tunnel.destination.authority.host)?;
    exchange.permitted(meant.permit.rule(), by);
    let say = async {
        let (mut io, address) = upstream::reach(tunnel, &meant.peer, &meant.permit).await?;
        exchange.reached(address);
        let said = async {
            io.write_all(&meant.key.request()).await?;
            io.flush().await
        };
        said.await.map_err(|error| Refusal::upstream("this server broke off", &error))?;
        // It closes when it has done so, in whatever way: it has nothing to say.
        io.read_exact(&mut [0]).await.ok();
        Ok(())
    };
    match tokio::time::timeout(POSTGRES_DEADLINE, say).await {
        Ok(said) => said,
        Err(elapsed) => Err(Refusal::silent("this server did not answer in time", &elapsed)),
    }
}
