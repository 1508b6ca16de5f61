//! git's configuration: put in place by us, after it was read and found harmless.
//!
//! git writes `config.lock` and renames it to `config`. Whoever wrote that file may still have it open, so what takes the
//! configuration's place is a copy of ours, under a name that is protected until it does.

use super::act::{Desk, kind_of};
use super::caller::own_mode;
use super::place::{Nowhere, Place};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;
use standin_model::protected::git_config;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::PoisonError;

/// Configurations are small; a longer one is not looked at.
const LONGEST: usize = 256 * 1024;
pub(super) const CONFIG: &std::ffi::CStr = c"config";
/// In the list of protected names.
const COPY: &std::ffi::CStr = c"config.standin";

impl Desk {
    /// Does the rename if what it brings is harmless.
    pub(super) fn configure(&self, from: &Place, to: &Place, replaced: Option<&Stat>) -> Result<bool, Nowhere> {
        let Some(new) = contents(from)? else { return Ok(false) };
        let own = replaced.is_none_or(|old| self.is_born(old));
        let harmless = if own {
            git_config::harmless_for_new(&new)
        } else {
            contents(to)?.is_some_and(|old| git_config::harmless_change(&old, &new))
        };
        if !harmless {
            return Ok(false);
        }
        let made = self.put_configuration(to, &new, replaced.filter(|_| own))?;
        unlinkat(&from.directory, &from.name, AtFlags::empty())?;
        if !own {
            self.forget(&made);
        }
        Ok(true)
    }

    /// Puts a file of ours in the place of a configuration, as one that was made inside.
    pub(super) fn put_configuration(&self, to: &Place, text: &[u8], replaced: Option<&Stat>) -> Result<Stat, Nowhere> {
        // Left by one that was interrupted for good.
        unlinkat(&to.directory, COPY, AtFlags::empty()).ok();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut copy = File::from(openat(&to.directory, COPY, flags, own_mode())?);
        copy.write_all(text).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let made = fstat(&copy)?;
        renameat(&to.directory, COPY, &to.directory, &to.name)?;
        let mut born = self.born.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.map(|old| born.remove(&(old.st_dev, old.st_ino)));
        born.insert((made.st_dev, made.st_ino));
        Ok(made)
    }

    fn is_born(&self, stat: &Stat) -> bool {
        self.born.lock().unwrap_or_else(PoisonError::into_inner).contains(&(stat.st_dev, stat.st_ino))
    }

    /// Whether a file is a configuration that was made inside; it is about to be removed.
    pub(super) fn forget(&self, stat: &Stat) -> bool {
        self.born.lock().unwrap_or_else(PoisonError::into_inner).remove(&(stat.st_dev, stat.st_ino))
    }
}

/// What is in a small file; nothing if it is something else.
pub(super) fn contents(place: &Place) -> Result<Option<Vec<u8>>, Nowhere> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&place.directory, &place.name, flags, Mode::empty())?;
    if kind_of(&fstat(&file)?) != FileType::RegularFile {
        return Ok(None);
    }
    let mut text = Vec::new();
    let read = File::from(file).take(LONGEST as u64 + 1).read_to_end(&mut text);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok((text.len() <= LONGEST).then_some(text))
}
