//! Fetching credentials from their sources: one flight at a time for each source, whoever waits for it.
//!
//! A flight goes on without the request that began it. One that failed is not begun again at once: what is inside chooses when
//! requests are made, and a source may ask its owner something every time.

use crate::fault::{self, Refusal};
use crate::session::Session;
use standin_model::limits::SOURCE_PAUSE;
use standin_model::{CredentialName, Denial, DenyReason};
use standin_secret::Manner;
use standin_vault::supply::Supply;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// The flights of a session, by the address of their supply, which lives as long as the session.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<usize, watch::Receiver<Outcome>>>);

/// Nothing as long as it is under way.
type Outcome = Option<Landed>;

/// What came of a flight: why it failed, for the operator.
#[derive(Clone)]
struct Landed {
    at: Instant,
    result: Result<(), String>,
}

impl Flights {
    /// Fetches what a supply has, or waits for the flight that is under way. From then on the session lends it.
    pub(crate) async fn fetch(&self, session: &Arc<Session>, supply: &Arc<Supply>) -> Result<(), String> {
        let mut flight = self.join(session, supply);
        let landed = flight.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        landed.ok().flatten().map_or_else(|| Err("the session is ending".to_owned()), |landed| landed.result)
    }

    fn join(&self, session: &Arc<Session>, supply: &Arc<Supply>) -> watch::Receiver<Outcome> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = Arc::as_ptr(supply) as usize;
        if let Some(flight) = flights.get(&number).filter(|flight| is_to_be_joined(flight)) {
            return flight.clone();
        }
        let (landing, flight) = watch::channel(None);
        let (session, supply) = (Arc::clone(session), Arc::clone(supply));
        tokio::task::spawn_blocking(move || {
            let result = fly(&session, &supply);
            if let Err(error) = &result {
                tracing::warn!(error, "a credential's source failed");
            }
            landing.send(Some(Landed { at: Instant::now(), result })).ok(); // perhaps nobody waits any more
        });
        flights.insert(number, flight.clone());
        flight
    }
}

/// The agent learns which credential, and its owner why.
pub(crate) fn failed(name: &CredentialName, why: &str) -> Refusal {
    let message =
        format!("the real credential `{name}` is not available: its source failed; `standin log` tells its owner why");
    let told = Denial::new(DenyReason::SourceFailed, message);
    Refusal::Unavailable { told, recorded: format!("the source of `{name}` failed: {why}") }
}

/// Whether it is under way, or has failed just now.
fn is_to_be_joined(flight: &watch::Receiver<Outcome>) -> bool {
    match &*flight.borrow() {
        None => flight.has_changed().is_ok(), // else it was dropped with its runtime
        Some(landed) => landed.result.is_err() && landed.at.elapsed() < SOURCE_PAUSE,
    }
}

fn fly(session: &Session, supply: &Arc<Supply>) -> Result<(), String> {
    let delivery = supply.fetch(Manner::Silent).map_err(|error| fault::chain(&error))?;
    let lent = session.lent();
    let renewed = lent.vault.supplied_by(supply).map(|credential| delivery.to(credential));
    let renewed = renewed.collect::<Result<Vec<_>, _>>().map_err(|error| fault::chain(&error))?;
    session.lend(renewed);
    Ok(())
}
