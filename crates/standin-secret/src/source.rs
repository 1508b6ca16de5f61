//! Where a real credential lives: the trait of all sources, and why one fails.

use crate::Secret;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::SystemTime;

/// Where real credentials live. Implemented by the vault.
pub trait SecretSource: Send + Sync {
    /// The source as it was configured, for messages: `env:GH_TOKEN`, `file:/path`. Never the value.
    fn describe(&self) -> String;

    /// Fetches what is there. Blocks.
    fn fetch(&self, manner: Manner) -> Result<Fetched, SourceError>;

    /// Whether it has something else now than it gave the last time, as far as that can be told at no cost.
    fn is_behind(&self) -> bool {
        false
    }

    /// One value of what was fetched. A source of one value has it under no name (`""`).
    fn value(&self, fetched: &Fetched, member: &str) -> Result<Value, SourceError> {
        if member.is_empty() {
            return Ok(Value { secret: Secret::copy_of(fetched.text.expose()), expires: fetched.expires });
        }
        Err(SourceError::NoMember { source_name: self.describe(), member: member.to_owned() })
    }
}

/// How a source may go about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Nothing runs yet, and the terminal is ours: it may ask its user there.
    MayAsk,
    /// The terminal is the command's: nothing is read from it and nothing is said on it.
    Silent,
}

/// What a source gave.
pub struct Fetched {
    /// All of it.
    pub text: Secret,
    /// When.
    pub at: SystemTime,
    /// When all of it is worth nothing any more, if that is known.
    pub expires: Option<SystemTime>,
}

/// One value of what a source gave.
pub struct Value {
    /// The value.
    pub secret: Secret,
    /// When it is worth nothing any more, if that is known.
    pub expires: Option<SystemTime>,
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
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has no value of that name, or is not in a format that is understood.
    #[error("there is no value `{name}` in {path}")]
    NoValue {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// The source has no value of that name.
    #[error("{source_name} gave no value `{member}`")]
    NoMember {
        /// The source.
        source_name: String,
        /// The name.
        member: String,
    },
    /// What the source gave is not in the form that it is documented to have.
    #[error("{source_name} gave something else than expected: {what}")]
    NotUnderstood {
        /// The source.
        source_name: String,
        /// What is wrong; nothing of what it gave.
        what: &'static str,
    },
    /// What the source gave is worth nothing any more.
    #[error("what {0} gave has expired already")]
    Expired(String),
    /// A key that makes further keys.
    #[error("what {0} gave administers its service, and such keys are never lent")]
    Administers(String),
    /// Standin's own store has no such value, or cannot be read.
    #[error(transparent)]
    Safe(Box<dyn std::error::Error + Send + Sync>),
    /// The service that keeps it gave none.
    #[error("{source_name} gave nothing")]
    Service {
        /// The source.
        source_name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The command cannot be started.
    #[error("cannot run `{program}`")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The command failed.
    #[error("`{program}` ended with {status}")]
    Command {
        /// The program.
        program: String,
        /// Its exit status.
        status: ExitStatus,
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
