//! Fetches the credentials that a request is about to carry, where they were not fetched yet or expire soon.
//!
//! Which those are is found by a rehearsal: the request is judged as if it were sent, with every stand-in in the place of itself.
//! What would be refused is refused before a source is asked for anything.

use super::authorize::Permit;
use super::bind::BoundRequest;
use super::inject;
use crate::connection::Tunnel;
use crate::fault::Refusal;
use crate::flights::failed;
use standin_model::{CredentialName, Slot};
use standin_vault::Credential;
use std::time::SystemTime;

/// Proof that what a request carries was fetched.
pub(super) struct Ready(());

/// Fetches what is due.
pub(super) async fn fetch(tunnel: &Tunnel, permit: &mut Permit, bound: &BoundRequest) -> Result<Ready, Refusal> {
    let due = due(permit, SystemTime::now());
    if !due.is_empty() {
        Box::pin(fetch_due(tunnel, permit, bound, due)).await?;
    }
    Ok(Ready(()))
}

async fn fetch_due(
    tunnel: &Tunnel,
    permit: &mut Permit,
    bound: &BoundRequest,
    due: Vec<Credential>,
) -> Result<(), Refusal> {
    let wanted = inject::rehearse(tunnel, permit, bound)?;
    for credential in &due {
        let frames = bound.upgrade.is_some() && in_frames(permit, &credential.name);
        if !frames && !wanted.contains(&credential.name) {
            continue;
        }
        let Some(supplied) = &credential.supplied else { continue };
        let fetched = tunnel.session.flights.fetch(&tunnel.session, &supplied.supply).await;
        match fetched {
            Err(why) if credential.is_spent(SystemTime::now()) => return Err(failed(&credential.name, &why)),
            // What is there is good for some time yet, and the next request tries again.
            Err(_) | Ok(()) => {}
        }
    }
    permit.renew(tunnel);
    Ok(())
}

/// The credentials granted to a request that have to be fetched before they are used.
fn due(permit: &Permit, now: SystemTime) -> Vec<Credential> {
    let vault = &permit.lent().vault;
    let granted = permit.grants().iter().map(|id| &permit.grant(*id).credential);
    let granted = granted.filter_map(|name| vault.by_name(name)).map(|index| vault.get(index));
    let mut due: Vec<Credential> = Vec::new();
    for credential in granted.filter(|credential| credential.is_due(now)) {
        if due.iter().all(|known| known.name != credential.name) {
            due.push(credential.clone());
        }
    }
    due
}

/// Whether a credential may be put into the frames that follow: which of them will hold its stand-in, nobody knows.
fn in_frames(permit: &Permit, name: &CredentialName) -> bool {
    let mut grants = permit.grants().iter().map(|id| permit.grant(*id));
    grants.any(|grant| grant.credential == *name && grant.slots.contains(&Slot::WebSocket))
}
