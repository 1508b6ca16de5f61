//! Secrets that cannot be printed, and where they come from.
//!
//! [`Secret`] has no `Debug`, `Display`, `Clone` or `Serialize`, and is overwritten on drop, so a real
//! credential cannot get into a log line, a record or an error by accident: it does not compile. The
//! one way to the bytes is [`Secret::expose`], which is easy to search for. It lies in memory that is
//! not swapped out and not dumped ([`all_locked`]).

mod locked;
mod source;

pub use locked::all_locked;
pub use source::{Fetched, Manner, SecretSource, SourceError, Value};

use locked::Locked;
use zeroize::Zeroizing;

/// A real credential.
pub struct Secret(Locked);

impl Secret {
    /// Takes the bytes over; the caller's copy must not outlive this call.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self::copy_of(&Zeroizing::new(bytes))
    }

    /// Copies the bytes, whose owner overwrites them.
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self(Locked::copy_of(bytes))
    }

    /// The bytes. Every call site is a place to review.
    pub fn expose(&self) -> &[u8] {
        self.0.bytes()
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }
}

/// An inert value with the shape of a credential: what the agent holds. Not a secret, but unguessable.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StandIn(String);

impl StandIn {
    /// Wraps a value made by the vault.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for StandIn {
    /// Shows the length only: a stand-in in a log would be taken for a leak.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StandIn({} bytes)", self.0.len())
    }
}
