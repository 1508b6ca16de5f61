//! The policy's answer: the connection's verdict, then the request's, as the proxy asks for them.

use super::question::Question;
use serde::Serialize;
use standin_model::{Denial, Scheme, Slot};
use standin_policy::{ConnectionVerdict, Policy, RequestVerdict};
use std::fmt;

/// An answer.
#[derive(Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub(super) enum Answer {
    /// It may be sent.
    Allow {
        /// The first rule that says so.
        rule: String,
        /// What it may carry.
        credentials: Vec<Loan>,
    },
    /// It may not.
    Deny {
        /// Whether the connection is refused already.
        connection: bool,
        reason: &'static str,
        message: String,
    },
}

/// A credential, and where a request may carry it.
#[derive(Serialize)]
pub(super) struct Loan {
    pub(super) name: String,
    /// As a configuration has them; none means every header that authenticates.
    slots: Vec<String>,
    /// Whether it is put there although nothing stood there.
    always: bool,
}

impl Answer {
    /// Asks.
    pub(super) fn to(question: &Question, policy: &Policy) -> Self {
        let standin_model::Authority { host, port } = &question.authority;
        if let ConnectionVerdict::Deny(denial) = policy.connection(host, *port) {
            return Self::denied(true, denial);
        }
        let target = match &question.target {
            Ok(target) => target,
            Err(denial) => return Self::denied(false, denial.clone()),
        };
        match question.ask(target, policy, |facts| policy.request(facts)) {
            RequestVerdict::Allow { rule, grants, .. } => {
                // Nothing is ever put into a request that goes in clear.
                let grants = grants.iter().filter(|_| question.scheme == Scheme::Https).map(|id| policy.grant(*id));
                let loan = |grant: &standin_policy::Grant| Loan {
                    name: grant.credential.to_string(),
                    slots: grant.slots.iter().map(Slot::to_string).collect(),
                    always: grant.always,
                };
                Self::Allow { rule: rule.to_string(), credentials: grants.map(loan).collect() }
            }
            RequestVerdict::Deny(denial) => Self::denied(false, denial),
        }
    }

    pub(super) fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }

    fn denied(connection: bool, denial: Denial) -> Self {
        Self::Deny { connection, reason: denial.reason.code(), message: denial.message }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deny { reason, message, .. } => write!(f, "denied: {reason}: {message}"),
            Self::Allow { rule, credentials } => {
                write!(f, "allowed by `{rule}`")?;
                for Loan { name, slots, always } in credentials {
                    let always = if *always { ", put in where nothing stands" } else { "" };
                    let slots =
                        if slots.is_empty() { "any header that authenticates".to_owned() } else { slots.join(", ") };
                    write!(f, "; may carry `{name}` ({slots}{always})")?;
                }
                Ok(())
            }
        }
    }
}
