//! Method and path against policy, and the count of requests against its cap. The one call site of request policy.

use super::bind::BoundRequest;
use super::facts;
use crate::connection::Tunnel;
use crate::in_force::InForce;
use crate::session::Lent;
use standin_model::Denial;
use standin_policy::{Grant, GrantId, RequestVerdict};
use standin_wire::facts::{Known, Seen};
use std::sync::Arc;

/// Proof that policy admits a request, and which grants it admits with it.
pub(super) struct Permit {
    by: Arc<InForce>,
    rule: Arc<str>,
    grants: Vec<GrantId>,
    openly: bool,
    granted_host: bool,
    at_host: Vec<GrantId>,
    login: Option<Arc<str>>,
    conversation: bool,
    lent: Arc<Lent>,
}

/// Asks policy about a bound request: the one for which its facts were read.
pub(super) fn request(tunnel: &Tunnel, by: Arc<InForce>, bound: &BoundRequest, seen: &Seen) -> Result<Permit, Denial> {
    let known = Known::new(&bound.head.headers, bound.target.query.as_deref(), seen);
    match by.policy.request(&facts::of(tunnel, bound, &known)) {
        RequestVerdict::Allow { rule, grants, openly, granted_host, at_host, login, conversation } => {
            by.usage.request(&tunnel.destination.authority.host)?;
            let lent = tunnel.session.lent();
            Ok(Permit { by, rule, grants, openly, granted_host, at_host, login, conversation, lent })
        }
        RequestVerdict::Deny(denial) => Err(match known.unreadable() {
            Some(why) => {
                Denial { message: format!("{} (of its body nothing can be told: {why})", denial.message), ..denial }
            }
            None => denial,
        }),
    }
}

impl Permit {
    /// The rule that said yes, for the record.
    pub(super) fn rule(&self) -> &Arc<str> {
        &self.rule
    }

    /// The policy that said it.
    pub(super) fn by(&self) -> &Arc<InForce> {
        &self.by
    }

    /// What it grants there under this number.
    pub(super) fn grant(&self, id: GrantId) -> &Grant {
        self.by.policy.grant(id)
    }

    /// The grants whose credentials this request may carry.
    pub(super) fn grants(&self) -> &[GrantId] {
        &self.grants
    }

    /// Whether it may go without a credential: a rule that lends none admits it, too.
    pub(super) fn openly(&self) -> bool {
        self.openly
    }

    /// Every grant at this host: what stands in a slot that one of them names has to be ours.
    pub(super) fn at_host(&self) -> &[GrantId] {
        &self.at_host
    }

    /// What is lent to this request.
    pub(super) fn lent(&self) -> &Arc<Lent> {
        &self.lent
    }

    /// Something else is lent from now on.
    pub(super) fn renew(&mut self, tunnel: &Tunnel) {
        self.lent = tunnel.session.lent();
    }

    /// The login whose real tokens are in the answer.
    pub(super) fn login(&self) -> Option<&Arc<str>> {
        self.login.as_ref()
    }

    /// Whether its body is what a model is told: stand-ins in it are words.
    pub(super) fn is_conversation(&self) -> bool {
        self.conversation
    }

    /// Whether any credential is granted at this host: then foreign ones are refused.
    pub(super) fn granted_host(&self) -> bool {
        self.granted_host
    }
}
