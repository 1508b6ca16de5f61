//! Who keeps logins on the host. The data plane knows no file and no form of a token: it hands over what a token endpoint
//! answers and gets what the agent is told.

use standin_vault::Credential;
use std::any::Any;

/// Keeps logins on the host: the real tokens and the files they are in. Implemented by the binary.
pub trait TokenKeeper: Send + Sync {
    /// Waits until nobody else on this host exchanges tokens of this login, and says what there is to do. Blocks for as
    /// long as others take.
    fn turn(&self, login: &str, asked: Asked) -> Result<Begun, KeeperError>;
}

/// What the agent asks a token endpoint for (RFC 6749 §4.1.3 and §6, RFC 8628 §3.4).
#[derive(Clone, PartialEq, Eq)]
pub enum Asked {
    /// New tokens for this one, which it holds as a stand-in.
    Refresh(String),
    /// Tokens for a code: somebody logs in.
    LogIn,
}

/// How a turn begins.
pub struct Begun {
    /// What the session is lent from now on: somebody else has exchanged tokens meanwhile.
    pub lent: Vec<Credential>,
    /// What is to be done.
    pub next: Next,
}

/// What is to be done in a turn.
pub enum Next {
    /// The endpoint is to be asked. Nobody else asks it until this is dropped.
    Ask(Box<dyn Turn>),
    /// The agent is told something: the host has newer tokens than it.
    Tell {
        /// What it is told.
        told: Vec<u8>,
        /// Dropped when the session lends what belongs to it. Until then nobody else has a turn.
        until_lent: Box<dyn Any + Send>,
    },
}

/// The right to exchange a login's tokens.
pub trait Turn: Send {
    /// Keeps the tokens of an answer.
    fn keep(self: Box<Self>, answer: &[u8]) -> Result<Kept, KeeperError>;

    /// Judges an answer that says that there are none.
    fn judge_error(&self, answer: &[u8]) -> Result<(), KeeperError>;
}

/// Tokens that are kept.
pub struct Kept {
    /// What the session is lent from now on.
    pub lent: Vec<Credential>,
    /// What the agent is told.
    pub told: Vec<u8>,
    /// Dropped when the session lends them. Until then nobody else has a turn.
    pub until_lent: Box<dyn Any + Send>,
}

/// Why tokens cannot be exchanged. A message for the agent: it holds nothing of a token and nothing of the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeeperError(pub String);
