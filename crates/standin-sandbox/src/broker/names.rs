//! Files to which the host gave a second name. It may lie outside of what is shown, and who writes under the one that is would change a
//! file that the sandbox does not even see. So who opens one to write gets a file of its own in the place, as in a copy of the
//! workspace. A name that was made inside leads to the same file, as ever.

use super::act::{Desk, kind_of};
use super::place::{Nowhere, Place};
use super::watcher::identity;
use crate::plan::Identity;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, fchmod, fchown, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most files of which it is remembered that they got names inside; others are taken for the host's.
const MOST: usize = 65_536;
/// Longest file that is copied, in bytes: others wait meanwhile.
const LONGEST: i64 = 256 << 20;
/// What the file is called until it takes the place.
const COPY: &CStr = c".standin-copy";

/// Files with several names that were all made inside, and how many those are.
#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<Identity, u64>>);

impl Names {
    fn lock(&self) -> MutexGuard<'_, HashMap<Identity, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file has got a name from inside, and has so many now.
    fn linked(&self, file: Identity, names: u64) {
        let mut known = self.lock();
        let before = known.get(&file).copied().unwrap_or(1);
        let fits = known.len() < MOST || known.contains_key(&file);
        // One more than it may have had: else the host gave it one, too.
        if names > 1 && names == before + 1 && fits {
            known.insert(file, names);
        }
    }

    /// A file is about to lose a name.
    fn parted(&self, file: Identity) {
        let mut known = self.lock();
        match known.get_mut(&file) {
            Some(names) if *names > 2 => *names -= 1,
            _ => drop(known.remove(&file)),
        }
    }

    fn are_ours(&self, file: Identity, names: u64) -> bool {
        names <= self.lock().get(&file).copied().unwrap_or(1)
    }
}

impl Desk {
    /// A file has been linked to a place.
    pub(super) fn named(&self, to: &Place) {
        if let Some(file) = identity(to.directory.as_fd(), &to.name)
            && let Ok(stat) = rustix::fs::statat(&to.directory, &to.name, AtFlags::SYMLINK_NOFOLLOW)
        {
            self.names.linked(file, stat.st_nlink);
        }
    }

    /// What is in a place is about to lose that name.
    pub(super) fn unnamed(&self, place: &Place, found: &Stat) {
        if has_more(found)
            && let Some(file) = identity(place.directory.as_fd(), &place.name)
        {
            self.names.parted(file);
        }
    }

    /// Before a file is opened to write: puts one of its own in its place, if the host gave it a second name.
    pub(super) fn make_own(&self, place: &Place, whole: &Path, found: &Stat, flags: OFlags) -> Result<(), Nowhere> {
        let ours = || {
            identity(place.directory.as_fd(), &place.name).is_some_and(|file| self.names.are_ours(file, found.st_nlink))
        };
        if !has_more(found) || flags.contains(OFlags::CREATE | OFlags::EXCL) || ours() {
            return Ok(());
        }
        // Whether it may be written is for the kernel to say.
        let held = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        drop(openat(&place.directory, &place.name, OFlags::WRONLY | held, Mode::empty())?);
        let old = File::from(openat(&place.directory, &place.name, OFlags::RDONLY | held, Mode::empty())?);
        let stat = fstat(&old)?;
        if stat.st_size > LONGEST && !flags.contains(OFlags::TRUNC) {
            self.refusals.tell_second_name(whole);
            return Err(Errno::ACCESS.into());
        }
        let contents = (!flags.contains(OFlags::TRUNC)).then_some(old);
        let put = copy(place, contents, &stat).and_then(|()| {
            self.noting(&[(place, whole)], || renameat(&place.directory, COPY, &place.directory, &place.name))
        });
        put.map_err(|error| {
            unlinkat(&place.directory, COPY, AtFlags::empty()).ok(); // it is the first error that counts
            error.into()
        })
    }
}

fn has_more(stat: &Stat) -> bool {
    stat.st_nlink > 1 && kind_of(stat) == FileType::RegularFile
}

/// Makes the file, under its name for the while.
fn copy(place: &Place, contents: Option<File>, like: &Stat) -> Result<(), Errno> {
    // Left by one that was interrupted for good.
    unlinkat(&place.directory, COPY, AtFlags::empty()).ok();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut copy = File::from(openat(&place.directory, COPY, flags, Mode::RUSR | Mode::WUSR)?);
    if let Some(mut contents) = contents {
        std::io::copy(&mut contents, &mut copy).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    }
    // Of a group that is not the user's it cannot be.
    fchown(&copy, None, Some(Gid::from_raw(like.st_gid))).ok();
    fchmod(&copy, Mode::from_raw_mode(like.st_mode & 0o777))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hosts_are_told_from_those_made_inside() {
        let names = Names::default();
        let file = (1, 2, (3, 4));
        assert!(names.are_ours(file, 1) && !names.are_ours(file, 2));
        names.linked(file, 2);
        names.linked(file, 3);
        assert!(names.are_ours(file, 3) && !names.are_ours(file, 4));
        names.parted(file);
        assert!(names.are_ours(file, 2) && !names.are_ours(file, 3), "one that the host makes instead is the host's");
        // Another file, to which the host had given a name before.
        let other = (1, 2, (3, 5));
        names.linked(other, 3);
        assert!(!names.are_ours(other, 3));
        // Who names a file that has none yet gives it its first.
        names.linked((1, 9, (0, 0)), 1);
        assert!(!names.are_ours((1, 9, (0, 0)), 2));
    }
}
