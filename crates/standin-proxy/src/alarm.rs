//! What follows when a stand-in is sent where it does not belong: its owner is told at once, and the session's
//! configuration may revoke it or end the session.

use standin_model::{CredentialName, Denial, DenyReason, Leak, OnLeak};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use tokio::sync::mpsc;

/// Most leaks that are told one by one: a credential at a host is one. Records have them all.
const MOST_TOLD: usize = 64;

/// What a session does about leaks.
pub struct AlarmParts {
    /// For these credentials.
    pub each: HashMap<CredentialName, OnLeak>,
    /// For all others.
    pub others: OnLeak,
    /// To whom they are told. Each credential is told of once for each host.
    pub told: mpsc::UnboundedSender<Leak>,
}

/// One session's.
pub(crate) struct Alarm {
    parts: AlarmParts,
    revoked: RwLock<HashSet<CredentialName>>,
    /// Whether there is any, so that a request need not look.
    any_revoked: AtomicBool,
    known: Mutex<HashSet<(CredentialName, String)>>,
}

impl Alarm {
    pub(crate) fn new(parts: AlarmParts) -> Self {
        Self { parts, revoked: RwLock::default(), any_revoked: AtomicBool::new(false), known: Mutex::default() }
    }

    /// Reacts, if this is about a stand-in that went astray.
    pub(crate) fn hear(&self, denial: &Denial, host: &str) {
        let Some(credential) = &denial.astray else { return };
        let reaction = self.parts.each.get(credential).copied().unwrap_or(self.parts.others);
        if reaction >= OnLeak::Revoke {
            self.revoked.write().unwrap_or_else(PoisonError::into_inner).insert(credential.clone());
            self.any_revoked.store(true, Ordering::Release);
        }
        if self.is_new(credential, host) || reaction == OnLeak::Stop {
            // Nobody listens where a session is served without an owner at a terminal.
            self.parts.told.send(Leak { credential: credential.clone(), host: host.to_owned(), reaction }).ok();
        }
    }

    /// Whether a credential may still be used: not if it was revoked.
    pub(crate) fn admits(&self, credential: &CredentialName) -> Result<(), Denial> {
        if !self.has_revoked() || !self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains(credential) {
            return Ok(());
        }
        let message = format!(
            "the stand-in for `{credential}` was sent where it does not belong before, and is worth nothing in this session \
             since"
        );
        Err(Denial::new(DenyReason::Revoked, message))
    }

    /// Whether any credential was revoked.
    pub(crate) fn has_revoked(&self) -> bool {
        self.any_revoked.load(Ordering::Acquire)
    }

    fn is_new(&self, credential: &CredentialName, host: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.len() < MOST_TOLD && known.insert((credential.clone(), host.to_owned()))
    }
}
