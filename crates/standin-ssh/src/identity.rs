//! The key that authenticates the user to a host: from a source, for one connection, or in an agent, which keeps it.

use crate::agent::{Agent, SignError};
use crate::client::Connected;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use standin_secret::{Secret, SourceError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a user's key is.
#[derive(Clone)]
pub enum Identity {
    /// Wherever this brings it from: a private key in OpenSSH's or PEM format.
    Key(Arc<dyn KeySource>),
    /// In an agent.
    Agent(Arc<Agent>),
}

/// Brings a key.
pub trait KeySource: Send + Sync {
    /// Fetches it. Blocks.
    fn fetch(&self) -> Result<Secret, SourceError>;
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The source failed.
    #[error("cannot fetch the key")]
    Source(#[source] SourceError),
    /// What came is none.
    #[error("the source holds no private key in OpenSSH's format")]
    Malformed,
    /// It is encrypted.
    #[error("the key is encrypted; add it to the ssh-agent, and write `source = \"ssh-agent:\"`")]
    Encrypted,
    /// It is an RSA key.
    #[error("keys of RSA are used from an agent only; add it to the ssh-agent, and write `source = \"ssh-agent:\"`")]
    Rsa,
    /// No agent answers.
    #[error("no ssh-agent answers at {socket}")]
    NoAgent {
        /// Where it should.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The agent failed.
    #[error("the ssh-agent failed")]
    Agent(#[source] russh::keys::Error),
    /// The agent has no key, or not the one that is meant.
    #[error("the ssh-agent holds no such key")]
    NoKey,
    /// The agent did not sign.
    #[error("the ssh-agent did not sign")]
    Unsigned(#[source] SignError),
    /// The thread that fetched it broke.
    #[error("the key was not fetched")]
    Broken,
    /// The connection broke.
    #[error("the connection broke")]
    Connection(#[source] russh::Error),
}

impl Identity {
    /// Authenticates to a server whose key is known; gives whether the server was content.
    pub(crate) async fn authenticate(&self, server: &mut Connected, user: &str) -> Result<bool, IdentityError> {
        match self {
            Self::Key(source) => with_key(server, user, Arc::clone(source)).await,
            Self::Agent(agent) => agent.authenticate(server, user).await,
        }
    }
}

async fn with_key(server: &mut Connected, user: &str, source: Arc<dyn KeySource>) -> Result<bool, IdentityError> {
    let read = tokio::task::spawn_blocking(move || private_key(&source.fetch().map_err(IdentityError::Source)?));
    let key = read.await.map_err(|_| IdentityError::Broken)??;
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    let authenticated = server.authenticate_publickey(user, key).await.map_err(IdentityError::Connection)?;
    Ok(authenticated.success())
}

/// Reads a key strictly: of a kind that is signed with in this process.
fn private_key(text: &Secret) -> Result<PrivateKey, IdentityError> {
    let text = std::str::from_utf8(text.expose()).map_err(|_| IdentityError::Malformed)?;
    let key = match russh::keys::decode_secret_key(text, None) {
        Ok(key) => key,
        Err(russh::keys::Error::KeyIsEncrypted) => return Err(IdentityError::Encrypted),
        Err(_) if text.contains("BEGIN RSA PRIVATE KEY") => return Err(IdentityError::Rsa),
        Err(_) => return Err(IdentityError::Malformed),
    };
    if key.algorithm().is_rsa() { Err(IdentityError::Rsa) } else { Ok(key) }
}
