//! From a path to a place: a directory that is held, where that is, and a name in it.

use super::caller::Caller;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat_raw, statat};
use rustix::io::Errno;
use rustix::path::DecInt;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A name in a directory that we hold.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: OwnedFd,
    /// Where the directory is.
    parent: PathBuf,
    /// The name as it was given: slashes at its end mean that it must be a directory.
    pub(super) name: CString,
}

/// Why there is no place.
pub(super) enum Nowhere {
    /// The kernel does, or refuses, the same by itself.
    Native,
    /// The call fails so.
    Fails(Errno),
}

impl From<Errno> for Nowhere {
    fn from(error: Errno) -> Self {
        Self::Fails(error)
    }
}

/// What all resolving needs.
pub(super) struct Roots {
    /// The sandbox's root.
    pub(super) root: OwnedFd,
    /// The host's /proc, in which `self` is this process.
    pub(super) proc: OwnedFd,
    /// This process's descriptors in it.
    pub(super) own: OwnedFd,
}

/// Where a path starts.
pub(super) enum Start<'a> {
    Root(BorrowedFd<'a>),
    Held(OwnedFd),
}

impl AsFd for Start<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Root(root) => *root,
            Self::Held(held) => held.as_fd(),
        }
    }
}

impl Place {
    /// A name in a directory that is held and lies there.
    pub(super) fn in_directory(directory: OwnedFd, parent: PathBuf, name: &CStr) -> Self {
        Self { directory, parent, name: name.to_owned() }
    }

    /// The whole path, without links and dots.
    pub(super) fn path(&self) -> PathBuf {
        self.parent.join(self.plain_name())
    }

    pub(super) fn plain_name(&self) -> &OsStr {
        OsStr::from_bytes(without_slashes(self.name.to_bytes()))
    }

    pub(super) fn must_be_directory(&self) -> bool {
        self.name.to_bytes().ends_with(b"/")
    }
}

impl Roots {
    pub(super) fn new(root: OwnedFd, proc: OwnedFd) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = openat(&proc, "self/fd", flags, Mode::empty())?;
        Ok(Self { root, proc, own })
    }

    /// The place of a caller's path. Links on the way are followed as the kernel follows them; the last name is not looked at.
    pub(super) fn place(&self, caller: Caller<'_>, directory: i32, path: &CStr) -> Result<Place, Nowhere> {
        if let Some(number) = descriptor_named(path) {
            return self.place_of_descriptor(caller.descriptor(number)?.as_fd());
        }
        if path.is_empty() {
            return Err(Nowhere::Native);
        }
        let (base, path) = self.start(caller, directory, path)?;
        self.place_from(base.as_fd(), &path)
    }

    /// Where a caller's path starts, and what follows. A path may start at what /proc calls a process's own, which only the
    /// caller's number leads to.
    pub(super) fn start(
        &self,
        caller: Caller<'_>,
        directory: i32,
        path: &CStr,
    ) -> Result<(Start<'_>, CString), Nowhere> {
        let own = OWN.iter().find_map(|start| path.to_bytes().strip_prefix(start.as_bytes()));
        let own = own.filter(|rest| !path.to_bytes().starts_with(b"/dev/") || rest.starts_with(b"fd/"));
        let Some((name, rest)) = own.and_then(own_directory) else {
            let absolute = path.to_bytes().starts_with(b"/");
            let base =
                if absolute { Start::Root(self.root.as_fd()) } else { Start::Held(caller.directory(directory)?) };
            return Ok((base, path.to_owned()));
        };
        let base = match name {
            Own::Current => Start::Held(caller.directory(libc::AT_FDCWD)?),
            Own::Root => Start::Root(self.root.as_fd()),
            Own::Descriptor(number) => Start::Held(caller.descriptor(number)?),
        };
        let rest = if rest.is_empty() { b".".as_slice() } else { rest };
        Ok((base, CString::new(rest).map_err(|_| Errno::INVAL)?))
    }

    /// The place of a path that begins at `base`, or at the root.
    pub(super) fn place_from(&self, base: BorrowedFd<'_>, path: &CStr) -> Result<Place, Nowhere> {
        let (parent, name) = split(path.to_bytes()).ok_or(Nowhere::Native)?;
        let base = if parent.starts_with(b"/") { self.root.as_fd() } else { base };
        let parent = if parent.is_empty() { b"." } else { parent };
        let parent = CString::new(parent).map_err(|_| Errno::INVAL)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat2(base, &parent, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
            .map_err(|error| unresolved(error, parent.to_bytes()))?;
        let at = self.path_of(directory.as_fd())?;
        Ok(Place { directory, parent: at, name: CString::new(name).map_err(|_| Errno::INVAL)? })
    }

    /// Where the kernel says that something is.
    pub(super) fn path_of(&self, held: BorrowedFd<'_>) -> Result<PathBuf, Errno> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let number = DecInt::from_fd(held);
        let (path, _) = readlinkat_raw(&self.own, number, &mut buffer)?;
        if path.len() == 4096 { Err(Errno::NAMETOOLONG) } else { Ok(PathBuf::from(OsString::from_vec(path.to_vec()))) }
    }

    /// The place of what a descriptor leads to, if it has one here: a file of the host's, which the caller of Standin may have
    /// opened, only looks as if it had.
    pub(super) fn place_of_descriptor(&self, held: BorrowedFd<'_>) -> Result<Place, Nowhere> {
        let path = self.path_of(held)?;
        if !path.is_absolute() {
            return Err(Nowhere::Native); // a pipe, a socket
        }
        let path = CString::new(path.into_os_string().into_vec()).map_err(|_| Errno::INVAL)?;
        let place = self.place_from(self.root.as_fd(), &path)?;
        let here = statat(&place.directory, &place.name, AtFlags::SYMLINK_NOFOLLOW).map_err(|_| Nowhere::Native)?;
        let there = fstat(held)?;
        if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino) { Ok(place) } else { Err(Nowhere::Native) }
    }
}

/// What /proc has of the process that looks.
const OWN: &[&str] = &["/proc/self/", "/proc/thread-self/", "/dev/"];

/// A directory that it has there.
enum Own {
    Current,
    Root,
    Descriptor(i32),
}

/// Which directory a path of its own starts at, and what follows.
fn own_directory(path: &[u8]) -> Option<(Own, &[u8])> {
    let (name, rest) = path.split_at(path.iter().position(|byte| *byte == b'/')?);
    let below = |rest: &'_ [u8]| rest.iter().position(|byte| *byte != b'/').unwrap_or(rest.len());
    let rest = &rest[below(rest)..];
    match name {
        b"cwd" => Some((Own::Current, rest)),
        b"root" => Some((Own::Root, rest)),
        b"fd" => {
            let end = rest.iter().position(|byte| *byte == b'/')?;
            let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
            let rest = &rest[end..];
            Some((Own::Descriptor(number), &rest[below(rest)..]))
        }
        _ => None,
    }
}

/// Why a directory could not be opened. What leads through /proc is the kernel's to resolve, or the floor's to stop. All else
/// fails as it would there, at this moment: another thread may be about to make what is missing, and if the kernel found it
/// then, the floor would refuse what we would do.
pub(super) fn unresolved(error: Errno, path: &[u8]) -> Nowhere {
    let of_process = error == Errno::LOOP || path.starts_with(b"/proc/") || path.starts_with(b"/dev/");
    if of_process { Nowhere::Native } else { Nowhere::Fails(error) }
}

/// The descriptor that a path names by itself.
pub(super) fn descriptor_named(path: &CStr) -> Option<i32> {
    let path = path.to_str().ok()?;
    match path {
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        _ => ["/proc/self/fd/", "/dev/fd/", "/proc/thread-self/fd/"]
            .iter()
            .find_map(|start| path.strip_prefix(start))
            .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|number| number.parse().ok()),
    }
}

/// What precedes the last name, and that name with the slashes behind it; nothing if the path ends with none.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = without_slashes(path).len();
    let start = path[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let name = &path[start..end];
    (!matches!(name, b"" | b"." | b"..")).then(|| (&path[..start], &path[start..]))
}

fn without_slashes(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1)]
}

/// For what is in a place that is a link: where to go on.
pub(super) fn beside(place: &Place, target: &Path) -> Result<CString, Errno> {
    let mut path = target.as_os_str().as_bytes().to_vec();
    if place.must_be_directory() {
        path.push(b'/');
    }
    CString::new(path).map_err(|_| Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_their_last_name() {
        for (path, expected) in [
            ("a", Some(("", "a"))),
            ("/a", Some(("/", "a"))),
            ("a/b//", Some(("a/", "b//"))),
            ("//a//b", Some(("//a//", "b"))),
            ("a/..", None),
            ("a/./", None),
            ("/", None),
            ("", None),
            ("...", Some(("", "..."))),
        ] {
            let expected = expected.map(|(parent, name)| (parent.as_bytes(), name.as_bytes()));
            assert_eq!(split(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn what_is_a_processs_own_is_recognised() {
        for (path, expected) in [
            ("fd/7/x/y", Some("7 x/y")),
            ("fd/7/", Some("7 ")),
            ("fd/7", None),
            ("cwd//x", Some("cwd x")),
            ("root/", Some("root ")),
            ("status", None),
            ("task/3/fd/4/x", None),
        ] {
            let found = own_directory(path.as_bytes()).map(|(own, rest)| {
                let name = match own {
                    Own::Current => "cwd".to_owned(),
                    Own::Root => "root".to_owned(),
                    Own::Descriptor(number) => number.to_string(),
                };
                format!("{name} {}", String::from_utf8_lossy(rest))
            });
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn descriptors_are_recognised_by_their_names() {
        for (path, expected) in [
            (c"/proc/self/fd/7", Some(7)),
            (c"/dev/fd/0", Some(0)),
            (c"/dev/stderr", Some(2)),
            (c"/proc/self/fd/7/x", None),
            (c"/proc/self/fd/", None),
            (c"/proc/2/fd/7", None),
        ] {
            assert_eq!(descriptor_named(path), expected, "{path:?}");
        }
    }
}
