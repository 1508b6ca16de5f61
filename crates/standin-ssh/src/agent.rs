//! The user's ssh-agent: it keeps the keys, and may ask its owner before it signs with one, or wait for a touch.

use crate::client::Connected;
use crate::identity::IdentityError;
use russh::client::AuthResult;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PublicKey};
use russh::{AgentAuthError, Signer};
use standin_model::limits::SOURCE_PAUSE;
use std::path::PathBuf;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Keys of an agent that are tried. Servers usually hang up after six.
const MAX_TRIED: usize = 6;

/// An agent, and which of its keys are meant.
pub struct Agent {
    socket: PathBuf,
    fingerprint: Option<String>,
    /// When it last began to sign and did not. Held while it is asked: its owner is asked one thing after the other.
    unsigned: Mutex<Option<Instant>>,
}

/// Why an agent did not sign.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// It was asked.
    #[error(transparent)]
    Agent(#[from] AgentAuthError),
    /// What is inside chooses when a key is used, and must not be able to have its owner asked on and on.
    #[error("it did not sign a moment ago, and is left alone for {SOURCE_PAUSE:?}")]
    LeftAlone,
    /// The connection for which it is asked is gone.
    #[error("the connection broke")]
    Gone(#[from] russh::SendError),
}

impl Agent {
    /// The agent that listens at this socket, and the one key that is meant, by its fingerprint (`SHA256:…`).
    pub fn new(socket: PathBuf, fingerprint: Option<String>) -> Self {
        Self { socket, fingerprint, unsigned: Mutex::default() }
    }

    /// Authenticates to a server whose key is known; gives whether the server was content.
    pub(crate) async fn authenticate(&self, server: &mut Connected, user: &str) -> Result<bool, IdentityError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| IdentityError::NoAgent { socket: self.socket.clone(), source })?;
        let mut client = AgentClient::connect(stream);
        // An agent may hold keys for certain hosts only (`ssh-add -h`), and is told which one this is. Older ones know nothing of it.
        if let Some(binding) = server.agent_session_binding() {
            client.bind_session(binding, false).await.ok();
        }
        let held = client.request_identities().await.map_err(IdentityError::Agent)?;
        let keys = held.iter().map(|identity| identity.public_key().into_owned());
        let keys: Vec<_> = keys.filter(|key| self.means(key)).take(MAX_TRIED).collect();
        if keys.is_empty() {
            return Err(IdentityError::NoKey);
        }
        let mut pen = Pen { agent: self, client };
        for key in keys {
            let hash = if key.algorithm().is_rsa() { Some(HashAlg::Sha512) } else { None };
            match server.authenticate_publickey_with(user, key, hash, &mut pen).await {
                Ok(AuthResult::Success) => return Ok(true),
                Ok(AuthResult::Failure { .. }) => {}
                Err(error) => return Err(IdentityError::Unsigned(error)),
            }
        }
        Ok(false)
    }

    fn means(&self, key: &PublicKey) -> bool {
        self.fingerprint.as_ref().is_none_or(|meant| key.fingerprint(HashAlg::Sha256).to_string() == *meant)
    }
}

/// Signs for one connection.
struct Pen<'a> {
    agent: &'a Agent,
    client: AgentClient<UnixStream>,
}

impl Signer for Pen<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        text: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let mut unsigned = self.agent.unsigned.lock().await;
        if unsigned.is_some_and(|at| at.elapsed() < SOURCE_PAUSE) {
            return Err(SignError::LeftAlone);
        }
        // Stays so if it is not waited for to the end.
        *unsigned = Some(Instant::now());
        let signed = self.client.auth_sign(key, hash, text).await;
        *unsigned = if signed.is_ok() { None } else { Some(Instant::now()) };
        Ok(signed?)
    }
}
