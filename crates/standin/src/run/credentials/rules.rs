//! From what a session lends and what it is configured with to its policy: when it begins, and whenever its configuration has changed.
//!
//! What was found when it began (in the environment, in files, in logins) is kept, and not looked for again: by then the command could have put
//! it there.

use super::{configured, dangers, presets};
use crate::exit::Failure;
use standin_config::{Config, Credential as Configured};
use standin_model::{CredentialName, GrantRule};
use standin_policy::catalogue::{Catalogue, Service, danger};
use standin_policy::{Policy, PolicyBuilder};
use std::collections::BTreeSet;

/// What follows from something that was found.
pub(crate) enum Step {
    /// A credential is lent to all that its service has for it.
    Service(&'static Service, CredentialName),
    /// A credential is lent to this.
    Grant(CredentialName, GrantRule),
    /// A service is used, and no credential passes there.
    Reserve(&'static Service),
    /// A service is used.
    Rules(&'static Service),
}

/// The policy of a session with this configuration, in which that was found.
pub(crate) fn compile(config: &Config, found: &[Step]) -> Result<Policy, Failure> {
    let mut rules = Rules::default();
    for credential in &config.credentials {
        rules.configured(credential)?;
    }
    for step in found {
        rules.found(step);
    }
    // Whatever is allowed: what a token endpoint answers goes to nobody inside.
    for login in Catalogue::builtin().services().iter().filter_map(|service| service.login.as_ref()) {
        rules.policy.tokens(&login.id, login.endpoint.rule.clone());
    }
    for rule in &config.allow {
        rules.policy.allow(rule.clone());
    }
    for rule in &config.deny {
        rules.policy.deny(rule.clone());
    }
    dangers::deny(&mut rules.policy, &config.denied_groups);
    for service in presets::narrow(&mut rules.policy, &config.presets)? {
        rules.refuse(service);
    }
    let known = Catalogue::builtin().services().iter().flat_map(|service| &service.conversations);
    for rule in known.chain(&config.conversations) {
        rules.policy.conversation(rule.clone());
    }
    for port in &config.reach {
        rules.policy.reach(*port);
    }
    for registry in Catalogue::builtin().registries() {
        rules.of(registry);
    }
    Ok(rules.policy.build())
}

/// The service at whose hosts a credential would be for the first time, where whether it administers that service is told by its value and its
/// hosts: it was asked when the session began, and is not asked again.
pub(crate) fn newly_at(held: &Configured, new: &Configured) -> Option<&'static Service> {
    let (before, now) = (configured::hosts(held), configured::hosts(new));
    let shared = Catalogue::builtin().services().iter().filter(|service| service.shared);
    shared.into_iter().find(|service| service.is_at(&now) && !service.is_at(&before))
}

/// The service that a credential of the configuration belongs to.
pub(super) fn service(credential: &Configured) -> Result<Option<&'static Service>, Failure> {
    let Some(id) = &credential.service else { return Ok(None) };
    let service = Catalogue::builtin().service(id).ok_or_else(|| {
        let known: Vec<_> = Catalogue::builtin().services().iter().map(|s| s.id.as_str()).collect();
        Failure::new(format!("there is no service `{id}`")).hint(format!("known: {}", known.join(", ")))
    });
    service.map(Some)
}

#[derive(Default)]
struct Rules {
    policy: PolicyBuilder,
    /// The services of which it has what they serve to everybody.
    open: BTreeSet<&'static str>,
    /// The services of which it has what they refuse.
    refusing: BTreeSet<&'static str>,
}

impl Rules {
    fn configured(&mut self, credential: &Configured) -> Result<(), Failure> {
        let name = CredentialName::new(credential.name.as_str());
        for grant in &credential.git {
            self.policy.git(name.clone(), grant.clone());
        }
        for grant in &credential.postgres {
            self.policy.postgres(name.clone(), grant.clone());
        }
        for grant in &credential.grants {
            self.policy.grant(name.clone(), grant.clone());
        }
        if let Some(service) = service(credential)? {
            self.lend(service, &name);
        }
        Ok(())
    }

    fn found(&mut self, step: &Step) {
        match step {
            Step::Service(service, name) => self.lend(service, name),
            Step::Grant(name, grant) => self.policy.grant(name.clone(), grant.clone()),
            Step::Reserve(service) => {
                for grant in &service.grants {
                    self.policy.reserve(grant.rule.clone());
                }
                self.of(service);
            }
            Step::Rules(service) => self.of(service),
        }
    }

    fn lend(&mut self, service: &'static Service, name: &CredentialName) {
        for grant in &service.grants {
            self.policy.grant(name.clone(), grant.clone());
            self.policy.name(&service.id, &grant.rule);
        }
        self.of(service);
    }

    /// A service's own rules.
    fn of(&mut self, service: &'static Service) {
        if self.open.insert(&service.id) {
            service.allow.iter().for_each(|rule| self.policy.allow(rule.clone()));
        }
        self.refuse(service);
    }

    /// Those of them that deny: what a service is used for at all.
    fn refuse(&mut self, service: &'static Service) {
        if self.refusing.insert(&service.id) {
            danger::refused(service).for_each(|rule| self.policy.deny(rule));
        }
    }
}
