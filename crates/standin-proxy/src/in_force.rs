//! The policy in force, and the one that took its place.
//!
//! Each knows its successor. Who holds one asks with a single load whether it is still the last, and without a lock for the one that is. Whatever
//! is decided is decided by one of them, and what is left to be looked up (grants, caps) is looked up in that one: numbers of grants mean
//! something in their own policy only.

use crate::usage::Usage;
use standin_model::{Denial, DenyReason, Host, SessionCaps};
use standin_policy::Policy;
use std::sync::{Arc, OnceLock};

/// A policy that is in force, or was.
pub(crate) struct InForce {
    /// What may be asked.
    pub(crate) policy: Policy,
    /// What has been used of the session's caps, against the caps of this policy.
    pub(crate) usage: Usage,
    next: OnceLock<Arc<Self>>,
}

impl InForce {
    /// The first.
    pub(crate) fn new(policy: Policy, caps: SessionCaps) -> Arc<Self> {
        Arc::new(Self { policy, usage: Usage::new(caps), next: OnceLock::new() })
    }

    /// Puts another in its place, if it is the last. What was used stays used.
    pub(crate) fn replace(&self, policy: Policy, caps: SessionCaps) -> Option<Arc<Self>> {
        let next = Arc::new(Self { policy, usage: self.usage.with(caps), next: OnceLock::new() });
        self.next.set(Arc::clone(&next)).is_ok().then_some(next)
    }

    /// Whether another has taken its place.
    pub(crate) fn is_over(&self) -> bool {
        self.next.get().is_some()
    }

    /// The one that is in force now.
    pub(crate) fn now(self: &Arc<Self>) -> Arc<Self> {
        let mut last = self;
        while let Some(next) = last.next.get() {
            last = next;
        }
        Arc::clone(last)
    }

    /// Whether what it decided about a host may go on: the policy in force says the same of that host.
    pub(crate) fn still_holds(&self, host: &str) -> Result<(), Denial> {
        let Some(mut last) = self.next.get() else { return Ok(()) };
        while let Some(next) = last.next.get() {
            last = next;
        }
        match Host::parse(host) {
            Ok(host) if self.policy.says_the_same(&last.policy, &host) => Ok(()),
            _ => {
                let message = format!(
                    "the session's owner has changed the policy about {host}, so what was open there ends; ask again"
                );
                Err(Denial::new(DenyReason::PolicyReplaced, message))
            }
        }
    }
}

impl Drop for InForce {
    /// One after the other: a thousand that go at once would be a thousand calls deep.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut last) = next.and_then(Arc::into_inner) {
            next = last.next.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_is_in_force_and_its_caps_count_what_was_used() {
        let caps = |requests| {
            let session = standin_model::Caps { requests: Some(requests), ..standin_model::Caps::default() };
            SessionCaps { session, ..SessionCaps::default() }
        };
        let host = Host::parse("a.example").unwrap();
        let first = InForce::new(Policy::default(), caps(3));
        assert!(!first.is_over() && Arc::ptr_eq(&first, &first.now()));
        assert!(first.usage.request(&host).is_ok() && first.usage.request(&host).is_ok());
        let second = first.replace(Policy::default(), caps(2)).unwrap();
        assert!(first.is_over() && Arc::ptr_eq(&second, &first.now()));
        assert!(first.replace(Policy::default(), caps(9)).is_none(), "only the last has a place to be taken");
        assert!(second.usage.request(&host).is_err(), "two of two are used");
        let third = second.replace(Policy::default(), caps(3)).unwrap();
        assert!(Arc::ptr_eq(&third, &first.now()) && third.usage.request(&host).is_ok());
    }

    #[test]
    fn many_go_at_once() {
        let first = InForce::new(Policy::default(), SessionCaps::default());
        let mut last = Arc::clone(&first);
        for _ in 0..200_000 {
            last = last.replace(Policy::default(), SessionCaps::default()).unwrap();
        }
        drop(last);
        drop(first);
    }
}
