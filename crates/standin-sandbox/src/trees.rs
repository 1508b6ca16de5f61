//! Detached mounts: taken in one place, given attributes, attached in another.

use crate::sys;
use rustix::fs::CWD;
use rustix::mount::{MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

pub(crate) const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;
pub(crate) const NO_SETUID: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID;
pub(crate) const NO_DEVICES: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODEV;
pub(crate) const NO_PROGRAMS: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOEXEC;

const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

/// A copy of what is mounted at a path, with all below it.
pub(crate) fn copy(path: &Path) -> io::Result<OwnedFd> {
    Ok(open_tree(CWD, path, CLONE | OpenTreeFlags::AT_RECURSIVE)?)
}

/// The same of what is held.
pub(crate) fn copy_of(held: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(open_tree(held, c"", CLONE | OpenTreeFlags::AT_RECURSIVE | OpenTreeFlags::AT_EMPTY_PATH)?)
}

/// A copy of one file, by its name in a directory, with these attributes.
pub(crate) fn copy_of_file(directory: impl AsFd, name: &str, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let tree = open_tree(directory, name, CLONE)?;
    sys::mount_setattr(tree.as_fd(), attributes)?;
    Ok(tree)
}

/// Attaches a tree at a path.
pub(crate) fn attach(tree: &OwnedFd, target: &Path) -> io::Result<()> {
    Ok(move_mount(tree, c"", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Attaches a tree over what is held.
pub(crate) fn attach_over(tree: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(tree, c"", target, c"", flags)?)
}

/// Detaches what is mounted at a path.
pub(crate) fn detach(path: &Path) -> io::Result<()> {
    Ok(unmount(path, UnmountFlags::DETACH)?)
}
