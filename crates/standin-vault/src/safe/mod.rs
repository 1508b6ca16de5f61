//! The safe: an encrypted file of Standin's own in which secrets lie under names.
//!
//! * here: the file, for the [`key`] that lies beside it; replaced at once or not at all, by one process at a time;
//! * [`contents`]: what is in it: a line for each secret, its name and its value in base64;
//! * [`key`]: the key's own file, which may have a passphrase, or be in the keychain;
//! * [`sealed`]: both files' format, which is age's: `age -d -i secrets.key secrets.age` reads them without Standin;
//! * [`error`]: what can be wrong, and what mends it.

mod contents;
mod error;
mod key;
mod sealed;
#[cfg(test)]
mod tests;

pub use contents::{MAX_NAME, is_name};
pub use error::SafeError;

use crate::keychain::Keychain;
use crate::login::store::{MAX_FILE, Store, Turn};
use crate::source::fetched;
use age::{DecryptError, x25519};
use contents::Contents;
use key::KeyFile;
use standin_secret::{Fetched, Manner, Secret, SecretSource, SourceError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The safe in one directory.
pub struct Safe {
    store: Store,
    key: KeyFile,
}

/// One secret of a safe.
pub struct SafeSource {
    safe: Arc<Safe>,
    name: String,
    /// Which file was read the last time.
    read: Mutex<Option<Edition>>,
}

/// What tells one file in the safe's place from the next: it is replaced, never written to.
type Edition = (u64, i64, i64, u64);

impl Safe {
    /// The safe below Standin's state directory, which need not be there yet.
    pub fn new(state: &Path) -> Self {
        let at = |name: &str| state.join("secrets").join(name);
        let store = |name| Store { file: at(name), lock: at("secrets.lock"), clients_lock: None };
        Self { store: store("secrets.age"), key: KeyFile::new(store("secrets.key")) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.store.file
    }

    /// The key's file.
    pub fn key_path(&self) -> &Path {
        self.key.path()
    }

    /// Whether its owner has to be asked for a passphrase.
    pub fn has_passphrase(&self) -> Result<bool, SafeError> {
        self.key.is_closed()
    }

    /// Opens it with the passphrase that its owner gave.
    pub fn open(&mut self, passphrase: &Secret) -> Result<(), SafeError> {
        self.key.open(passphrase)
    }

    /// Whether its key is in the keychain.
    pub fn is_in_keychain(&self) -> Result<bool, SafeError> {
        self.key.is_in_keychain()
    }

    /// Opens it with the key that the keychain has.
    pub fn open_from(&mut self, keychain: &Keychain) -> Result<(), SafeError> {
        self.key.open_from(keychain)
    }

    /// Refuses if it is there already.
    pub fn is_new(&self) -> Result<(), SafeError> {
        if self.key.is_there()? || self.store.read()?.is_some() {
            return Err(SafeError::Exists { path: self.file() });
        }
        Ok(())
    }

    /// Gives a new one a passphrase.
    pub fn close_with(&mut self, passphrase: &Secret) -> Result<(), SafeError> {
        self.key.close_with(passphrase)
    }

    /// Keeps the key of a new one in the keychain.
    pub fn keep_in(&mut self, keychain: Keychain) {
        self.key.keep_in(keychain);
    }

    /// The names of its secrets, in their order.
    pub fn names(&self) -> Result<Vec<String>, SafeError> {
        Ok(self.read()?.names().map(str::to_owned).collect())
    }

    /// One of its secrets.
    pub fn get(&self, name: &str) -> Result<Secret, SafeError> {
        self.read()?.get(name).ok_or_else(|| self.no_such(name))
    }

    /// Puts a secret in, also in the place of another; whether there was one.
    pub fn set(&self, name: &str, value: &Secret) -> Result<bool, SafeError> {
        self.change(|contents| Ok(contents.set(name, value)))
    }

    /// Takes a secret out.
    pub fn remove(&self, name: &str) -> Result<(), SafeError> {
        self.change(|contents| if contents.remove(name) { Ok(()) } else { Err(self.no_such(name)) })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Contents) -> Result<T, SafeError>) -> Result<T, SafeError> {
        let turn = self.store.turn()?;
        let mut contents = self.read()?;
        let done = change(&mut contents)?;
        let recipient = self.identity_or_new(&turn)?.to_public();
        let sealed = sealed::seal(&recipient, &contents.text())
            .map_err(|source| SafeError::Encrypt { path: self.file(), source })?;
        // What is larger would not be read again.
        if sealed.len() > MAX_FILE {
            return Err(SafeError::Full { path: self.file() });
        }
        self.store.replace(&turn, &sealed)?;
        Ok(done)
    }

    fn read(&self) -> Result<Contents, SafeError> {
        let identity = self.key.identity()?;
        let Some(file) = self.store.read()? else { return Ok(Contents::default()) };
        let identity = identity.ok_or_else(|| self.key_gone())?;
        let text = sealed::open(&file, &identity).map_err(|error| match error {
            DecryptError::NoMatchingKeys => SafeError::OtherKey { path: self.file(), key: self.key.path().to_owned() },
            _ => SafeError::Damaged { path: self.file() },
        })?;
        Contents::parse(&text).ok_or_else(|| SafeError::Damaged { path: self.file() })
    }

    /// The key, made for the first secret. If that is to have a passphrase, or to be in the keychain, no other will do: somebody else was first.
    fn identity_or_new(&self, turn: &Turn) -> Result<x25519::Identity, SafeError> {
        match self.key.identity()? {
            Some(_) if self.key.is_to_be_made() => Err(SafeError::Exists { path: self.file() }),
            Some(identity) => Ok(identity),
            None => self.key.make(turn),
        }
    }

    /// Which file is in its place; nothing if none is.
    fn edition(&self) -> Option<Edition> {
        let found = std::fs::metadata(self.path()).ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec(), found.size()))
    }

    fn file(&self) -> PathBuf {
        self.store.file.clone()
    }

    fn key_gone(&self) -> SafeError {
        SafeError::KeyGone { key: self.key.path().to_owned(), path: self.file() }
    }

    fn no_such(&self, name: &str) -> SafeError {
        SafeError::NoSuch { path: self.file(), name: name.to_owned() }
    }
}

impl SafeSource {
    /// The secret of this name.
    pub fn new(safe: Arc<Safe>, name: &str) -> Self {
        Self { safe, name: name.to_owned(), read: Mutex::default() }
    }
}

impl SecretSource for SafeSource {
    fn describe(&self) -> String {
        format!("age:{}", self.name)
    }

    fn fetch(&self, _: Manner) -> Result<Fetched, SourceError> {
        // Before it is read: what comes in between is fetched once more.
        let edition = self.safe.edition();
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = edition;
        let value = self.safe.get(&self.name).map_err(|error| SourceError::Safe(Box::new(error)))?;
        fetched(value.expose(), || self.describe())
    }

    fn is_behind(&self) -> bool {
        let read = *self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.is_some() && read != self.safe.edition()
    }
}
