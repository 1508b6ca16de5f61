//! May this command be sent, and with whose key? The one call of `Policy::git`.

use super::refs::Refs;
use crate::connection::Tunnel;
use crate::in_force::InForce;
use standin_model::{Authority, CredentialName, Denial, GitService, Push};
use standin_policy::{GitFacts, GitVerdict};
use standin_wire::ssh::{self, GitCommand};
use std::sync::Arc;

/// Proof that policy and the caps admit a command: what `upstream` takes.
pub(super) struct GitPermit {
    by: Arc<InForce>,
    rule: Arc<str>,
    credential: CredentialName,
    user: String,
    service: GitService,
    path: String,
    push: Option<Push>,
}

/// Asks policy about a command. Nothing has been dialled yet, and no key fetched.
pub(super) fn git(tunnel: &Tunnel, user: &str, command: &GitCommand) -> Result<GitPermit, Denial> {
    let Authority { host, port } = &tunnel.destination.authority;
    let GitCommand { service, repository } = command;
    let by = tunnel.in_force()?;
    let policy = &by.policy;
    match policy.git(&GitFacts { host, port: *port, user, service: *service, repository }) {
        GitVerdict::Allow { rule, grant, path, push } => {
            by.usage.request(host)?;
            let credential = policy.git_loan(grant).credential.clone();
            Ok(GitPermit {
                by: Arc::clone(&by),
                rule,
                credential,
                user: user.to_owned(),
                service: *service,
                path,
                push,
            })
        }
        GitVerdict::Deny(denial) => Err(denial),
    }
}

impl GitPermit {
    /// The rule that said yes, for the record.
    pub(super) fn rule(&self) -> &Arc<str> {
        &self.rule
    }

    /// The policy that said it.
    pub(super) fn by(&self) -> &Arc<InForce> {
        &self.by
    }

    /// Whose key authenticates.
    pub(super) fn credential(&self) -> &CredentialName {
        &self.credential
    }

    /// Who asks at the host.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// What of a push passes.
    pub(super) fn refs(&self) -> Refs {
        Refs::new(self.push.clone())
    }

    /// The command, in the words that were granted and no others of the client's.
    pub(super) fn command(&self) -> String {
        ssh::command(self.service, &self.path)
    }
}
