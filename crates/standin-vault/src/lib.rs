//! Where real credentials live, and the stand-ins that are shown instead of them.
//!
//! * [`source`]: `env:`, `file:` and `cmd:`;
//! * [`key`]: the host's key from which stand-ins are derived;
//! * [`mint`]: a value with the shape of a credential and none of its content;
//! * [`SessionVault`]: the table of one session.
//!
//! It knows no HTTP and no policy.

pub mod key;
pub mod mint;
pub mod source;

use standin_model::CredentialName;
use standin_secret::{Secret, StandIn};
use std::collections::HashMap;
use std::sync::Arc;

/// One credential of a session.
pub struct Credential {
    /// What it is called.
    pub name: CredentialName,
    /// What the agent holds.
    pub stand_in: StandIn,
    /// What goes out instead.
    pub secret: Arc<Secret>,
}

/// Which stand-in stands for which secret in one session.
pub struct SessionVault {
    credentials: Vec<Credential>,
    by_stand_in: HashMap<String, CredentialIndex>,
}

/// A credential of a [`SessionVault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialIndex(usize);

impl SessionVault {
    /// The vault of a session that holds these credentials.
    pub fn new(credentials: Vec<Credential>) -> Self {
        let by_stand_in =
            credentials.iter().enumerate().map(|(i, c)| (c.stand_in.as_str().to_owned(), CredentialIndex(i))).collect();
        Self { credentials, by_stand_in }
    }

    /// The credential that `text` stands in for, if the whole of it is a stand-in.
    pub fn by_stand_in(&self, text: &str) -> Option<CredentialIndex> {
        self.by_stand_in.get(text).copied()
    }

    /// The credential that is called so.
    pub fn by_name(&self, name: &CredentialName) -> Option<CredentialIndex> {
        self.credentials.iter().position(|credential| credential.name == *name).map(CredentialIndex)
    }

    /// What it is called.
    pub fn name(&self, index: CredentialIndex) -> &CredentialName {
        &self.credentials[index.0].name
    }

    /// What the agent holds.
    pub fn stand_in(&self, index: CredentialIndex) -> &StandIn {
        &self.credentials[index.0].stand_in
    }

    /// What goes out instead.
    pub fn secret(&self, index: CredentialIndex) -> &Secret {
        &self.credentials[index.0].secret
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.credentials.iter()
    }
}
