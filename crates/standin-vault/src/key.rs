//! The host's key. Stand-ins are derived from it, so they are the same in every run and nobody can guess them.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bytes of the key: as many as HMAC-SHA-256 gives out.
pub const KEY_BYTES: usize = 32;

/// The key.
pub struct StandInKey(Zeroizing<[u8; KEY_BYTES]>);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("cannot read or make the key {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read it.
    #[error("the key {path} can be read by others; run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// It has another length.
    #[error("the key {path} is damaged; remove it, and stand-ins will change once")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("the system gives no random bytes")]
    Random,
}

impl StandInKey {
    /// The key in `directory`; made on first use, for its owner only.
    pub fn load_or_create(directory: &Path) -> Result<Self, KeyError> {
        let path = directory.join("stand-in.key");
        let fault = |source| KeyError::File { path: path.clone(), source };
        match fs::File::open(&path) {
            Ok(file) => Self::read(file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::create(directory, &path)?;
                Self::read(fs::File::open(&path).map_err(fault)?, &path)
            }
            Err(source) => Err(fault(source)),
        }
    }

    /// A key that is not kept: stand-ins change with every run.
    pub fn ephemeral() -> Result<Self, KeyError> {
        Ok(Self(random()?))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &*self.0
    }

    fn read(mut file: fs::File, path: &Path) -> Result<Self, KeyError> {
        let fault = |source| KeyError::File { path: path.to_owned(), source };
        if file.metadata().map_err(fault)?.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Exposed { path: path.to_owned() });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
        (&mut file).take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(fault)?;
        let key: [u8; KEY_BYTES] =
            bytes.as_slice().try_into().map_err(|_| KeyError::Damaged { path: path.to_owned() })?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Written aside, then linked: of two first runs one wins, and both read the winner's whole key.
    fn create(directory: &Path, path: &Path) -> Result<(), KeyError> {
        let fault = |source| KeyError::File { path: path.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(fault)?;
        let aside = directory.join(format!("stand-in.key.{}", std::process::id()));
        let key = random()?;
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)
            .and_then(|mut file| file.write_all(&*key).and_then(|()| file.sync_all()))
            .and_then(|()| match fs::hard_link(&aside, path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            });
        let removed = fs::remove_file(&aside);
        written.and(removed).map_err(fault)
    }
}

fn random() -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    SystemRandom::new().fill(&mut *bytes).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_kept_to_oneself() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let first = StandInKey::load_or_create(&state).unwrap();
        let second = StandInKey::load_or_create(&state).unwrap();
        assert_eq!(first.bytes(), second.bytes());
        let path = state.join("stand-in.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(StandInKey::load_or_create(&state), Err(KeyError::Exposed { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(matches!(StandInKey::load_or_create(&state), Err(KeyError::Damaged { .. })));
    }
}
