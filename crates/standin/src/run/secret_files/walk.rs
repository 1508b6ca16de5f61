//! Finds files that hold secrets, by their names, below what the sandbox is shown.
//!
//! Directories are opened through no link. A link with such a name is followed once, to a file below
//! what is shown; a second name (hard link) of such a file is looked for where it has one.

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, openat2, stat, statat};
use rustix::io::Errno;
use standin_secretfiles::{Format, format_of, is_passed_over, may_hold_secrets};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

/// How deep directories are looked through; a path has no more parts.
const DEEPEST: usize = 2048;
/// Directories that are looked through before other threads help.
const ALONE: usize = 256;
/// How many a thread takes at once.
const AT_ONCE: usize = 16;
/// How many links are followed, as by the kernel.
const MAX_LINKS: usize = 40;
/// Most threads.
const MAX_THREADS: usize = 4;
/// What is read of a directory at once.
const BUFFER: usize = 16 * 1024;

/// What is looked through.
pub(super) struct Root<'a> {
    pub(super) path: &'a Path,
    /// How many levels below it.
    pub(super) depth: usize,
}

impl<'a> Root<'a> {
    /// All below a path.
    pub(super) fn whole(path: &'a Path) -> Self {
        Self { path, depth: DEEPEST }
    }
}

/// What was found.
#[derive(Default)]
pub(super) struct Candidates {
    /// The files by their paths, and how they are read.
    pub(super) files: BTreeMap<PathBuf, Format>,
    /// Directories that we may not open. The sandbox may be able to: who owns a directory can change its mode.
    pub(super) closed: Vec<PathBuf>,
    /// Links by whose names files of other names are known, links on their way, and those files.
    pub(super) pinned: Vec<PathBuf>,
}

/// Looks through all.
pub(super) fn secret_files(roots: &[Root<'_>]) -> Candidates {
    let found = Mutex::new((BTreeMap::new(), Vec::new()));
    // No thread that finds fails while it holds what was found.
    let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
    for root in roots.iter().filter(|root| !root.path.is_dir()) {
        lock().0.extend(format_of(root.path).map(|format| (root.path.to_owned(), format)));
    }
    let closed = each_directory(roots, &|directory, at| {
        let mut below = Vec::new();
        entries(directory, |name, kind| {
            if kind == FileType::Directory {
                if name == ".git" {
                    let config = at.join(".git/config");
                    lock().0.extend(format_of(&config).map(|format| (config, format)));
                } else if !is_passed_over(name.as_bytes()) {
                    below.push(name.to_owned());
                }
            } else if let Some(format) = format_of_entry(at, name) {
                let path = at.join(name);
                match kind {
                    FileType::Symlink => lock().1.push((path, format)),
                    _ => lock().0.extend([(path, format)]),
                }
            }
        });
        below
    });
    let (mut found, links) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut pinned = Vec::new();
    // A link of such a name leads to a file that is one, whatever its own name.
    for (path, format) in links {
        let Ok(target) = path.canonicalize() else { continue };
        if target.is_file() && roots.iter().any(|root| target.starts_with(root.path)) && !found.contains_key(&target) {
            pinned.append(&mut links_on_the_way(&path));
            pinned.push(target.clone());
            found.insert(target, format);
        }
    }
    Candidates { files: found, closed, pinned }
}

/// Every link that a path leads through, without links before it.
fn links_on_the_way(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut at = PathBuf::new();
    let mut rest: Vec<OsString> = path.components().rev().map(|part| part.as_os_str().to_owned()).collect();
    while let Some(part) = rest.pop() {
        match part.as_bytes() {
            b"." => continue,
            b".." => drop(at.pop()),
            _ => at.push(part), // the root, too
        }
        let Ok(target) = at.read_link() else { continue };
        if found.len() == MAX_LINKS {
            return found;
        }
        found.push(at.clone());
        at.pop();
        rest.extend(target.components().rev().map(|part| part.as_os_str().to_owned()));
    }
    found
}

/// The other names of these files (device, number), with the formats of those. Every directory is looked through here: the
/// name may be anywhere.
pub(super) fn second_names(roots: &[Root<'_>], wanted: &HashMap<(u64, u64), Format>) -> BTreeMap<PathBuf, Format> {
    let found = Mutex::new(BTreeMap::new());
    each_directory(roots, &|directory, at| {
        let mut below = Vec::new();
        entries(directory, |name, kind| {
            if kind == FileType::Directory {
                below.push(name.to_owned());
            } else if kind == FileType::RegularFile
                && let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
                && let Some(format) = wanted.get(&(stat.st_dev, stat.st_ino))
            {
                found.lock().unwrap_or_else(PoisonError::into_inner).insert(at.join(name), *format);
            }
        });
        below
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A directory to look into, and how many levels below it.
type Pending = (PathBuf, usize);

/// What threads share that look through directories.
struct Queue {
    state: Mutex<State>,
    more: Condvar,
}

struct State {
    pending: Vec<Pending>,
    /// Threads that may find more.
    busy: usize,
    closed: Vec<PathBuf>,
}

/// Calls `look` for each directory; what it gives is looked into next. Alone at first: in most workspaces that is quicker than
/// starting threads. Gives the directories that cannot be opened.
fn each_directory(roots: &[Root<'_>], look: &(impl Fn(&OwnedFd, &Path) -> Vec<OsString> + Sync)) -> Vec<PathBuf> {
    let mut pending: Vec<Pending> = roots.iter().map(|root| (root.path.to_owned(), root.depth)).collect();
    let mut closed = Vec::new();
    for _ in 0..ALONE {
        let Some(next) = pending.pop() else { return closed };
        look_into(next, look, &mut pending, &mut closed);
    }
    let queue = Queue { state: Mutex::new(State { pending, busy: 0, closed }), more: Condvar::new() };
    let helpers = std::thread::available_parallelism().map_or(0, |processors| processors.get().min(MAX_THREADS) - 1);
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|| queue.work(look));
        }
        queue.work(look);
    });
    queue.state.into_inner().unwrap_or_else(PoisonError::into_inner).closed
}

impl Queue {
    /// Takes directories until there are none and nobody finds more.
    fn work(&self, look: &impl Fn(&OwnedFd, &Path) -> Vec<OsString>) {
        let lock = || self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = lock();
        loop {
            if state.pending.is_empty() {
                if state.busy == 0 {
                    self.more.notify_all();
                    return;
                }
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let from = state.pending.len().saturating_sub(AT_ONCE);
            let taken = state.pending.split_off(from);
            state.busy += 1;
            drop(state);
            let (mut more, mut closed) = (Vec::new(), Vec::new());
            for next in taken {
                look_into(next, look, &mut more, &mut closed);
            }
            state = lock();
            state.pending.append(&mut more);
            state.closed.append(&mut closed);
            state.busy -= 1;
            self.more.notify_all();
        }
    }
}

fn look_into(
    (at, depth): Pending,
    look: &impl Fn(&OwnedFd, &Path) -> Vec<OsString>,
    more: &mut Vec<Pending>,
    closed: &mut Vec<PathBuf>,
) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = match openat2(CWD, &at, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(directory) => directory,
        // A root that is a file; what is gone; what has become something else, which is not shown as it was.
        Err(Errno::NOTDIR | Errno::NOENT | Errno::LOOP) => return,
        Err(_) => return closed.push(at),
    };
    let below = look(&directory, &at);
    if let Some(depth) = depth.checked_sub(1) {
        more.extend(below.into_iter().map(|name| (at.join(name), depth)));
    }
}

/// Calls `each` for everything in a directory.
fn entries(directory: &OwnedFd, mut each: impl FnMut(&OsStr, FileType)) {
    let mut buffer = [const { MaybeUninit::uninit() }; BUFFER];
    let mut list = RawDir::new(directory, &mut buffer);
    while let Some(Ok(entry)) = list.next() {
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let name = OsStr::from_bytes(name);
        let kind = match entry.file_type() {
            // Some file systems do not say.
            FileType::Unknown => match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(_) => continue,
            },
            kind => kind,
        };
        each(name, kind);
    }
}

/// Most names are none, which their first or last letters show: no path is put together for them.
fn format_of_entry(at: &Path, name: &OsStr) -> Option<Format> {
    may_hold_secrets(name.as_bytes()).then(|| format_of(&at.join(name))).flatten()
}

/// Which file it is, and how many names it has.
pub(super) fn identity(path: &Path) -> Option<((u64, u64), u64)> {
    let stat = stat(path).ok()?;
    Some(((stat.st_dev, stat.st_ino), stat.st_nlink))
}
