//! By what a directory is known to be as it was.

use rustix::fs::{AtFlags, StatxFlags, StatxTimestamp, fstat, fstatfs, statx};
use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A change that is followed by another one in the same tick of the clock leaves the same time. No file system of the list counts in more than seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// File systems of which we know that a directory's time changes with its names, and that the kernel alone says so: not a server, nor a
/// program. An overlay has more than one directory in one.
const KNOWN: &[u32] = &[
    0xef53,      // ext4
    0x5846_5342, // XFS
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
];

/// Which directory, and when it last changed. No name comes, goes or changes without the latter, and nobody but the kernel sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Stamp {
    pub(super) device: (u32, u32),
    pub(super) inode: u64,
    pub(super) changed: (i64, u32),
}

impl Stamp {
    /// Of what is open.
    pub(in super::super) fn of(held: BorrowedFd<'_>) -> Option<Self> {
        Self::read(held, c"", AtFlags::EMPTY_PATH)
    }

    /// Of what is there.
    pub(super) fn at(directory: BorrowedFd<'_>, path: &CStr) -> Option<Self> {
        Self::read(directory, path, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn read(directory: BorrowedFd<'_>, path: &CStr, flags: AtFlags) -> Option<Self> {
        let wanted = StatxFlags::INO | StatxFlags::CTIME;
        let found = statx(directory, path, flags, wanted).ok()?;
        let StatxTimestamp { tv_sec, tv_nsec, .. } = found.stx_ctime;
        let has_all = found.stx_mask & wanted.bits() == wanted.bits();
        has_all.then_some(Self {
            device: (found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            changed: (tv_sec, tv_nsec),
        })
    }
}

/// Tells which directories can be known again.
pub(in super::super) struct Trusted {
    began: Duration,
    /// Devices that were asked about.
    devices: Mutex<Vec<(u64, bool)>>,
}

impl Trusted {
    /// For a search that began then, since 1970.
    pub(super) fn since(began: Duration) -> Self {
        Self { began, devices: Mutex::default() }
    }

    /// The stamp of a directory that is about to be listed: whatever changes later has another one.
    pub(in super::super) fn stamp(&self, directory: BorrowedFd<'_>) -> Option<Stamp> {
        let stamp = Stamp::of(directory)?;
        let changed = Duration::new(u64::try_from(stamp.changed.0).ok()?, stamp.changed.1);
        (changed + SETTLED < self.began && self.is_known(directory)).then_some(stamp)
    }

    fn is_known(&self, directory: BorrowedFd<'_>) -> bool {
        let Ok(found) = fstat(directory) else { return false };
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, is_known)) = devices.iter().find(|(device, _)| *device == found.st_dev) {
            return *is_known;
        }
        let kind = fstatfs(directory).ok().and_then(|system| u32::try_from(system.f_type & 0xffff_ffff).ok());
        let is_known = kind.is_some_and(|kind| KNOWN.contains(&kind));
        devices.push((found.st_dev, is_known));
        is_known
    }
}
