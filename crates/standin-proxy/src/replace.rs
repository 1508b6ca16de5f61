//! Another policy in the place of a running session's.
//!
//! All of it at once or nothing: the new one is in force from one moment on, and what does not pass its gate leaves one in force that allows
//! nothing. Each try is on record, with what was in force before and what is now.

use crate::exchange::Exchange;
use crate::gate::{self, GateError};
use crate::session::Session;
use standin_audit::AuditClosed;
use standin_model::{DenyReason, SessionCaps};
use standin_policy::Policy;
use std::sync::Arc;

/// What is to take the place of a policy.
pub struct Replacement {
    /// What may be asked from now on.
    pub policy: Policy,
    /// How much may be used, of which what was used is used.
    pub caps: SessionCaps,
    /// What it was read from, for the record.
    pub file: String,
    /// Which it is, and which is in force now, for the record.
    pub change: String,
}

/// Why a policy did not take another's place.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// There is no room for its record: nothing has changed.
    #[error("the audit log takes no records, so nothing is changed")]
    Audit,
    /// It was in force for a moment; now nothing is allowed.
    #[error("nothing is allowed any more, until a policy passes the gate")]
    Gate(#[source] GateError),
}

impl Session {
    /// Puts a policy in force, and tries it. When this returns nothing new is decided by the one before.
    pub async fn replace(self: &Arc<Self>, new: Replacement) -> Result<(), ReplaceError> {
        let Replacement { policy, caps, file, change } = new;
        let Ok(mut exchange) = Exchange::replacement(self, &file).await else { return Err(ReplaceError::Audit) };
        self.put_in_force(policy, caps.clone());
        match gate::try_it(self).await {
            Ok(()) => {
                exchange.closed(change);
                Ok(())
            }
            Err(error) => {
                self.put_in_force(Policy::default(), caps);
                let why = format!("{change}; {}; nothing is allowed any more", crate::fault::chain(&error));
                exchange.not_replaced(DenyReason::PolicyGate, why);
                Err(ReplaceError::Gate(error))
            }
        }
    }

    /// Puts on record that a policy stays in force, and why.
    pub async fn keeps_its_policy(&self, file: &str, why: String) -> Result<(), AuditClosed> {
        Exchange::replacement(self, file).await?.not_replaced(DenyReason::PolicyRefused, why);
        Ok(())
    }
}
