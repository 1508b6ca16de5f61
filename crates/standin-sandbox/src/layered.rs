//! The copy-on-write workspace, and caches: the host's directory below, and an upper directory that takes what is written.
//!
//! What an unprivileged overlay keeps in its upper directory can be read on the host as plain files: a deletion is a
//! character device 0:0, a directory that hides the one below it has the attribute `user.overlay.opaque`.

use crate::mounts::without_links;
use crate::plan::Layer;
use crate::sys;
use rustix::fs::{Mode, OFlags, StatVfsMountFlags, open, statvfs};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// The three directories, taken before the new root hides them.
pub(crate) struct Layers {
    lower: OwnedFd,
    upper: OwnedFd,
    work: OwnedFd,
}

impl Layers {
    /// Opens them.
    pub(crate) fn take(lower: &Path, layer: &Layer) -> io::Result<Self> {
        Self::over(without_links(lower)?, layer)
    }

    /// The same over a directory that is open already.
    pub(crate) fn over(lower: OwnedFd, layer: &Layer) -> io::Result<Self> {
        let take = |path: &Path| open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        Ok(Self { lower, upper: take(&layer.upper)?, work: take(&layer.work)? })
    }
}

/// Mounts the overlay.
pub(crate) fn mount(layers: &Layers, target: &Path) -> io::Result<()> {
    // By descriptor: no path has to be escaped, and none of the host's shows in the sandbox's /proc/self/mountinfo.
    // `userxattr` because a user namespace may not write trusted attributes. Without an index nothing has to be kept of
    // hard links: a name that is written gets a file of its own. `volatile` because the end of any other overlay writes
    // out all that its file system has waiting, whoever wrote it: on a busy machine that takes seconds. What is in an upper
    // directory after the machine went down is told apart by the store.
    let name = |layer: &OwnedFd| format!("/proc/self/fd/{}", layer.as_raw_fd());
    let (lower, upper, work) = (name(&layers.lower), name(&layers.upper), name(&layers.work));
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work},userxattr,index=off,volatile");
    let target_name = sys::c_path(target)?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    sys::mount(c"overlay", &target_name, c"overlay", flags, &sys::c_path(Path::new(&options))?)?;
    // Where the upper file system lacks what is needed, the kernel may mount read-only instead of refusing.
    if statvfs(target)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(io::ErrorKind::ReadOnlyFilesystem.into());
    }
    Ok(())
}
