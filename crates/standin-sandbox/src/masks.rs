//! Masks: other contents over files of the host's, and nothing over directories of it.
//!
//! A mask is a mount of a small file of ours over the very file. From inside a mount point cannot be renamed, removed, replaced
//! (`EBUSY`) or given a second name (`EXDEV`), and every path to the file, every link and every descriptor of a directory
//! leads to what is mounted. It is read-only: a change that is silently lost at the end would be worse than a refusal.

use crate::plan::{Blobs, Plan};
use crate::step::{At, Step, StepError};
use crate::trees::{self, NO_DEVICES, NO_PROGRAMS, NO_SETUID, READ_ONLY};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat, openat2, unlinkat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const ATTRIBUTES: MountAttrFlags = READ_ONLY.union(NO_SETUID).union(NO_DEVICES).union(NO_PROGRAMS);
/// Where masks lie for the moment in which they are mounted, in the new root.
const ASIDE: &str = ".mask";

/// What is put over files that come while the session runs: it has a name, since nothing is made in the root any more.
const HIDDEN: &str = ".hidden-by-standin";
/// What a hidden file holds.
pub const NOTE: &[u8] =
    b"# This file holds secrets, so Standin hides it. Its owner can show it with: standin run --show PATH\n";

/// What is read in place of a socket.
const SOCKET_NOTE: &[u8] =
    b"# The host listens at this socket, so Standin hides it. Its owner can show it with: standin run --show PATH\n";

/// Puts all masks of a plan into the view below `stage`.
pub(crate) fn put_on(plan: &Plan, blobs: &Blobs, stage: &Path) -> Result<(), StepError> {
    let root = rustix::fs::open(stage, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let root = root.at(Step::Masks)?;
    std::fs::write(stage.join(HIDDEN), NOTE).at(Step::Masks)?;
    for directory in &plan.emptied {
        empty(root.as_fd(), directory).at_thing(Step::Masks, directory.display())?;
    }
    for mask in &plan.masks {
        put(root.as_fd(), &mask.path, mask.mode, |file| blobs.write(mask.blob, file))
            .at_thing(Step::Masks, mask.path.display())?;
    }
    for socket in &plan.sockets {
        // Who may write it and finds no socket is told that nobody listens.
        match put(root.as_fd(), socket, 0o600, |mut file| file.write_all(SOCKET_NOTE)) {
            // Its server has ended meanwhile, and taken it along.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.at_thing(Step::Masks, socket.display())?,
        }
    }
    Ok(())
}

fn put(root: BorrowedFd<'_>, path: &Path, mode: u32, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    // What was found there and is not may be under another name by now, where nothing would be over it.
    let target = target(root, path, OFlags::PATH | OFlags::NOFOLLOW)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(root, ASIDE, flags, Mode::RUSR)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o777))?;
    write(&File::from(file))?;
    trees::attach_over(trees::copy_of_file(root, ASIDE, ATTRIBUTES)?, target)?;
    // It has no name of its own any more; until it is mounted it needs one.
    Ok(unlinkat(root, ASIDE, AtFlags::empty())?)
}

/// Hides a file that is held, once the sandbox runs. `root` is the sandbox's.
pub(crate) fn hide(root: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    trees::attach_over(trees::copy_of_file(root, HIDDEN, ATTRIBUTES)?, target)
}

/// Nothing over a directory: an empty one that takes nothing.
fn empty(root: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let target = target(root, path, OFlags::PATH | OFlags::DIRECTORY)?;
    let memory = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(memory.as_fd())?;
    trees::attach_over(fsmount(memory.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, ATTRIBUTES)?, target)
}

/// What lies at a path of the view. No link is followed: the path is without them, or was when it was found.
pub(crate) fn target(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = path.strip_prefix("/").unwrap_or(path);
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        // With BENEATH the kernel gives up where something is renamed meanwhile.
        match openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}
