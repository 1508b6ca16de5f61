//! The key of a safe: an age identity in a file that is its owner's alone, as it is or closed with a passphrase, or in the desktop's
//! keychain; then the file says for whom the safe is encrypted, which names the key there.
//!
//! Closed it is what `age -p` makes of an identity. The work for the passphrase is done once, and the keychain is asked once: who has
//! opened it keeps the identity.

use super::error::SafeError;
use super::sealed::{open, seal};
use crate::keychain::{Attributes, Keychain};
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
/// What the line begins with that stands for a key in the keychain.
const RECIPIENT: &str = "age1";
/// What the keychain has them under.
const SERVICE: &str = "standin";
/// What the keychain's own programs show of it.
const LABEL: &str = "Standin's secrets";
/// Work for a passphrase, as `age` does it: 2^18 takes about a second, and 256 MiB.
const WORK: u8 = 18;
/// The most work that a file may ask for: four seconds, and 1 GiB.
const MAX_WORK: u8 = 20;
/// Largest file, in bytes. They have some hundred.
const MAX_FILE: usize = 16 * 1024;

/// A key's file.
pub(super) struct KeyFile {
    store: Store,
    /// What is in a closed one, or in the keychain, once it was opened.
    opened: Option<Secret>,
    /// With what a new one is closed.
    passphrase: Option<SecretString>,
    /// Where a new one is kept.
    keychain: Option<Keychain>,
    pub(super) work: u8,
}

impl KeyFile {
    /// Kept there, which need not be there yet.
    pub(super) fn new(store: Store) -> Self {
        Self { store, opened: None, passphrase: None, keychain: None, work: WORK }
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

    /// Whether it is in the keychain.
    pub(super) fn is_in_keychain(&self) -> Result<bool, SafeError> {
        Ok(self.read()?.is_some_and(|file| recipient(&file).is_some()))
    }

    /// Fetches it from the keychain.
    pub(super) fn open_from(&mut self, keychain: &Keychain) -> Result<(), SafeError> {
        let Some(recipient) = self.read()?.as_deref().and_then(|file| recipient(file)) else { return Ok(()) };
        let path = || self.path().to_owned();
        let found = keychain.get(&attributes(&recipient));
        let found = found.map_err(|source| SafeError::Keychain { path: path(), source })?;
        if self.parse(found.expose())?.to_public().to_string() != recipient {
            return Err(SafeError::OtherInKeychain { path: path() });
        }
        self.opened = Some(found);
        Ok(())
    }

    /// Keeps one that is made later in the keychain.
    pub(super) fn keep_in(&mut self, keychain: Keychain) {
        self.keychain = Some(keychain);
    }

    /// The key; nothing if there is none.
    pub(super) fn identity(&self) -> Result<Option<x25519::Identity>, SafeError> {
        let Some(file) = self.read()? else { return Ok(None) };
        let is_in_keychain = recipient(&file).is_some();
        if !file.starts_with(CLOSED) && !is_in_keychain {
            return self.parse(&file).map(Some);
        }
        let path = self.path().to_owned();
        let opened = self.opened.as_ref();
        let opened =
            opened.ok_or(if is_in_keychain { SafeError::NotFetched { path } } else { SafeError::Locked { path } })?;
        self.parse(opened.expose()).map(Some)
    }

    /// Makes a key where there is none.
    pub(super) fn make(&self, turn: &Turn) -> Result<x25519::Identity, SafeError> {
        let identity = x25519::Identity::generate();
        let secret = identity.to_string();
        let public = identity.to_public();
        if let Some(keychain) = &self.keychain {
            let attributes = attributes(&public.to_string());
            let kept = keychain.set(LABEL, &attributes, &Secret::copy_of(secret.expose_secret().as_bytes()));
            kept.map_err(|source| SafeError::Keychain { path: self.path().to_owned(), source })?;
            let text = format!("# The key is in the keychain: secret-tool lookup {attributes}\n{public}\n");
            self.store.replace(turn, text.as_bytes())?;
            return Ok(identity);
        }
        let text = Zeroizing::new(format!("# public key: {public}\n{}\n", secret.expose_secret()));
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

    /// Whether only one that is made will do: one that is closed, or in the keychain.
    pub(super) fn is_to_be_made(&self) -> bool {
        self.passphrase.is_some() || self.keychain.is_some()
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

/// For whom the safe is encrypted, if that is all that a key's file says.
fn recipient(file: &[u8]) -> Option<String> {
    let mut lines = std::str::from_utf8(file).ok()?.lines().filter(|line| !line.starts_with('#'));
    let line = lines.next()?.trim_end();
    (line.starts_with(RECIPIENT) && lines.next().is_none()).then(|| line.to_owned())
}

/// What names a key in the keychain.
fn attributes(recipient: &str) -> Attributes {
    Attributes::account(SERVICE, recipient)
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
