//! Why a safe cannot be used. Each says what mends it.

use crate::keychain::KeychainError;
use crate::login::store::StoreError;
use std::io;
use std::path::PathBuf;

/// Why a safe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SafeError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key, or the directory, cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key is gone.
    #[error("the key {key} of {path} is gone; bring it back from a backup, or remove {path} and set its secrets anew")]
    KeyGone {
        /// The key.
        key: PathBuf,
        /// The safe.
        path: PathBuf,
    },
    /// Others can read the key, or put another in its place.
    #[error("{path} is not yours alone; run `chmod {mode:o} {path}`")]
    Exposed {
        /// The key, or the directory.
        path: PathBuf,
        /// What it should be.
        mode: u32,
    },
    /// Another user owns the key, or the directory.
    #[error("{path} belongs to another user; use Standin as the one whose home it is")]
    NotOurs {
        /// The key, or the directory.
        path: PathBuf,
    },
    /// The key is none.
    #[error("{path} holds no age key; bring it back from a backup")]
    KeyDamaged {
        /// The key.
        path: PathBuf,
    },
    /// The file is encrypted for another.
    #[error("{path} is encrypted for another key than {key}; bring the right one back from a backup")]
    OtherKey {
        /// The safe.
        path: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The key has a passphrase, and nobody was asked for it.
    #[error("{path} has a passphrase, and nobody can be asked for it now")]
    Locked {
        /// The key.
        path: PathBuf,
    },
    /// The keychain gave no key, or took none.
    #[error("the key of {path} is to be in the keychain")]
    Keychain {
        /// The key.
        path: PathBuf,
        /// What it said.
        source: KeychainError,
    },
    /// The keychain's key is another.
    #[error("the keychain has another key than that of {path}; bring the right one back from a backup of the keychain")]
    OtherInKeychain {
        /// The key.
        path: PathBuf,
    },
    /// The key is in the keychain, which was not asked.
    #[error("the key of {path} is in the keychain, which was not asked")]
    NotFetched {
        /// The key.
        path: PathBuf,
    },
    /// The passphrase is another.
    #[error("this is not the passphrase of {path}; try again")]
    WrongPassphrase {
        /// The key.
        path: PathBuf,
    },
    /// A passphrase that other programs could not be given.
    #[error("a passphrase has to be text in UTF-8, of one character at least")]
    NoPassphrase,
    /// The passphrase takes more work than is done.
    #[error("the passphrase of {path} takes more work than Standin does; encrypt the key anew with `age -p`")]
    TooMuchWork {
        /// The key.
        path: PathBuf,
    },
    /// A new one was to be made.
    #[error("{path} is there already, and keeps the key that it has; remove its directory, and set its secrets anew")]
    Exists {
        /// The safe.
        path: PathBuf,
    },
    /// It is not what was written.
    #[error("{path} is damaged or was cut short; bring it back from a backup, or remove it and set its secrets anew")]
    Damaged {
        /// The safe.
        path: PathBuf,
    },
    /// There is no room for more.
    #[error("{path} would be larger than 1 MiB; remove secrets that nobody needs")]
    Full {
        /// The safe.
        path: PathBuf,
    },
    /// It has no such secret.
    #[error("{path} has no secret `{name}`; `standin secret list` names those that it has")]
    NoSuch {
        /// The safe.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// It cannot be encrypted.
    #[error("cannot encrypt {path}")]
    Encrypt {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: io::Error,
    },
}
