//! Covers secret files that the host makes or replaces while the session runs.
//!
//! A host that renames a new file over a masked one takes the mask away: Linux lets nobody hold up another namespace. So this
//! thread is told of what appears in directories that are shown (inotify), and puts a mask over what has the name of a secret
//! file and was not made by the command, which the broker knows ([`Ours`]). It cannot read what to put in place of the
//! secrets, so what it covers is hidden. Between the host's call and the mask some microseconds pass; docs/files.md has it
//! under Limits.

use crate::masks;
use crate::plan::{Identity, Watch};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{AtFlags, FileType, OFlags, RawDir, Stat, StatxFlags, statat, statx};
use rustix::io::Errno;
use standin_secretfiles::{format_of, is_passed_over, may_hold_secrets};
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most directories that are watched. Each takes about a kilobyte of the kernel's, and one of the user's watches.
const MAX_WATCHED: usize = 8192;
/// What is read at once.
const BUFFER: usize = 16 * 1024;

/// Files with names of secret files that were made inside: the command knows what is in them.
#[derive(Default)]
pub(super) struct Ours(Mutex<HashSet<Identity>>);

impl Ours {
    /// Whoever makes a file holds this until it is noted, so that the watcher does not take it for the host's.
    pub(super) fn lock(&self) -> OursLocked<'_> {
        OursLocked(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct OursLocked<'a>(MutexGuard<'a, HashSet<Identity>>);

impl OursLocked<'_> {
    /// Notes a file that was just made or named.
    pub(super) fn add(&mut self, directory: BorrowedFd<'_>, name: &CStr) {
        // What is gone again needs no note.
        self.0.extend(identity(directory, name));
    }

    fn contains(&self, identity: &Identity) -> bool {
        self.0.contains(identity)
    }
}

/// What tells what is in a place from all else, if anything is.
pub(super) fn identity(directory: BorrowedFd<'_>, name: &CStr) -> Option<Identity> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let stat = statat(directory, name, flags).ok()?;
    let made = statx(directory, name, flags, StatxFlags::BTIME).ok()?;
    let known = made.stx_mask & StatxFlags::BTIME.bits() != 0;
    let made = if known { (made.stx_btime.tv_sec, made.stx_btime.tv_nsec) } else { (0, 0) };
    Some((stat.st_dev, stat.st_ino, made))
}

/// The thread's own.
pub(super) struct Watcher {
    root: OwnedFd,
    inotify: OwnedFd,
    watch: Watch,
    ours: Arc<Ours>,
    /// Where the watched directories are.
    directories: HashMap<i32, PathBuf>,
    /// On which our masks lie.
    masks: u64,
}

impl Watcher {
    /// Begins to watch the directories of masked files; the rest follows when it runs.
    pub(super) fn new(root: OwnedFd, watch: Watch, ours: Arc<Ours>) -> Result<Self, Errno> {
        let inotify = inotify::init(CreateFlags::CLOEXEC)?;
        let masks = rustix::fs::fstat(&root)?.st_dev;
        let mut watcher = Self { root, inotify, watch, ours, directories: HashMap::new(), masks };
        let parents: HashSet<_> =
            watcher.watch.masked.iter().filter_map(|path| path.parent()).map(Path::to_owned).collect();
        for parent in parents {
            watcher.add(&parent);
        }
        // Those that lost their mask before we looked.
        for path in watcher.watch.masked.clone() {
            watcher.judge(&path);
        }
        Ok(watcher)
    }

    /// Watches until the process ends.
    pub(super) fn run(mut self) {
        self.everything();
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        loop {
            let found = self.next(&mut buffer);
            let Ok(events) = found else { return };
            for (number, name, flags) in events {
                self.event(number, name.as_deref(), flags);
            }
        }
    }

    /// What happened, as far as one read goes.
    fn next(&self, buffer: &mut [MaybeUninit<u8>]) -> Result<Vec<(i32, Option<OsString>, ReadFlags)>, Errno> {
        let mut events = Vec::new();
        let mut reader = inotify::Reader::new(&self.inotify, buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
                    events.push((event.wd(), name, event.events()));
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            if reader.is_buffer_empty() {
                return Ok(events);
            }
        }
    }

    fn event(&mut self, number: i32, name: Option<&OsStr>, flags: ReadFlags) {
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            return self.everything();
        }
        if flags.contains(ReadFlags::IGNORED) {
            self.directories.remove(&number);
            return;
        }
        let (Some(parent), Some(name)) = (self.directories.get(&number), name) else { return };
        let path = parent.join(name);
        if !flags.contains(ReadFlags::ISDIR) {
            self.judge(&path);
        } else if !is_passed_over(name.as_bytes()) && name != ".git" {
            self.below(path);
        }
    }

    /// Looks at all that is shown.
    fn everything(&mut self) {
        for root in self.watch.roots.clone() {
            self.below(root);
        }
    }

    /// Watches a directory and those below it, and looks at what is there already.
    fn below(&mut self, directory: PathBuf) {
        // The shallow ones first: where there are more than are watched, those are the likelier ones.
        let mut pending = std::collections::VecDeque::from([directory]);
        while let Some(at) = pending.pop_front() {
            if !self.add(&at) {
                continue;
            }
            let Ok(opened) = self.open(&at, OFlags::RDONLY | OFlags::DIRECTORY) else { continue };
            for (name, kind) in entries(&opened) {
                match kind {
                    FileType::Directory if is_passed_over(name.as_bytes()) || name == ".git" => {}
                    FileType::Directory => pending.push_back(at.join(name)),
                    _ => self.judge(&at.join(name)),
                }
            }
        }
    }

    /// Whether a directory is watched now.
    fn add(&mut self, directory: &Path) -> bool {
        if self.directories.len() >= MAX_WATCHED {
            return false;
        }
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
        match inotify::add_watch(&self.inotify, directory, flags) {
            // One that has been renamed keeps its number.
            Ok(number) => {
                self.directories.insert(number, directory.to_owned());
                true
            }
            Err(_) => false,
        }
    }

    /// Covers a file that the command did not make, if it has the name of one that holds secrets.
    fn judge(&self, path: &Path) {
        let Some(name) = path.file_name() else { return };
        let named = may_hold_secrets(name.as_bytes()) && format_of(path).is_some();
        if !(named || self.watch.masked.iter().any(|masked| masked == path)) || self.is_shown(path) {
            return;
        }
        let ours = self.ours.lock();
        let Ok(held) = self.open(path, OFlags::PATH | OFlags::NOFOLLOW) else { return };
        let Ok(stat) = rustix::fs::fstat(&held) else { return };
        let known = |identity| ours.contains(&identity) || self.watch.harmless.contains(&identity);
        if stat.st_dev == self.masks || !has_contents(&stat) || identity(held.as_fd(), c"").is_some_and(known) {
            return;
        }
        // If it fails, nothing can be done that would be less open: who made the file will see it again.
        masks::hide(self.root.as_fd(), held.as_fd()).ok();
    }

    fn is_shown(&self, path: &Path) -> bool {
        self.watch.shown.iter().any(|shown| path.starts_with(shown))
    }

    fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        masks::target(self.root.as_fd(), path, flags)
    }
}

/// A file, or a pipe that somebody writes secrets into.
fn has_contents(stat: &Stat) -> bool {
    !matches!(FileType::from_raw_mode(stat.st_mode), FileType::Directory | FileType::Symlink)
}

fn entries(directory: &OwnedFd) -> Vec<(OsString, FileType)> {
    let mut buffer = [const { MaybeUninit::uninit() }; BUFFER];
    let mut list = RawDir::new(directory, &mut buffer);
    let mut found = Vec::new();
    while let Some(Ok(entry)) = list.next() {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |s| FileType::from_raw_mode(s.st_mode)),
            kind => kind,
        };
        found.push((OsStr::from_bytes(name.to_bytes()).to_owned(), kind));
    }
    found
}
