//! A login's file on the disk.
//!
//! Whoever exchanges a token that may be used once only (RFC 9700 §4.14.2) has to be alone: of two who present the same one,
//! the second is taken for a thief, and the login is ended. So there are two locks: ours, a file, for sessions of ours; and
//! the client's own, a directory that it makes, for the client on the host.

use crate::read_bounded;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use zeroize::Zeroizing;

/// Largest file that is read, in bytes. Clients' files have a few thousand.
pub const MAX_FILE: usize = 1024 * 1024;
/// How long a turn is waited for. An exchange takes a second or two, and its own deadline is shorter.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether the turn has come.
const PAUSE: Duration = Duration::from_millis(50);
/// The age at which the client takes a directory of its own for a lock that was left behind.
const STALE: Duration = Duration::from_secs(60);

/// Where a login is kept.
#[derive(Clone, Debug)]
pub struct Store {
    /// The client's file, or one of ours.
    pub file: PathBuf,
    /// Our lock.
    pub lock: PathBuf,
    /// The client's, if it has one.
    pub clients_lock: Option<PathBuf>,
}

/// Why a login's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is larger than such a file can be.
    #[error("{path} is larger than 1 MiB")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Others are at it all the time.
    #[error("{path} is held by another process")]
    Held {
        /// The lock.
        path: PathBuf,
    },
}

/// Nobody else exchanges the login's tokens while this is there.
pub struct Turn {
    _ours: File,
    _clients: Option<ClientsLock>,
}

/// The directory that the client makes.
struct ClientsLock(PathBuf);

impl Store {
    /// Waits for a turn.
    pub fn turn(&self) -> Result<Turn, StoreError> {
        let until = Instant::now() + PATIENCE;
        if let Some(directory) = self.lock.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|source| fault(directory, source))?;
        }
        let ours = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.lock);
        let ours = ours.map_err(|source| fault(&self.lock, source))?;
        patiently(until, &self.lock, || match flock(&ours, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(())),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(None),
            Err(error) => Err(error.into()),
        })?;
        let clients = self.clients_lock.as_ref().map(|path| ClientsLock::take(path, until)).transpose()?;
        Ok(Turn { _ours: ours, _clients: clients.flatten() })
    }

    /// What is in the file; nothing if it is not there.
    pub fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        read(&self.file)
    }

    /// Replaces the file, at once or not at all. It keeps its mode, and a link to it stays one.
    pub fn replace(&self, _turn: &Turn, contents: &[u8]) -> Result<(), StoreError> {
        let path = self.file.canonicalize().unwrap_or_else(|_| self.file.clone());
        let mode = fs::metadata(&path).map_or(0o600, |found| found.permissions().mode() & 0o777);
        let directory = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = directory.join(format!(".{name}.standin-{}", std::process::id()));
        // Whoever left one of this name has died in its turn, and this one is ours.
        fs::remove_file(&aside).ok();
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)
            .and_then(|mut file| {
                file.write_all(contents)?;
                file.set_permissions(fs::Permissions::from_mode(mode))?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&aside, &path))
            .and_then(|()| File::open(directory)?.sync_all());
        written.map_err(|source| {
            // What was written aside holds tokens; if it cannot be removed either, the error above says what is wrong.
            fs::remove_file(&aside).ok();
            fault(&path, source)
        })
    }
}

/// A client's file; nothing if it is not there.
pub fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(fault(path, source)),
    };
    let contents = file.metadata().and_then(|found| read_bounded(&file, found.len(), MAX_FILE));
    let contents = contents.map_err(|source| fault(path, source))?;
    if contents.len() > MAX_FILE {
        return Err(StoreError::TooLarge { path: path.to_owned() });
    }
    Ok(Some(contents))
}

impl ClientsLock {
    /// Makes it; nothing if there is nowhere to make it, since then the client is not at work there either.
    fn take(path: &Path, until: Instant) -> Result<Option<Self>, StoreError> {
        if !path.parent().is_some_and(Path::is_dir) {
            return Ok(None);
        }
        patiently(until, path, || match fs::create_dir(path) {
            Ok(()) => Ok(Some(())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if is_stale(path) {
                    // Whoever else takes it for stale removes it too, and one of us makes it.
                    fs::remove_dir(path).ok();
                }
                Ok(None)
            }
            Err(error) => Err(error),
        })?;
        Ok(Some(Self(path.to_owned())))
    }
}

impl Drop for ClientsLock {
    fn drop(&mut self) {
        // Left behind it is stale in a minute.
        fs::remove_dir(&self.0).ok();
    }
}

fn is_stale(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|found| found.modified());
    modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age > STALE))
}

fn patiently(
    until: Instant,
    path: &Path,
    mut attempt: impl FnMut() -> io::Result<Option<()>>,
) -> Result<(), StoreError> {
    loop {
        if attempt().map_err(|source| fault(path, source))?.is_some() {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(StoreError::Held { path: path.to_owned() });
        }
        // Nothing tells when the client's lock goes, which is a directory, and the kernel waits for ours without a deadline:
        // both are looked at again.
        std::thread::sleep(PAUSE);
    }
}

fn fault(path: &Path, source: io::Error) -> StoreError {
    StoreError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn store(directory: &Path) -> Store {
        let file = directory.join("login.json");
        Store { file, lock: directory.join("state/lock"), clients_lock: Some(directory.join(".client.lock")) }
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_behind_its_link() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("real.json");
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        let before = fs::metadata(&real).unwrap().ino();
        let store = store(directory.path());
        symlink(&real, &store.file).unwrap();
        let turn = store.turn().unwrap();
        let left_behind = directory.path().join(format!(".real.json.standin-{}", std::process::id()));
        fs::write(left_behind, "half").unwrap();
        store.replace(&turn, b"new").unwrap();
        assert_eq!(store.read().unwrap().unwrap().as_slice(), b"new");
        assert!(fs::symlink_metadata(&store.file).unwrap().is_symlink());
        let after = fs::metadata(&real).unwrap();
        assert_eq!(after.permissions().mode() & 0o777, 0o640);
        assert_ne!(after.ino(), before, "written aside and put in its place");
        drop(turn);
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left.len(), 3, "{left:?}");
    }

    #[test]
    fn a_new_file_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        assert!(store.read().unwrap().is_none());
        store.replace(&store.turn().unwrap(), b"new").unwrap();
        assert_eq!(fs::metadata(&store.file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn turns_are_taken_one_after_the_other() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        fs::write(&store.file, "0").unwrap();
        let count = |_| {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let turn = store.turn().unwrap();
                        let read = store.read().unwrap().unwrap();
                        let number: u32 = std::str::from_utf8(&read).unwrap().parse().unwrap();
                        store.replace(&turn, (number + 1).to_string().as_bytes()).unwrap();
                    });
                }
            });
        };
        (0..4).for_each(count);
        assert_eq!(store.read().unwrap().unwrap().as_slice(), b"16");
        assert!(!directory.path().join(".client.lock").exists());
    }

    #[test]
    fn a_clients_lock_that_was_left_behind_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        let lock = store.clients_lock.clone().unwrap();
        fs::create_dir(&lock).unwrap();
        assert!(!is_stale(&lock));
        let old = SystemTime::now() - 2 * STALE;
        File::open(&lock).unwrap().set_modified(old).unwrap();
        drop(store.turn().unwrap());
        assert!(!lock.exists());
    }
}
