//! The caller's standard descriptors, where they are files of the host's.
//!
//! They are there to be read or written, as the caller said (`<file`, `>file`). But who holds a file can also change its mode, times and
//! attributes (`fchmod`), and a filter of calls does not see which file a number means. So the command gets others: a file to be
//! read is opened anew through a read-only mount of it; `/dev/null` and its like are the sandbox's; and what is written goes
//! through a pipe ([`crate::relay`]).

use crate::sys;
use crate::trees::{self, NO_DEVICES, NO_SETUID, READ_ONLY};
use rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, SeekFrom, Stat, accessat, fcntl_getfl, fstat, major,
    minor, open, openat2, readlink, seek, tell,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Standard input, whatever its path.
const ITSELF: &str = "/proc/self/fd/0";

/// Puts the same file, which cannot be changed by it, in the place of standard input. Gives a copy, which tells how much was read: the
/// caller's own descriptor does not any more. Called where the host's files are still seen, in a namespace of mounts of one's own.
pub(crate) fn replace_input() -> io::Result<Option<OwnedFd>> {
    let stdin = io::stdin();
    let held = stdin.as_fd();
    let stat = fstat(held)?;
    // What has no name any more is nobody else's.
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink == 0 {
        return Ok(None);
    }
    let opened = match anew(held, &stat) {
        // Somebody else's, which only who opened it for us may read.
        Err(_)
            if stat.st_uid != geteuid().as_raw()
                && accessat(CWD, ITSELF, Access::WRITE_OK, AtFlags::EACCESS).is_err() =>
        {
            return Ok(None);
        }
        opened => opened?,
    };
    sys::dup2(opened.as_raw_fd(), held.as_raw_fd())?;
    Ok(Some(opened))
}

/// The same file, for reading only, at the same place in it.
fn anew(held: BorrowedFd<'_>, stat: &Stat) -> io::Result<OwnedFd> {
    let name = readlink(ITSELF, Vec::new())?;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(CWD, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    let there = fstat(&found)?;
    if (there.st_dev, there.st_ino) != (stat.st_dev, stat.st_ino) {
        return Err(Errno::STALE.into());
    }
    let tree = trees::copy_of(&found)?;
    sys::mount_setattr(tree.as_fd(), READ_ONLY | NO_SETUID | NO_DEVICES)?;
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC | (fcntl_getfl(held)? & OFlags::NONBLOCK);
    let opened = open(format!("/proc/self/fd/{}", tree.as_raw_fd()), flags, Mode::empty())?;
    seek(&opened, SeekFrom::Start(tell(held)?))?;
    Ok(opened)
}

/// Puts the sandbox's own devices in the places of the same ones of the host's. Called where the sandbox's files are seen.
pub(crate) fn replace_devices() -> io::Result<()> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    for held in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        let stat = fstat(held)?;
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        let name = match (major(stat.st_rdev), minor(stat.st_rdev)) {
            (1, 3) => "/dev/null",
            (1, 5) => "/dev/zero",
            (1, 7) => "/dev/full",
            (1, 8) => "/dev/random",
            (1, 9) => "/dev/urandom",
            _ => continue,
        };
        if is_device {
            let flags = fcntl_getfl(held)? & (OFlags::RWMODE | OFlags::NONBLOCK);
            let own = open(name, flags | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
            sys::dup2(own.as_raw_fd(), held.as_raw_fd())?;
        }
    }
    Ok(())
}

/// For a process that neither reads nor writes there: who waits for the end of what the command writes does not wait for its end.
pub(crate) fn let_go() -> io::Result<()> {
    let nothing = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    (0..3).try_for_each(|standard| sys::dup2(nothing.as_raw_fd(), standard))
}

/// The file that the command reads in place of our standard input.
pub(crate) struct Input {
    copy: OwnedFd,
    /// Where ours was then; unknown where it has no place.
    begun: Option<u64>,
}

impl Input {
    pub(crate) fn new(copy: OwnedFd) -> Self {
        Self { copy, begun: tell(io::stdin()).ok() }
    }

    /// Moves on in our own by as much as was read of the copy: what runs next goes on behind that, and somebody else may have read of it
    /// meanwhile.
    pub(crate) fn move_ours(self) -> io::Result<()> {
        let distance = |begun: u64| i64::try_from(tell(&self.copy).ok()?).ok()?.checked_sub(i64::try_from(begun).ok()?);
        match self.begun.and_then(distance) {
            None | Some(0) => Ok(()),
            Some(distance) => Ok(seek(io::stdin(), SeekFrom::Current(distance)).map(drop)?),
        }
    }
}
