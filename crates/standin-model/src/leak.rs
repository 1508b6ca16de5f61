//! What becomes of a credential whose stand-in was sent where it does not belong.

use crate::CredentialName;

/// What is done besides refusing the request, putting it on record and telling the session's owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnLeak {
    /// Nothing more.
    #[default]
    Refuse,
    /// The stand-in is worth nothing for the rest of the session.
    Revoke,
    /// That, and the session ends.
    Stop,
}

/// No reaction has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is done about a leak is `refuse`, `revoke` or `stop`")]
pub struct UnknownReaction;

impl OnLeak {
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self, UnknownReaction> {
        match name {
            "refuse" => Ok(Self::Refuse),
            "revoke" => Ok(Self::Revoke),
            "stop" => Ok(Self::Stop),
            _ => Err(UnknownReaction),
        }
    }
}

/// A stand-in was sent where it does not belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Whose stand-in.
    pub credential: CredentialName,
    /// To which host, as the record has it.
    pub host: String,
    /// What is done.
    pub reaction: OnLeak,
}
