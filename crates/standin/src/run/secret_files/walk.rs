//! Finds files that hold secrets, by their names, below what the sandbox is shown.
//!
//! Directories are opened through no link. A link with such a name is followed once, to a file below
//! what is shown; a second name (hard link) of such a file is looked for where it has one. What has not changed since an earlier run is
//! not listed again ([`super::memory`]).

use super::memory::{Found, Kind, Known, Listing, Memory, Recalled, Remembering, Trusted};
use super::queue::each;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, openat2, stat, statat};
use rustix::io::Errno;
use standin_secretfiles::{Format, format_of, is_passed_over, may_hold_secrets};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How deep directories are looked through; a path has no more parts.
const DEEPEST: usize = 2048;
/// How many links are followed, as by the kernel.
const MAX_LINKS: usize = 40;
/// What is read of a directory at once.
const BUFFER: usize = 16 * 1024;

/// What is looked through.
pub(super) struct Root {
    pub(super) path: PathBuf,
    /// How many levels below it.
    pub(super) depth: usize,
}

impl Root {
    /// All below a path.
    pub(super) fn whole(path: &Path) -> Self {
        Self { path: path.to_owned(), depth: DEEPEST }
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
    /// Sockets, whoever listens at them, if anybody does.
    pub(super) sockets: Vec<PathBuf>,
    /// What is being written down for the next run.
    pub(super) remembering: Vec<Remembering>,
}

/// Looks through all.
pub(super) fn secret_files(roots: &[Root], memory: &Memory) -> Candidates {
    let mut all = Candidates::default();
    let mut links = Vec::new();
    for root in roots {
        if !root.path.is_dir() {
            all.files.extend(format_of(&root.path).map(|format| (root.path.clone(), format)));
            continue;
        }
        let is_whole = root.depth == DEEPEST;
        let known = if is_whole { memory.recall(&root.path) } else { None };
        let (same, listed) = look_through(root, known.as_ref(), &memory.trusted());
        let listed_files = listed.iter().map(|listing| (&listing.at, &listing.found));
        for (at, found) in same.iter().map(|(at, found)| (at, found)).chain(listed_files) {
            all.add(at, found, &mut links);
        }
        all.closed.extend(listed.iter().filter(|listing| listing.is_closed).map(|listing| listing.at.clone()));
        if is_whole {
            all.remembering.extend(memory.remember(&root.path, known, listed));
        }
    }
    all.follow(links, roots);
    all
}

impl Candidates {
    fn add(&mut self, at: &Path, found: &[Found], links: &mut Vec<(PathBuf, Format)>) {
        for Found { name, kind } in found {
            let path = at.join(name);
            match (kind, format_of(&path)) {
                (Kind::Socket, _) => self.sockets.push(path),
                (Kind::Link, Some(format)) => links.push((path, format)),
                (Kind::Named, Some(format)) => drop(self.files.insert(path, format)),
                (_, None) => {}
            }
        }
    }

    /// A link of such a name leads to a file that is one, whatever its own name.
    fn follow(&mut self, links: Vec<(PathBuf, Format)>, roots: &[Root]) {
        for (path, format) in links {
            let Ok(target) = path.canonicalize() else { continue };
            let is_shown = roots.iter().any(|root| target.starts_with(&root.path));
            if target.is_file() && is_shown && !self.files.contains_key(&target) {
                self.pinned.append(&mut links_on_the_way(&path));
                self.pinned.push(target.clone());
                self.files.insert(target, format);
            }
        }
    }
}

/// A directory to list, how many levels below it, and what was there before.
struct Pending<'a> {
    at: PathBuf,
    depth: usize,
    known: Option<Known<'a>>,
}

/// A directory that is the same as before, and what lies in it.
type Same = (PathBuf, Vec<Found>);

/// Lists what is not known to be the same.
fn look_through(root: &Root, known: Option<&Recalled>, trusted: &Trusted) -> (Vec<Same>, Vec<Listing>) {
    let mut pending = Vec::new();
    let mut found = Vec::new();
    let top = Pending { at: root.path.clone(), depth: root.depth, known: known.map(Recalled::root) };
    unless_same(top, &mut pending, &mut found);
    found.extend(each(pending, &|next, pending: &mut Vec<_>, found: &mut Vec<_>| list(next, trusted, pending, found)));
    let mut all = (Vec::new(), Vec::new());
    for found in found {
        match found {
            Looked::Same(at, found) => all.0.push((at, found)),
            Looked::Listed(listing) => all.1.push(listing),
        }
    }
    all
}

enum Looked {
    /// What was there before is there.
    Same(PathBuf, Vec<Found>),
    Listed(Listing),
}

/// Puts a directory on the list, or what has changed below it, if it is as it was.
fn unless_same<'a>(next: Pending<'a>, pending: &mut Vec<Pending<'a>>, found: &mut Vec<Looked>) {
    let Some(known) = next.known else { return pending.push(next) };
    let same = |path: &Path, _, files: Vec<_>| {
        if !files.is_empty() {
            found.push(Looked::Same(path.to_owned(), files));
        }
    };
    known.descend(&next.at, same, |at, known| {
        // Known directories were none too deep.
        pending.push(Pending { at, depth: next.depth, known: Some(known) });
    });
}

fn list<'a>(next: Pending<'a>, trusted: &Trusted, pending: &mut Vec<Pending<'a>>, found: &mut Vec<Looked>) {
    let Pending { at, depth, known } = next;
    let directory = open(&at);
    let is_closed = matches!(directory, Some(Err(_)));
    // One that is gone may come back with a parent that shows nothing of it, when something above both was moved. It is remembered as
    // one to look for.
    let mut listing = Listing { at, stamp: None, is_closed, found: Vec::new(), kept: Vec::new() };
    if let Some(Ok(directory)) = directory {
        // Before it is listed: what comes meanwhile shows.
        listing.stamp = trusted.stamp(directory.as_fd());
        let mut below = Vec::new();
        let whole = entries(&directory, |name, kind| {
            if kind == FileType::Directory {
                if name == ".git" {
                    listing.found.push(Found { name: ".git/config".into(), kind: Kind::Named });
                } else if !is_passed_over(name.as_bytes()) {
                    below.push(name.to_owned());
                }
            } else if format_of_entry(&listing.at, name).is_some() {
                let kind = if kind == FileType::Symlink { Kind::Link } else { Kind::Named };
                listing.found.push(Found { name: name.to_owned(), kind });
            } else if kind == FileType::Socket {
                listing.found.push(Found { name: name.to_owned(), kind: Kind::Socket });
            }
        });
        if whole.is_err() {
            listing.stamp = None;
        }
        let children = known.map(Known::children).unwrap_or_default();
        for name in depth.checked_sub(1).map(|_| below).into_iter().flatten() {
            let known = children.get(name.as_os_str()).copied();
            listing.kept.extend(known.map(Known::number));
            unless_same(Pending { at: listing.at.join(name), depth: depth - 1, known }, pending, found);
        }
    }
    found.push(Looked::Listed(listing));
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
pub(super) fn second_names(roots: &[Root], wanted: &HashMap<(u64, u64), Format>) -> BTreeMap<PathBuf, Format> {
    let pending = roots.iter().map(|root| (root.path.clone(), root.depth)).collect();
    let look = |(at, depth): (PathBuf, usize), pending: &mut Vec<_>, found: &mut Vec<_>| {
        let Some(Ok(directory)) = open(&at) else { return };
        // Of what cannot be listed there is no second name to be found.
        entries(&directory, |name, kind| {
            if kind == FileType::Directory {
                pending.extend(depth.checked_sub(1).map(|depth| (at.join(name), depth)));
            } else if kind == FileType::RegularFile
                && let Ok(stat) = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
                && let Some(format) = wanted.get(&(stat.st_dev, stat.st_ino))
            {
                found.push((at.join(name), *format));
            }
        })
        .ok();
    };
    each(pending, &look).into_iter().collect()
}

/// A directory, through no link; nothing if there is none.
fn open(at: &Path) -> Option<Result<OwnedFd, Errno>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(CWD, at, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // A root that is a file; what is gone; what has become something else, which is not shown as it was.
        Err(Errno::NOTDIR | Errno::NOENT | Errno::LOOP) => None,
        opened => Some(opened),
    }
}

/// Calls `each` for everything in a directory.
fn entries(directory: &OwnedFd, mut each: impl FnMut(&OsStr, FileType)) -> Result<(), Errno> {
    let mut buffer = [const { MaybeUninit::uninit() }; BUFFER];
    let mut list = RawDir::new(directory, &mut buffer);
    while let Some(entry) = list.next() {
        let entry = entry?;
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
    Ok(())
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

#[cfg(test)]
mod tests;
