//! Secrets that cannot be printed, and where they come from.
//!
//! [`Secret`] has no `Debug`, `Display`, `Clone` or `Serialize`, and is overwritten on drop, so a real
//! credential cannot get into a log line, a record or an error by accident: it does not compile. The
//! one way to the bytes is [`Secret::expose`], which is easy to search for.

use zeroize::Zeroizing;

/// A real credential.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; the caller's copy must not outlive this call.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Every call site is a place to review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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

/// Where a real credential lives. Implemented by the vault; called on first use.
pub trait SecretSource: Send + Sync {
    /// The source as it was configured, for messages: `env:GH_TOKEN`, `file:/path`. Never the value.
    fn describe(&self) -> String;

    /// Fetches the value.
    fn fetch(&self) -> Result<Secret, SourceError>;
}

/// Why a source gave no secret. Messages never hold a part of the value.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The environment variable is not set.
    #[error("the environment variable {0} is not set")]
    EnvMissing(String),
    /// The file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file has no value of that name, or is not in a format that is understood.
    #[error("there is no value `{name}` in {path}")]
    NoValue {
        /// The file.
        path: std::path::PathBuf,
        /// The name.
        name: String,
    },
    /// The command cannot be started.
    #[error("cannot run `{program}`")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The command failed.
    #[error("`{program}` ended with {status}")]
    Command {
        /// The program.
        program: String,
        /// Its exit status.
        status: std::process::ExitStatus,
    },
    /// The command did not answer in time.
    #[error("`{program}` gave no answer within {seconds} s")]
    Deadline {
        /// The program.
        program: String,
        /// The limit, in seconds.
        seconds: u64,
    },
    /// Nothing but white space came.
    #[error("{0} is empty")]
    Empty(String),
    /// More than a credential can be.
    #[error("{0} is larger than 64 KiB")]
    TooLarge(String),
}
