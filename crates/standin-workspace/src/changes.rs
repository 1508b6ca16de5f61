//! What a session changed: its upper directory compared with the workspace as it is now.
//!
//! The cost is that of what the session wrote and removed, never that of the workspace. What the session wrote and left
//! equal is no change, and neither is what was applied already.

use crate::attention::{self, Attention};
use crate::store::{Session, changed_at};
use crate::tree;
use rustix::fs::{FileType, Stat, StatxFlags, statx};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Most changes of a session that are looked at. An agent could make more than there is memory for.
pub const MAX_CHANGES: usize = 2_000_000;
/// Bytes compared at once.
const CHUNK: usize = 128 * 1024;
/// The mode bits that are taken over; a set-user-ID bit never is.
pub(crate) const MODE_BITS: u32 = 0o777;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// On the host.
    pub before: Option<Node>,
    /// In the session.
    pub after: Option<Node>,
    /// Why it wants a look of its own.
    pub attention: Option<Attention>,
    /// Why it does not simply replace what is there.
    pub conflict: Option<Conflict>,
    /// Which file of the host's it was told from: device, number, last change.
    pub(crate) seen: Option<(u64, u64, (i64, i64))>,
}

/// What a session changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// In the order of their paths.
    pub changes: Vec<Change>,
    /// Directories of the session's that cannot be looked into: it took the right to from us, or made them too deep for
    /// a path.
    pub unreadable: Vec<PathBuf>,
}

impl Changes {
    /// Whether nothing was changed, as far as can be told.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.unreadable.is_empty()
    }

    /// Only what `paths` name or hold; all of it if there are none.
    #[must_use]
    pub fn within(mut self, paths: &[PathBuf]) -> Self {
        self.changes.retain(|change| selects(paths, &change.path));
        self.unreadable.retain(|path| selects(paths, path));
        self
    }
}

/// Whether `paths` name or hold `path`, as no paths do.
pub(crate) fn selects(paths: &[PathBuf], path: &Path) -> bool {
    paths.is_empty() || paths.iter().any(|selected| path.starts_with(selected))
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its permission bits.
    pub mode: u32,
    /// How long it is, in bytes.
    pub size: u64,
}

/// What something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and where it leads by its own words.
    Link(Vec<u8>),
    /// A pipe, socket or device: never taken over.
    Special,
}

/// The host's file is not what the session began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It was changed, made or replaced on the host since the session began.
    ChangedOnHost,
}

/// Why the changes cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// A directory or file of the host's workspace.
    #[error("cannot read {} in the workspace", .path.display())]
    Host {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A directory or file of the session's.
    #[error("cannot read {} in the session's changes", .path.display())]
    Upper {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The record of what was applied.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// More than [`MAX_CHANGES`].
    #[error("there are more than {MAX_CHANGES} changes")]
    TooMany,
}

/// Compares, and gives the changes in the order of their paths.
pub fn changes(session: &Session) -> Result<Changes, ChangesError> {
    let applied = session.applied()?;
    let mut walk = Walk {
        session,
        applied: &applied,
        upper: tree::root(&session.upper()).map_err(|e| upper_error(Path::new(""), e))?,
        host: tree::root(session.workspace()).map_err(|e| host_error(Path::new(""), e))?,
        found: Changes::default(),
    };
    let mut left = vec![Pair { path: PathBuf::new(), opaque: false }];
    while let Some(pair) = left.pop() {
        walk.directory(&pair, &mut left)?;
    }
    let Walk { upper, host, mut found, .. } = walk;
    for change in &mut found.changes {
        change.attention = attention::of(change, upper.as_fd(), host.as_fd());
    }
    attention::moved_secrets(&mut found.changes, upper.as_fd(), host.as_fd());
    found.changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// A directory of the upper layer that is to be looked at, and whether it hides the host's.
struct Pair {
    path: PathBuf,
    opaque: bool,
}

struct Walk<'a> {
    session: &'a Session,
    applied: &'a crate::store::AppliedFiles,
    upper: OwnedFd,
    host: OwnedFd,
    found: Changes,
}

impl Walk<'_> {
    /// Compares one directory of the upper layer with the host's.
    fn directory(&mut self, pair: &Pair, left: &mut Vec<Pair>) -> Result<(), ChangesError> {
        let path = &pair.path;
        let upper = match tree::directory(self.upper.as_fd(), path) {
            Ok(upper) => upper,
            Err(Errno::NOENT | Errno::NOTDIR) if !path.as_os_str().is_empty() => return Ok(()), // a moment ago
            Err(Errno::ACCESS | Errno::NAMETOOLONG) => {
                self.found.unreadable.push(path.clone());
                return Ok(());
            }
            Err(error) => return Err(upper_error(path, error)),
        };
        let host = match tree::directory(self.host.as_fd(), path) {
            Ok(host) => Some(host),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
            Err(error) => return Err(host_error(path, error)),
        };
        let opaque = pair.opaque || tree::is_opaque(upper.as_fd()).map_err(|e| upper_error(path, e))?;
        let names = tree::names(upper.as_fd()).map_err(|e| upper_error(path, e))?;
        for name in &names {
            let full = path.join(name);
            let Some(new) = tree::look(upper.as_fd(), name).map_err(|e| upper_error(&full, e))? else { continue };
            let old = match &host {
                Some(host) => tree::look(host.as_fd(), name).map_err(|e| host_error(&full, e))?,
                None => None,
            };
            if tree::kind(&new) == FileType::Directory {
                left.push(Pair { path: full.clone(), opaque });
            }
            self.compare(&full, &new, old.as_ref())?;
        }
        if let (true, Some(host)) = (opaque, &host) {
            self.hidden(path, host.as_fd(), &names)?;
        }
        Ok(())
    }

    /// What an opaque directory hides is deleted.
    fn hidden(&mut self, path: &Path, host: BorrowedFd<'_>, kept: &[PathBuf]) -> Result<(), ChangesError> {
        for name in tree::names(host).map_err(|e| host_error(path, e))? {
            let full = path.join(&name);
            if kept.binary_search(&name).is_ok() {
                continue;
            }
            let Some(old) = tree::look(host, &name).map_err(|e| host_error(&full, e))? else { continue };
            // Made since the session began, it was never there to be deleted.
            if !self.born_since(host, &name) {
                self.deleted(&full, &old)?;
            }
        }
        Ok(())
    }

    fn born_since(&self, directory: BorrowedFd<'_>, name: &Path) -> bool {
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        statx(directory, name, flags, StatxFlags::BTIME).is_ok_and(|found| {
            let known = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
            known && (found.stx_btime.tv_sec, i64::from(found.stx_btime.tv_nsec)) > self.session.began()
        })
    }

    fn compare(&mut self, path: &Path, new: &Stat, old: Option<&Stat>) -> Result<(), ChangesError> {
        if tree::is_whiteout(new) {
            return old.map_or(Ok(()), |old| self.deleted(path, old));
        }
        let after = node(self.upper.as_fd(), path, new).map_err(|e| upper_error(path, e))?;
        let Some(old) = old else { return self.push(path, None, Some(after)) };
        let before = node(self.host.as_fd(), path, old).map_err(|e| host_error(path, e))?;
        if before.kind == Kind::Directory && after.kind != Kind::Directory {
            self.below(path)?;
        }
        let same = before.kind == after.kind
            && before.mode == after.mode
            && match after.kind {
                Kind::File => before.size == after.size && self.equal(path)?,
                Kind::Directory | Kind::Link(_) => true,
                Kind::Special => false,
            };
        if same { Ok(()) } else { self.push(path, Some((before, old)), Some(after)) }
    }

    /// Something of the host's is gone, with all that is in it.
    fn deleted(&mut self, path: &Path, old: &Stat) -> Result<(), ChangesError> {
        if tree::kind(old) == FileType::Directory {
            self.below(path)?;
        }
        let before = node(self.host.as_fd(), path, old).map_err(|e| host_error(path, e))?;
        self.push(path, Some((before, old)), None)
    }

    /// All that is in a directory of the host's is gone.
    fn below(&mut self, path: &Path) -> Result<(), ChangesError> {
        let mut left = vec![path.to_owned()];
        while let Some(path) = left.pop() {
            let directory = tree::directory(self.host.as_fd(), &path).map_err(|e| host_error(&path, e))?;
            for name in tree::names(directory.as_fd()).map_err(|e| host_error(&path, e))? {
                let full = path.join(&name);
                let Some(old) = tree::look(directory.as_fd(), &name).map_err(|e| host_error(&full, e))? else {
                    continue;
                };
                let before = node(self.host.as_fd(), &full, &old).map_err(|e| host_error(&full, e))?;
                if before.kind == Kind::Directory {
                    left.push(full.clone());
                }
                self.push(&full, Some((before, &old)), None)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, path: &Path, before: Option<(Node, &Stat)>, after: Option<Node>) -> Result<(), ChangesError> {
        if self.found.changes.len() >= MAX_CHANGES {
            return Err(ChangesError::TooMany);
        }
        let conflict = before.as_ref().and_then(|(_, old)| self.conflict(path, old));
        let seen = before.as_ref().map(|(_, old)| (old.st_dev, old.st_ino, changed_at(old)));
        let before = before.map(|(node, _)| node);
        self.found.changes.push(Change { path: path.to_owned(), before, after, attention: None, conflict, seen });
        Ok(())
    }

    /// A directory's times change with what is in it; removing one fails by itself where something is left in it.
    fn conflict(&self, path: &Path, old: &Stat) -> Option<Conflict> {
        let touched = changed_at(old) > self.session.began();
        let matters = touched && tree::kind(old) != FileType::Directory && !self.applied.is_ours(path, old);
        matters.then_some(Conflict::ChangedOnHost)
    }

    /// Whether two files of one length hold the same, attributes included.
    fn equal(&self, path: &Path) -> Result<bool, ChangesError> {
        let new = match tree::file(self.upper.as_fd(), path) {
            Err(Errno::ACCESS) => return Ok(false),
            other => other.map_err(|e| upper_error(path, e))?,
        };
        let old = tree::file(self.host.as_fd(), path).map_err(|e| host_error(path, e))?;
        let new_attributes = tree::attributes(new.as_fd(), true).map_err(|e| upper_error(path, e))?;
        if new_attributes != tree::attributes(old.as_fd(), false).map_err(|e| host_error(path, e))? {
            return Ok(false);
        }
        hold_the_same(new.as_fd(), old.as_fd()).map_err(|e| upper_error(path, e))
    }
}

/// Whether two files hold the same.
pub(crate) fn hold_the_same(new: BorrowedFd<'_>, old: BorrowedFd<'_>) -> Result<bool, Errno> {
    let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let length = fill(new, &mut a)?;
        if length != fill(old, &mut b)? || a[..length] != b[..length] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
    }
}

fn node(root: BorrowedFd<'_>, path: &Path, stat: &Stat) -> Result<Node, Errno> {
    let kind = match tree::kind(stat) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => {
            let (parent, name) = tree::split(path);
            Kind::Link(tree::link(tree::directory(root, parent)?.as_fd(), name)?)
        }
        _ => Kind::Special,
    };
    let size = if kind == Kind::Directory { 0 } else { u64::try_from(stat.st_size).unwrap_or_default() };
    // A link has no mode of its own.
    let mode = if matches!(kind, Kind::Link(_)) { 0o777 } else { stat.st_mode & MODE_BITS };
    Ok(Node { kind, mode, size })
}

/// Reads until the buffer is full or the file ends.
fn fill(file: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::read(file, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

pub(crate) fn upper_error(path: &Path, error: Errno) -> ChangesError {
    ChangesError::Upper { path: path.to_owned(), source: error.into() }
}

pub(crate) fn host_error(path: &Path, error: Errno) -> ChangesError {
    ChangesError::Host { path: path.to_owned(), source: error.into() }
}
