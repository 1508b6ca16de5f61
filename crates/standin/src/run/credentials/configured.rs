//! Credentials of the configuration and of `--secret`.

use super::super::database::{DatabaseUrl, DatabaseUrlError};
use super::super::identity;
use super::super::sources;
use super::super::ssh;
use super::{Gathering, Values, plain_shape, refused_admin, rules};
use crate::exit::Failure;
use standin_config::{Credential as Configured, Fetch, Source};
use standin_model::{CredentialName, HostPattern};
use standin_policy::catalogue::Catalogue;
use standin_secret::{Secret, SourceError, StandIn};
use standin_vault::shapes::ShapeFile;
use standin_vault::supply::{Admits, Supplied};
use standin_vault::{Credential, mint};
use std::sync::Arc;

/// Whether each of its rules says what may be asked: none lends all of a service, or of a host.
fn names_operations(credential: &Configured) -> bool {
    let elsewhere = !credential.git.is_empty() || !credential.postgres.is_empty();
    let all = credential.grants.iter().all(|grant| grant.rule.names_operations());
    credential.service.is_none() && !elsewhere && !credential.grants.is_empty() && all
}

/// Where it is lent to.
pub(super) fn hosts(credential: &Configured) -> Vec<HostPattern> {
    let service = credential.service.as_ref().and_then(|id| Catalogue::builtin().service(id));
    let grants = service.into_iter().flat_map(|service| &service.grants).chain(&credential.grants);
    grants.flat_map(|grant| grant.rule.hosts.iter().cloned()).collect()
}

/// What stands for the value of a source that is not asked: nothing that is in any file.
const SOME_VALUE: &[u8] = b"\0a value that was not fetched\0";

impl Gathering<'_> {
    /// Lends what the source of a credential has. Where it may go is told by [`rules`].
    pub(super) fn configured(&mut self, credential: &Configured) -> Result<(), Failure> {
        let name = CredentialName::new(credential.name.as_str());
        if !credential.git.is_empty() {
            return self.ssh_key(name, credential);
        }
        if !credential.postgres.is_empty() {
            return self.database(name, credential);
        }
        let service = rules::service(credential)?;
        if let Some(service) = service {
            self.is_used(service, true);
        }
        if let Some(certificate) = credential.client_certificate.as_ref().filter(|_| self.values == Values::Fetched) {
            let identity = identity::read(self.inputs, &name, certificate)?;
            self.identities.insert(name.clone(), identity);
        }
        let Some(source) = &credential.source else { return Ok(()) };
        let lent = self.sourced(source, credential, &name)?;
        let mut variables = credential.env.clone();
        if let Some(service) = service.filter(|_| variables.is_empty()) {
            variables.extend(service.env.first().cloned());
        }
        self.lend(lent, variables);
        Ok(())
    }

    /// Lends a key for git over SSH. Nothing stands for it inside, and it is not fetched before it is used.
    fn ssh_key(&mut self, name: CredentialName, credential: &Configured) -> Result<(), Failure> {
        if self.values == Values::Left {
            return Ok(());
        }
        let Some(source) = &credential.source else { return Ok(()) };
        let identity = ssh::identity(self.inputs, &mut self.sources, source)
            .map_err(|error| Failure::because(format!("the credential `{name}` is not available"), &error))?;
        self.ssh.insert(name, identity);
        Ok(())
    }

    /// Lends a database's password. Where a connection string is known, the password is what stands in it, and the command sees the
    /// string with the stand-in.
    fn database(&mut self, name: CredentialName, credential: &Configured) -> Result<(), Failure> {
        let Some(source) = &credential.source else { return Ok(()) };
        let lent = self.sourced(source, credential, &name)?;
        let refuse = |error: DatabaseUrlError| Failure::because(format!("the credential `{name}`"), &error);
        let Some(url) = DatabaseUrl::parse(lent.secret.expose()).map_err(refuse)? else {
            self.lend(lent, credential.env.clone());
            return Ok(());
        };
        if lent.supplied.is_some() {
            return Err(refuse(DatabaseUrlError::Fetched));
        }
        let stand_in = self.stand_in(credential, &name, Some(&plain_shape(url.password.expose())))?;
        let string = StandIn::new(url.with(stand_in.as_str()));
        self.variables.extend(credential.env.iter().map(|variable| (variable.clone(), string.clone())));
        self.lend(Credential::held(name, stand_in, Arc::new(url.password)), Vec::new());
        Ok(())
    }

    /// What a source holds, as a credential. Its value is fetched when a request is about to carry it, if its stand-in can be
    /// made without it: from a pattern, or from the shape that it had the last time.
    pub(super) fn sourced(
        &mut self,
        source: &Source,
        credential: &Configured,
        name: &CredentialName,
    ) -> Result<Credential, Failure> {
        if self.values == Values::Left && !sources::is_at_hand(source) {
            let some = Secret::copy_of(SOME_VALUE);
            let stand_in = self.stand_in(credential, name, Some(&some))?;
            return Ok(Credential::held(name.clone(), stand_in, Arc::new(some)));
        }
        let what = format!("the credential `{name}` is not available");
        let unavailable = |error: SourceError| Failure::because(&what, &error);
        let supply = self.sources.supply(self.inputs, source).map_err(unavailable)?;
        let member = sources::member(source).to_owned();
        let shape = ShapeFile::new(&self.inputs.state, &self.key, &format!("{}#{member}", sources::key(source)));
        let at_hand = sources::is_at_hand(source);
        let late = credential.fetch == Fetch::Use && !at_hand;
        let remembered = if late { shape.recall() } else { None };
        let (named, hosts) = (names_operations(credential), hosts(credential));
        let admits: Admits = {
            let hosts = hosts.clone();
            Arc::new(move |value| named || Catalogue::builtin().administered(value, &hosts).is_none())
        };
        let supplied = Supplied { supply, member: member.clone(), admits, shape, term: None };
        let nothing_yet = Arc::new(Secret::copy_of(b""));
        let waiting =
            |stand_in| Credential { name: name.clone(), stand_in, secret: nothing_yet, supplied: Some(supplied) };
        if late && (credential.like.is_some() || remembered.is_some()) {
            return Ok(waiting(self.stand_in(credential, name, remembered.as_ref())?));
        }
        let delivery = self.sources.now(self.inputs, source).map_err(unavailable)?;
        let (secret, _) = delivery.value(&member).map_err(unavailable)?;
        if let Some(service) = Catalogue::builtin().administered(secret.expose(), &hosts).filter(|_| !named) {
            return Err(refused_admin(service, name));
        }
        let waiting = waiting(self.stand_in(credential, name, Some(&secret))?);
        if at_hand {
            return Ok(Credential { secret: Arc::new(secret), supplied: None, ..waiting });
        }
        self.sources.now(self.inputs, source).and_then(|delivery| delivery.to(&waiting)).map_err(unavailable)
    }

    /// As its pattern has it, or in the shape of a value.
    fn stand_in(
        &self,
        credential: &Configured,
        name: &CredentialName,
        value: Option<&Secret>,
    ) -> Result<StandIn, Failure> {
        let workspace = &self.inputs.workspace;
        match (&credential.like, value) {
            (None, Some(value)) => Ok(mint::like_secret(&self.key, workspace, name, value)),
            (pattern, _) => {
                let pattern = pattern.as_deref().unwrap_or_default();
                mint::like_pattern(&self.key, workspace, name, pattern)
                    .map_err(|error| Failure::because(format!("the credential `{name}`"), &error))
            }
        }
    }
}
