//! The key of a safe: an age identity in a file that is its owner's alone, as it is or closed with a passphrase.
//!
//! Closed it is what `age -p` makes of an identity. The work for the passphrase is done once: who has opened it keeps the identity.

use super::error::SafeError;
use super::sealed::{open, seal};
use crate::login::store::{Store, Turn};
use crate::read_bounded;
use age::secrecy::{ExposeSecret, SecretString};
use age::{DecryptError, scrypt, x25519};
use rustix::process::geteuid;
use standin_secret::Secret;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// What an identity begins with.
const MARK: &str = "AGE-SECRET-KEY-1";
/// What an encrypted file begins with.
const CLOSED: &[u8] = b"age-encryption.org/";
/// Work for a passphrase, as `age` does it: 2^18 takes about a second, and 256 MiB.
const WORK: u8 = 18;
/// The most work that a file may ask for: four seconds, and 1 GiB.
const MAX_WORK: u8 = 20;
/// Largest file, in bytes. They have some hundred.
const MAX_FILE: usize = 16 * 1024;

/// A key's file.
pub(super) struct KeyFile {
    store: Store,
    /// What is in a closed one, once it was opened.
    opened: Option<Secret>,
    /// With what a new one is closed.
    passphrase: Option<SecretString>,
    pub(super) work: u8,
}

impl KeyFile {
    /// Kept there, which need not be there yet.
    pub(super) fn new(store: Store) -> Self {
        Self { store, opened: None, passphrase: None, work: WORK }
    }

    pub(super) fn path(&self) -> &Path {
        &self.store.file
    }

    pub(super) fn is_there(&self) -> Result<bool, SafeError> {
        Ok(self.read()?.is_some())
    }

    /// Whether it has a passphrase.
    pub(super) fn is_closed(&self) -> Result<bool, SafeError> {
        Ok(self.read()?.is_some_and(|file| file.starts_with(CLOSED)))
    }

    /// Opens it with the passphrase that its owner gave.
    pub(super) fn open(&mut self, passphrase: &Secret) -> Result<(), SafeError> {
        let Some(file) = self.read()? else { return Ok(()) };
        let path = || self.path().to_owned();
        let Some(passphrase) = text_of(passphrase) else {
            return Err(SafeError::WrongPassphrase { path: path() });
        };
        let mut identity = scrypt::Identity::new(passphrase);
        identity.set_max_work_factor(MAX_WORK);
        let text = open(&file, &identity).map_err(|error| match error {
            DecryptError::DecryptionFailed => SafeError::WrongPassphrase { path: path() },
            DecryptError::ExcessiveWork { .. } => SafeError::TooMuchWork { path: path() },
            _ => SafeError::KeyDamaged { path: path() },
        })?;
        self.parse(&text)?;
        self.opened = Some(Secret::copy_of(&text));
        Ok(())
    }

    /// Closes one that is made later with a passphrase.
    pub(super) fn close_with(&mut self, passphrase: &Secret) -> Result<(), SafeError> {
        self.passphrase = Some(text_of(passphrase).ok_or(SafeError::NoPassphrase)?);
        Ok(())
    }

    /// The key; nothing if there is none.
    pub(super) fn identity(&self) -> Result<Option<x25519::Identity>, SafeError> {
        let Some(file) = self.read()? else { return Ok(None) };
        if !file.starts_with(CLOSED) {
            return self.parse(&file).map(Some);
        }
        let opened = self.opened.as_ref().ok_or_else(|| SafeError::Locked { path: self.path().to_owned() })?;
        self.parse(opened.expose()).map(Some)
    }

    /// Makes a key where there is none.
    pub(super) fn make(&self, turn: &Turn) -> Result<x25519::Identity, SafeError> {
        let identity = x25519::Identity::generate();
        let secret = identity.to_string();
        let text = Zeroizing::new(format!("# public key: {}\n{}\n", identity.to_public(), secret.expose_secret()));
        match &self.passphrase {
            None => self.store.replace(turn, text.as_bytes())?,
            Some(passphrase) => {
                let mut recipient = scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(self.work);
                let sealed = seal(&recipient, text.as_bytes())
                    .map_err(|source| SafeError::Encrypt { path: self.path().to_owned(), source })?;
                self.store.replace(turn, &sealed)?;
            }
        }
        Ok(identity)
    }

    /// Whether one that is made is closed.
    pub(super) fn is_to_be_closed(&self) -> bool {
        self.passphrase.is_some()
    }

    fn parse(&self, text: &[u8]) -> Result<x25519::Identity, SafeError> {
        let text = std::str::from_utf8(text).unwrap_or_default();
        let key = text.lines().find(|line| line.starts_with(MARK)).and_then(|line| line.trim_end().parse().ok());
        key.ok_or_else(|| SafeError::KeyDamaged { path: self.path().to_owned() })
    }

    /// What is in the file, if nobody else can read it or put another there; nothing if there is none.
    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SafeError> {
        let directory = self.path().parent().unwrap_or(Path::new("/"));
        let Some(found) = there(directory, fs::metadata(directory))? else { return Ok(None) };
        is_ours(directory, &found, 0o022, 0o700)?;
        let Some(file) = there(self.path(), File::open(self.path()))? else { return Ok(None) };
        let fault = |source| SafeError::Read { path: self.path().to_owned(), source };
        let found = file.metadata().map_err(fault)?;
        is_ours(self.path(), &found, 0o077, 0o600)?;
        read_bounded(file, found.len(), MAX_FILE).map(Some).map_err(fault)
    }
}

/// What there is; nothing if it is not there.
fn there<T>(path: &Path, found: io::Result<T>) -> Result<Option<T>, SafeError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SafeError::Read { path: path.to_owned(), source }),
    }
}

/// Ours, and with none of these permissions.
fn is_ours(path: &Path, found: &Metadata, without: u32, mode: u32) -> Result<(), SafeError> {
    if found.uid() != geteuid().as_raw() {
        return Err(SafeError::NotOurs { path: path.to_owned() });
    }
    if found.permissions().mode() & without != 0 {
        return Err(SafeError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// As the library wants it, which overwrites it, too. Nothing if it is no text, or none.
fn text_of(secret: &Secret) -> Option<SecretString> {
    let text = std::str::from_utf8(secret.expose()).ok().filter(|text| !text.is_empty())?;
    Some(SecretString::from(text.to_owned()))
}
