//! Where the changes of sessions are kept: one directory for each, in Standin's own state directory, which no sandbox sees.

use crate::tree;
use rustix::fs::{AtFlags, FlockOperation, Stat, flock, statat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The format of `session.json`.
const VERSION: u32 = 1;
/// Seconds and nanoseconds since 1970.
pub(crate) type Time = (i64, i64);

/// All sessions' changes.
pub struct Store(PathBuf);

/// The changes of one session.
#[derive(Debug)]
pub struct Session {
    id: String,
    directory: PathBuf,
    facts: Facts,
}

/// Held while a session runs, or while its changes are applied.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// What is known of a session besides its changes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    version: u32,
    workspace: PathBuf,
    /// By the kernel's clock, as it stamps files.
    began: Time,
    /// Which run of the kernel's it was.
    boot: String,
}

/// Why something of the store is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory of the store.
    #[error("cannot use {}", .path.display())]
    Access {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Text in it.
    #[error("cannot understand {}", .path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Of another version.
    #[error("{} was written by another version of Standin", .path.display())]
    Version {
        /// Which.
        path: PathBuf,
    },
    /// A lock is taken.
    #[error("session {id} {what}")]
    Busy {
        /// Whose.
        id: String,
        /// What for.
        what: &'static str,
    },
}

impl Store {
    /// The store in Standin's state directory.
    pub fn within(state: &Path) -> Self {
        Self(state.join("workspaces"))
    }

    /// Makes room for a session's changes; they belong to the running session as long as the lock lives.
    pub fn begin(&self, id: &str, workspace: &Path) -> Result<(Session, Lock), StoreError> {
        let directory = self.0.join(id);
        let make =
            |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| access(path, e));
        make(&directory)?;
        for name in ["upper", "work"] {
            make(&directory.join(name))?;
        }
        // The root of what the sandbox sees as its workspace: it has that one's mode.
        let upper = directory.join("upper");
        let mode = fs::metadata(workspace).map_err(|e| access(workspace, e))?.permissions();
        fs::set_permissions(&upper, mode).map_err(|e| access(&upper, e))?;
        let stamp = statat(rustix::fs::CWD, &upper, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| access(&upper, e.into()))?;
        let facts =
            Facts { version: VERSION, workspace: workspace.to_owned(), began: changed_at(&stamp), boot: boot()? };
        let path = directory.join("session.json");
        let text = serde_json::to_vec(&facts).map_err(|source| StoreError::Format { path: path.clone(), source })?;
        fs::write(&path, text).map_err(|e| access(&path, e))?;
        let session = Session { id: id.to_owned(), directory, facts };
        let lock = session.lock("running", "runs")?;
        Ok((session, lock))
    }

    /// The session of this identifier, if its changes are kept.
    pub fn session(&self, id: &str) -> Result<Option<Session>, StoreError> {
        // It becomes part of a path.
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let directory = self.0.join(id);
        let path = directory.join("session.json");
        let text = match fs::read(&path) {
            _ if !plain => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| access(&path, e))?,
        };
        let facts: Facts =
            serde_json::from_slice(&text).map_err(|source| StoreError::Format { path: path.clone(), source })?;
        if facts.version != VERSION {
            return Err(StoreError::Version { path });
        }
        Ok(Some(Session { id: id.to_owned(), directory, facts }))
    }

    /// The newest session whose workspace is this directory or holds it.
    pub fn last_of(&self, directory: &Path) -> Result<Option<Session>, StoreError> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| access(&self.0, e))?,
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        let mut ids = names.collect::<Result<Vec<_>, _>>().map_err(|e| access(&self.0, e))?;
        // An identifier begins with its time.
        ids.sort_by(|a, b| b.cmp(a));
        for id in ids {
            if let Some(session) = self.session(&id)?
                && directory.starts_with(session.workspace())
            {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }
}

impl Session {
    /// Its identifier.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The host's directory that it worked on.
    pub fn workspace(&self) -> &Path {
        &self.facts.workspace
    }

    /// What it wrote.
    pub fn upper(&self) -> PathBuf {
        self.directory.join("upper")
    }

    /// What the kernel needs beside it.
    pub fn work(&self) -> PathBuf {
        self.directory.join("work")
    }

    /// When it began, as files are stamped.
    pub(crate) fn began(&self) -> Time {
        self.facts.began
    }

    /// Whether its command still runs.
    pub fn runs(&self) -> Result<bool, StoreError> {
        match self.lock("running", "runs") {
            Ok(_) => Ok(false),
            Err(StoreError::Busy { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Notes that its command has ended.
    pub fn end(&self) -> Result<(), StoreError> {
        let path = self.directory.join("ended");
        File::create(&path).map(drop).map_err(|e| access(&path, e))
    }

    /// Whether the machine went down while it ran. Overlays are told not to wait for disks, so what it wrote last may be
    /// there in part only.
    pub fn was_cut_off(&self) -> Result<bool, StoreError> {
        Ok(self.facts.boot != boot()? && !self.directory.join("ended").exists())
    }

    /// Keeps others from applying or discarding at the same time.
    pub fn claim(&self) -> Result<Lock, StoreError> {
        self.lock("applying", "is being applied or discarded by another command")
    }

    /// Forgets it, with all its changes. It must not run, and nobody else may be at it.
    pub fn discard(self) -> Result<(), StoreError> {
        let _still = self.lock("running", "still runs")?;
        let _alone = self.claim()?;
        let directory = tree::root(&self.directory).map_err(|e| access(&self.directory, e.into()))?;
        // What tells that there is a session goes last, so that a discard that was broken off can be done again.
        for name in ["work", "upper", "applied", "applying", "running", "ended", "session.json"] {
            tree::remove(directory.as_fd(), Path::new(name))
                .map_err(|e| access(&self.directory.join(name), e.into()))?;
        }
        // What an earlier discard moved up before it was broken off.
        for name in tree::names(directory.as_fd()).map_err(|e| access(&self.directory, e.into()))? {
            tree::remove(directory.as_fd(), &name).map_err(|e| access(&self.directory.join(&name), e.into()))?;
        }
        fs::remove_dir(&self.directory).map_err(|e| access(&self.directory, e))
    }

    /// What was applied so far: these files of the host are as we left them.
    pub(crate) fn applied(&self) -> Result<AppliedFiles, StoreError> {
        let path = self.directory.join("applied");
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(AppliedFiles::default()),
            other => other.map_err(|e| access(&path, e))?,
        };
        let mut all = HashMap::new();
        for line in BufReader::new(file).split(b'\n') {
            // A line that was cut when we were stopped says nothing; its file is then taken for the host's own.
            let line = line.map_err(|e| access(&path, e))?;
            if let Ok(AppliedFile { path, stamp }) = serde_json::from_slice(&line) {
                all.insert(path, stamp);
            }
        }
        Ok(AppliedFiles(all))
    }

    /// Opens the record of what is applied, to add to it.
    pub(crate) fn record(&self) -> Result<Record, StoreError> {
        let path = self.directory.join("applied");
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(|e| access(&path, e))?;
        Ok(Record { file, path })
    }

    fn lock(&self, name: &str, what: &'static str) -> Result<Lock, StoreError> {
        let path = self.directory.join(name);
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|e| access(&path, e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(StoreError::Busy { id: self.id.clone(), what }),
            Err(error) => Err(access(&path, error.into())),
        }
    }
}

/// Files that were applied, and what they looked like then.
#[derive(Default)]
pub(crate) struct AppliedFiles(HashMap<Vec<u8>, Stamp>);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp(u64, u64, Time);

#[derive(Serialize, Deserialize)]
struct AppliedFile {
    path: Vec<u8>,
    stamp: Stamp,
}

impl AppliedFiles {
    /// Whether the host's file is still as it was applied.
    pub(crate) fn is_ours(&self, path: &Path, stat: &Stat) -> bool {
        self.0.get(tree::bytes(path)).is_some_and(|stamp| *stamp == Stamp::of(stat))
    }
}

/// Takes down what is applied.
pub(crate) struct Record {
    file: File,
    path: PathBuf,
}

impl Record {
    /// One more.
    pub(crate) fn add(&mut self, path: &Path, stat: &Stat) -> Result<(), StoreError> {
        let line = AppliedFile { path: tree::bytes(path).to_vec(), stamp: Stamp::of(stat) };
        let mut text =
            serde_json::to_vec(&line).map_err(|source| StoreError::Format { path: self.path.clone(), source })?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(|e| access(&self.path, e))
    }
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        Self(stat.st_dev, stat.st_ino, changed_at(stat))
    }
}

/// When anything of a file last changed; unlike its modification time nobody sets that.
pub(crate) fn changed_at(stat: &Stat) -> Time {
    (stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or_default())
}

/// The kernel's name for its own run.
fn boot() -> Result<String, StoreError> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(|e| access(path, e))
}

fn access(path: &Path, source: io::Error) -> StoreError {
    StoreError::Access { path: path.to_owned(), source }
}
