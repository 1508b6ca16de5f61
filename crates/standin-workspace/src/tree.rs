//! Two directory trees by descriptor: nothing in here follows a symbolic link or leaves the root it was given.

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, chmodat, fgetxattr, flistxattr, openat, openat2,
    readlinkat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The kernel's own attributes of an overlay without privileges.
const OVERLAY_PREFIX: &[u8] = b"user.overlay.";
/// Attributes of users, which are the only ones that are taken over.
const USER_PREFIX: &[u8] = b"user.";
/// Longest value and longest list of attributes (xattr(7)).
const MAX_XATTR: usize = 64 * 1024;
/// From this length on a tree that is removed is moved up first, in bytes; a path has at most 4,096, a name 255.
const LONG_PATH: usize = 3_500;

/// Opens a directory that is to be the root of what follows.
pub(crate) fn root(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens a directory below the root; none of the names on the way may be a link or a mount.
pub(crate) fn directory(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    beneath(root, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens a file below the root for reading. Not waiting: it may have become a pipe.
pub(crate) fn file(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    beneath(root, path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY)
}

fn beneath(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    loop {
        // With BENEATH the kernel gives up where something is renamed meanwhile.
        match openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

/// What is there under this name, itself; nothing if there is nothing.
pub(crate) fn look(directory: BorrowedFd<'_>, name: &Path) -> Result<Option<Stat>, Errno> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same for a path below the root.
pub(crate) fn look_beneath(root: BorrowedFd<'_>, path: &Path) -> Result<Option<Stat>, Errno> {
    let (parent, name) = split(path);
    match directory(root, parent) {
        Ok(parent) => look(parent.as_fd(), name),
        // Where a directory on the way is missing, or is something else, there is nothing of this path.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A path's directory and its name in there.
pub(crate) fn split(path: &Path) -> (&Path, &Path) {
    (path.parent().unwrap_or(Path::new("")), path.file_name().map_or(Path::new("."), Path::new))
}

/// What kind of thing it is.
pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// How an overlay marks that something is gone.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// The names in a directory, sorted.
pub(crate) fn names(directory: BorrowedFd<'_>) -> Result<Vec<PathBuf>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(PathBuf::from(OsString::from_vec(name)));
        }
    }
    names.sort();
    Ok(names)
}

/// Where a link leads, by its own words.
pub(crate) fn link(directory: BorrowedFd<'_>, name: &Path) -> Result<Vec<u8>, Errno> {
    Ok(readlinkat(directory, name, Vec::new())?.into_bytes())
}

/// Whether this directory of an upper layer hides the one below it instead of adding to it.
pub(crate) fn is_opaque(directory: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut value = [0; 8];
    match fgetxattr(directory, "user.overlay.opaque", &mut value) {
        Ok(length) => Ok(value.get(..length) == Some(b"y")),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A name and a value.
pub(crate) type Attribute = (Vec<u8>, Vec<u8>);

/// The users' attributes of something, under the names that the sandbox knows them by, sorted.
pub(crate) fn attributes(file: BorrowedFd<'_>, in_upper: bool) -> Result<Vec<Attribute>, Errno> {
    let mut list = vec![0; MAX_XATTR];
    let length = match flistxattr(file, &mut list) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in
        list.get(..length).unwrap_or_default().split(|byte| *byte == 0).filter(|name| name.starts_with(USER_PREFIX))
    {
        let seen = match name.strip_prefix(OVERLAY_PREFIX) {
            // The sandbox's own attributes of that name are kept under a longer one.
            Some(rest) if in_upper && rest.starts_with(b"overlay.") => [USER_PREFIX, rest].concat(),
            Some(_) if in_upper => continue,
            _ => name.to_vec(),
        };
        let mut value = vec![0; MAX_XATTR];
        match fgetxattr(file, name, &mut value) {
            Ok(length) => value.truncate(length),
            Err(Errno::NODATA) => continue,
            Err(error) => return Err(error),
        }
        found.push((seen, value));
    }
    found.sort();
    Ok(found)
}

/// Removes a tree of our own with all that is in it, however its modes are and however deep it is. Only in a directory
/// that nobody else changes.
pub(crate) fn remove(parent: BorrowedFd<'_>, name: &Path) -> Result<(), Errno> {
    let Some(stat) = look(parent, name)? else { return Ok(()) };
    if kind(&stat) != FileType::Directory {
        return unlinkat(parent, name, AtFlags::empty());
    }
    let mut left: Vec<PathBuf> = vec![name.to_owned()];
    let mut moved = 0_u64;
    while let Some(path) = left.last().cloned() {
        // The kernel leaves a work directory that nobody may enter.
        chmodat(parent, &path, Mode::RWXU, AtFlags::empty())?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = openat(parent, &path, flags, Mode::empty())?;
        let before = left.len();
        for entry in names(directory.as_fd())? {
            match unlinkat(&directory, &entry, AtFlags::empty()) {
                Ok(()) => {}
                Err(Errno::ISDIR) if bytes(&path).len() < LONG_PATH => left.push(path.join(entry)),
                // An agent chooses the depth, and may have made it longer than any path can be.
                Err(Errno::ISDIR) => {
                    // Moving a directory writes its `..`.
                    chmodat(&directory, &entry, Mode::RWXU, AtFlags::empty())?;
                    moved += 1;
                    let up = PathBuf::from(format!(".removed-{moved}"));
                    renameat(&directory, &entry, parent, &up)?;
                    left.push(up);
                }
                Err(error) => return Err(error),
            }
        }
        if left.len() == before {
            unlinkat(parent, &path, AtFlags::REMOVEDIR)?;
            left.pop();
        }
    }
    Ok(())
}

/// A path's bytes.
pub(crate) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
