//! What a session has used, against its caps. A thing is counted when it is about to happen, so that two that happen
//! at once cannot both be the last one.

use standin_model::{Caps, Denial, DenyReason, Host, SessionCaps};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The use of one session, against the caps of one policy.
pub(crate) struct Usage {
    caps: SessionCaps,
    counts: Arc<Counts>,
}

/// What was used, under whatever caps.
#[derive(Default)]
struct Counts {
    session: Arc<Count>,
    hosts: Mutex<HashMap<Host, Arc<Count>>>,
}

#[derive(Default)]
struct Count {
    requests: AtomicU64,
    bytes_out: AtomicU64,
    connections: AtomicU64,
}

/// An open connection's place among those that may be open. Dropping it gives the place back.
pub(crate) struct Place(Vec<Arc<Count>>);

/// Counts the bytes that one request sends.
pub(crate) struct Spending(Vec<(Arc<Count>, u64, String)>);

impl Usage {
    pub(crate) fn new(caps: SessionCaps) -> Self {
        Self { caps, counts: Arc::default() }
    }

    /// The same use, against other caps.
    pub(crate) fn with(&self, caps: SessionCaps) -> Self {
        Self { caps, counts: Arc::clone(&self.counts) }
    }

    /// Takes a place for a connection to this host.
    pub(crate) fn connection(&self, host: &Host) -> Result<Place, Denial> {
        let mut place = Place(Vec::new());
        for (count, cap, whose) in self.bounded(host, |caps| caps.connections) {
            if !take(&count.connections, 1, cap) {
                let message = format!("the cap of {cap} open connections for {whose} is reached; close one");
                return Err(Denial::new(DenyReason::ConnectionCap, message));
            }
            place.0.push(count);
        }
        Ok(place)
    }

    /// Counts a request to this host.
    pub(crate) fn request(&self, host: &Host) -> Result<(), Denial> {
        for (count, cap, whose) in self.bounded(host, |caps| caps.requests) {
            if !take(&count.requests, 1, cap) {
                let message = format!("the cap of {cap} requests for {whose} is reached");
                return Err(Denial::new(DenyReason::RequestCap, message));
            }
        }
        Ok(())
    }

    /// What a request to this host counts its bytes with.
    pub(crate) fn spending(&self, host: &Host) -> Spending {
        Spending(self.bounded(host, |caps| caps.bytes_out))
    }

    /// The counts that a cap applies to, with the cap and whose it is.
    fn bounded(&self, host: &Host, of: impl Fn(&Caps) -> Option<u64>) -> Vec<(Arc<Count>, u64, String)> {
        let mut bounded = Vec::new();
        if let Some(cap) = of(&self.caps.session) {
            bounded.push((Arc::clone(&self.counts.session), cap, "this session".to_owned()));
        }
        if let Some(cap) = of(&self.caps.each_host) {
            let mut hosts = self.counts.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = Arc::clone(hosts.entry(host.clone()).or_default());
            bounded.push((count, cap, host.to_string()));
        }
        bounded
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for count in &self.0 {
            count.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Spending {
    /// Counts bytes that are about to go out.
    pub(crate) fn spend(&self, bytes: usize) -> Result<(), Denial> {
        for (count, cap, whose) in &self.0 {
            if !take(&count.bytes_out, bytes as u64, *cap) {
                let message = format!("the cap of {cap} bytes of request bodies for {whose} would be passed");
                return Err(Denial::new(DenyReason::BytesCap, message));
            }
        }
        Ok(())
    }
}

/// Adds if the sum stays within the cap.
fn take(count: &AtomicU64, more: u64, cap: u64) -> bool {
    let within = |used: u64| used.checked_add(more).filter(|sum| *sum <= cap);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        Host::parse(name).unwrap()
    }

    #[test]
    fn each_host_and_all_together_are_bounded() {
        let caps = |requests| Caps { requests: Some(requests), ..Caps::default() };
        let usage = Usage::new(SessionCaps { session: caps(3), each_host: caps(2) });
        let ask = |name| usage.request(&host(name)).map_err(|denial| denial.message);
        assert_eq!(ask("a.example"), Ok(()));
        assert_eq!(ask("a.example"), Ok(()));
        assert_eq!(ask("b.example"), Ok(()));
        assert_eq!(ask("b.example"), Err("the cap of 3 requests for this session is reached".to_owned()));
    }

    #[test]
    fn a_place_is_given_back() {
        let caps = Caps { connections: Some(1), ..Caps::default() };
        let usage = Usage::new(SessionCaps { each_host: caps, ..SessionCaps::default() });
        let place = usage.connection(&host("a.example"));
        assert!(place.is_ok() && usage.connection(&host("b.example")).is_ok());
        assert_eq!(usage.connection(&host("a.example")).err().unwrap().reason, DenyReason::ConnectionCap);
        drop(place);
        assert!(usage.connection(&host("a.example")).is_ok());
    }

    #[test]
    fn bytes_are_counted_before_they_go() {
        let caps = Caps { bytes_out: Some(10), ..Caps::default() };
        let usage = Usage::new(SessionCaps { session: caps, ..SessionCaps::default() });
        assert!(usage.spending(&host("a.example")).spend(8).is_ok());
        assert_eq!(usage.spending(&host("b.example")).spend(3).err().unwrap().reason, DenyReason::BytesCap);
        assert!(usage.spending(&host("b.example")).spend(2).is_ok());
        assert!(usage.spending(&host("b.example")).spend(usize::MAX).is_err());
    }
}
