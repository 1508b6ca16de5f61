//! Each operation: where it goes, whether it may, and doing it on the directory that is held.
//!
//! The order in each is the same: places, their zones, their roles, the call. What is native is given back before anything
//! is judged; the floor judges that.

use super::call::{At, Call};
use super::caller::Caller;
use super::masked::Masked;
use super::names::Names;
use super::place::{Nowhere, Place, Roots, beside, descriptor_named, unresolved};
use super::refusals::Refusals;
use super::watcher::Ours;
use super::zones::Zone;
use crate::plan::Files;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, fstat, ftruncate, linkat, mkdirat, mknodat,
    openat, openat2, readlinkat, renameat_with, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use standin_model::protected::{self, Kind, Role};
use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// How many links are followed, as by the kernel.
const MAX_LINKS: usize = 40;

/// The end of a call.
pub(super) enum Answer {
    /// The kernel does it.
    Native,
    /// It is done.
    Done,
    /// A descriptor, and whether it closes with the program.
    Give(OwnedFd, bool),
    /// It waits for another process, so it is opened elsewhere.
    Wait(Place, OFlags),
}

/// What all operations need.
pub(super) struct Desk {
    pub(super) roots: Roots,
    pub(super) files: Files,
    pub(super) masked: Masked,
    pub(super) ours: Arc<Ours>,
    pub(super) refusals: Refusals,
    /// Configurations of repositories that were made inside: by device and number.
    pub(super) born: Mutex<HashSet<(u64, u64)>>,
    pub(super) names: Names,
}

impl Desk {
    /// Does what was asked.
    pub(super) fn serve(&self, call: Call, caller: Caller<'_>) -> Result<Answer, Errno> {
        let done = match call {
            Call::Open { at, flags, mode } => self.open(caller, at, flags, mode),
            Call::Truncate { at, length } => self.truncate(caller, at, length),
            Call::MakeDirectory { at, mode } => self.make_directory(caller, at, mode),
            Call::MakeNode { at, mode, device } => self.make_node(caller, at, mode, device),
            Call::Symlink { target, at } => self.symlink(caller, target, at),
            Call::Link { from, to, flags } => self.link(caller, from, to, flags),
            Call::Rename { from, to, flags } => self.rename(caller, from, to, flags),
            Call::Remove { at, flags } => self.remove(caller, at, flags),
        };
        match done {
            Ok(answer) => Ok(answer),
            Err(Nowhere::Native) => Ok(Answer::Native),
            Err(Nowhere::Fails(error)) => Err(error),
        }
    }

    fn place(&self, caller: Caller<'_>, at: At) -> Result<Place, Nowhere> {
        self.roots.place(caller, at.directory, &caller.path(at.path)?)
    }

    /// Fails if the name is protected, and says so.
    fn may_change(&self, path: &Path, kind: Kind) -> Result<Role, Nowhere> {
        let Zone::Guarded(judged) = self.files.zone(path) else { return Ok(Role::Free) };
        self.may_complete(path, judged)?;
        let role = protected::role(&self.judged_as(path, judged), kind);
        match role {
            Role::Protected(reason) => {
                self.refusals.tell(path, reason);
                Err(Errno::ACCESS.into())
            }
            other => Ok(other),
        }
    }

    /// Whether a path in a workspace is so.
    pub(super) fn is(&self, path: &Path, so: impl Fn(&Path) -> bool) -> bool {
        matches!(self.files.zone(path), Zone::Guarded(judged) if so(judged))
    }

    fn is_native(&self, path: &Path) -> bool {
        matches!(self.files.zone(path), Zone::Native | Zone::NativeToRead)
    }

    fn open(&self, caller: Caller<'_>, at: At, flags: OFlags, mode: u32) -> Result<Answer, Nowhere> {
        let path = caller.path(at.path)?;
        if flags.contains(OFlags::TMPFILE) {
            return self.open_without_name(caller, at, &path, flags, mode);
        }
        let mut place = match self.roots.place(caller, at.directory, &path) {
            // No name at the end (`.`, `/`): a directory, which has no contents.
            Err(Nowhere::Native) if !writes(flags) => return self.open_directory(caller, at, &path, flags),
            other => other?,
        };
        for _ in 0..MAX_LINKS {
            let whole = place.path();
            let found = look(&place)?;
            let link = found.as_ref().is_some_and(|stat| kind_of(stat) == FileType::Symlink);
            let follows = !flags.contains(OFlags::NOFOLLOW) && !flags.contains(OFlags::CREATE | OFlags::EXCL);
            if link && (follows || place.must_be_directory()) {
                // Where a protected file was put elsewhere, by the host, it is not written through its name either.
                if writes(flags) {
                    self.may_change(&whole, Kind::Other)?;
                }
                place = self.behind(&place)?;
                continue;
            }
            if self.is_native(&whole) {
                return Ok(Answer::Native);
            }
            return self.open_here(caller, place, &whole, found, flags, mode);
        }
        Err(Errno::LOOP.into())
    }

    /// Opens the very name, which is no link to be followed.
    fn open_here(
        &self,
        caller: Caller<'_>,
        place: Place,
        whole: &Path,
        found: Option<Stat>,
        flags: OFlags,
        mode: u32,
    ) -> Result<Answer, Nowhere> {
        let mut flags = flags;
        match found.as_ref().map(|stat| (kind_of(stat), stat)) {
            // Making it fails on its own, without the flag that would make it.
            None if !flags.contains(OFlags::CREATE) => return Err(Errno::NOENT.into()),
            None => {
                if let Some(answer) = self.tie_worktree(&place, whole, flags)? {
                    return Ok(answer);
                }
                if !self.is(whole, protected::is_sample) {
                    self.may_change(whole, Kind::Other)?;
                }
            }
            Some((FileType::Directory, _)) => {}
            Some((FileType::Fifo, _)) if !flags.contains(OFlags::NONBLOCK) => return Ok(Answer::Wait(place, flags)),
            Some((_, stat)) if writes(flags) => {
                self.may_change(whole, Kind::Other)?;
                self.make_own(&place, whole, stat, flags)?;
            }
            // It only asked to make it if need be.
            Some(_) if !flags.contains(OFlags::EXCL) => flags.remove(OFlags::CREATE),
            Some(_) => {}
        }
        let mode = if found.is_none() { caller.mode(mode)? } else { Mode::empty() };
        let own = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
        let open = |flags| openat(&place.directory, &place.name, flags, mode);
        let opened = match found {
            Some(_) => open(own),
            // Of a file that appears at this moment it is not the command's work.
            None => match self.noting(&[(&place, whole)], || open(own | OFlags::EXCL)) {
                Err(Errno::EXIST) if !flags.contains(OFlags::EXCL) => open(own),
                made => made,
            },
        };
        let opened = opened.map_err(|error| self.masked(error, whole))?;
        Ok(Answer::Give(opened, flags.contains(OFlags::CLOEXEC)))
    }

    /// A file that has no name yet; `linkat` gives it one, and is judged then.
    fn open_without_name(
        &self,
        caller: Caller<'_>,
        at: At,
        path: &CString,
        flags: OFlags,
        mode: u32,
    ) -> Result<Answer, Nowhere> {
        let directory = self.held(caller, at, path)?;
        if self.is_native(&self.roots.path_of(directory.as_fd())?) {
            return Ok(Answer::Native);
        }
        let mode = caller.mode(mode)?;
        let opened = openat(&directory, ".", flags | OFlags::CLOEXEC, mode)?;
        Ok(Answer::Give(opened, flags.contains(OFlags::CLOEXEC)))
    }

    fn open_directory(&self, caller: Caller<'_>, at: At, path: &CString, flags: OFlags) -> Result<Answer, Nowhere> {
        if descriptor_named(path).is_some() {
            return Ok(Answer::Native);
        }
        let directory = self.held(caller, at, path)?;
        let opened = openat(&directory, ".", flags | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Answer::Give(opened, flags.contains(OFlags::CLOEXEC)))
    }

    /// What a path leads to, which must be a directory.
    fn held(&self, caller: Caller<'_>, at: At, path: &CString) -> Result<OwnedFd, Nowhere> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let (base, path) = self.roots.start(caller, at.directory, path)?;
        openat2(&base, &path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
            .map_err(|error| unresolved(error, path.to_bytes()))
    }

    /// Where the link in a place leads.
    fn behind(&self, place: &Place) -> Result<Place, Nowhere> {
        let name = CString::new(place.plain_name().as_encoded_bytes()).map_err(|_| Errno::INVAL)?;
        let target = readlinkat(&place.directory, &name, Vec::new())?;
        let target = std::os::unix::ffi::OsStringExt::from_vec(target.into_bytes());
        let target: std::ffi::OsString = target;
        self.roots.place_from(place.directory.as_fd(), &beside(place, Path::new(&target))?)
    }

    fn truncate(&self, caller: Caller<'_>, at: At, length: u64) -> Result<Answer, Nowhere> {
        match self.open(caller, at, OFlags::WRONLY | OFlags::CLOEXEC, 0)? {
            Answer::Give(opened, _) => {
                ftruncate(opened, length)?;
                Ok(Answer::Done)
            }
            Answer::Wait(..) => Err(Errno::INVAL.into()),
            other => Ok(other),
        }
    }

    fn make_directory(&self, caller: Caller<'_>, at: At, mode: u32) -> Result<Answer, Nowhere> {
        let place = self.place(caller, at)?;
        let whole = place.path();
        if self.is_native(&whole) {
            return Ok(Answer::Native);
        }
        if look(&place)?.is_some() {
            return Err(Errno::EXIST.into()); // also where making it would be refused: `mkdir -p`
        }
        self.may_change(&whole, Kind::Directory)?;
        mkdirat(&place.directory, &place.name, caller.mode(mode)?)?;
        Ok(Answer::Done)
    }

    fn make_node(&self, caller: Caller<'_>, at: At, mode: u32, device: u64) -> Result<Answer, Nowhere> {
        let place = self.place(caller, at)?;
        let whole = place.path();
        if self.is_native(&whole) {
            return Ok(Answer::Native);
        }
        self.may_change(&whole, Kind::Other)?;
        let kind = match mode & libc::S_IFMT {
            0 => FileType::RegularFile,
            _ => FileType::from_raw_mode(mode),
        };
        let mode = caller.mode(mode)?;
        self.noting(&[(&place, &whole)], || mknodat(&place.directory, &place.name, kind, mode, device))?;
        Ok(Answer::Done)
    }

    fn symlink(&self, caller: Caller<'_>, target: u64, at: At) -> Result<Answer, Nowhere> {
        let place = self.place(caller, at)?;
        let whole = place.path();
        if self.is_native(&whole) {
            return Ok(Answer::Native);
        }
        let role = self.may_change(&whole, Kind::Other)?;
        self.may_stand_for(&whole, role)?;
        let target = caller.path(target)?;
        self.may_be_link(&whole, Some(&target))?;
        symlinkat(&target, &place.directory, &place.name)?;
        Ok(Answer::Done)
    }

    fn link(&self, caller: Caller<'_>, from: At, to: At, flags: AtFlags) -> Result<Answer, Nowhere> {
        let to = self.place(caller, to)?;
        let from_path = caller.path(from.path)?;
        let named = descriptor_named(&from_path).filter(|_| flags.contains(AtFlags::SYMLINK_FOLLOW));
        let empty = from_path.is_empty().then_some(from.directory).filter(|_| flags.contains(AtFlags::EMPTY_PATH));
        if let Some(number) = named.or(empty) {
            return self.link_descriptor(&caller.descriptor(number)?, &to);
        }
        let mut from = self.roots.place(caller, from.directory, &from_path)?;
        if flags.contains(AtFlags::SYMLINK_FOLLOW) {
            for _ in 0..MAX_LINKS {
                if !look(&from)?.is_some_and(|stat| kind_of(&stat) == FileType::Symlink) {
                    break;
                }
                from = self.behind(&from)?;
            }
        }
        let (source, target) = (from.path(), to.path());
        if self.is_native(&source) && self.is_native(&target) {
            return Ok(Answer::Native);
        }
        // A second name of a protected file would be a way to its contents.
        self.may_change(&source, Kind::Other)?;
        let role = self.may_change(&target, Kind::Other)?;
        if look(&from)?.is_some_and(|stat| kind_of(&stat) == FileType::Symlink) {
            self.may_stand_for(&target, role)?;
            self.may_be_link(&target, None)?;
        }
        self.noting(&[(&to, &target)], || {
            linkat(&from.directory, &from.name, &to.directory, &to.name, AtFlags::empty())
        })?;
        self.named(&to);
        Ok(Answer::Done)
    }

    /// Gives a file that is open another name, or its first.
    fn link_descriptor(&self, held: &OwnedFd, to: &Place) -> Result<Answer, Nowhere> {
        let source = self.roots.path_of(held.as_fd())?;
        let target = to.path();
        if self.is_native(&source) && self.is_native(&target) {
            return Ok(Answer::Native);
        }
        self.may_change(&source, Kind::Other)?;
        let role = self.may_change(&target, Kind::Other)?;
        if kind_of(&fstat(held)?) == FileType::Symlink {
            self.may_stand_for(&target, role)?;
            self.may_be_link(&target, None)?;
        }
        let itself = format!("self/fd/{}", held.as_raw_fd());
        self.noting(&[(to, &target)], || {
            linkat(&self.roots.proc, itself, &to.directory, &to.name, AtFlags::SYMLINK_FOLLOW)
        })?;
        self.named(to);
        Ok(Answer::Done)
    }

    fn rename(&self, caller: Caller<'_>, from: At, to: At, flags: RenameFlags) -> Result<Answer, Nowhere> {
        let (from, to) = (self.place(caller, from)?, self.place(caller, to)?);
        let (source, target) = (from.path(), to.path());
        if self.is_native(&source) && self.is_native(&target) {
            return Ok(Answer::Native);
        }
        if self.files.holds_guarded(&source) || self.files.holds_guarded(&target) {
            return Err(Errno::BUSY.into());
        }
        self.may_leave(&source)?;
        self.may_leave(&target)?;
        let moved = look(&from)?.ok_or(Errno::NOENT)?;
        let replaced = look(&to)?;
        if kind_of(&moved) == FileType::RegularFile && flags.is_empty() && self.is_configuration(&target) {
            self.may_change(&source, Kind::Other)?;
            if self.configure(&from, &to, replaced.as_ref())? {
                return Ok(Answer::Done);
            }
        }
        self.may_move(&moved, &source, &target)?;
        if let Some(replaced) = replaced.filter(|_| flags.contains(RenameFlags::EXCHANGE)) {
            self.may_move(&replaced, &target, &source)?;
        }
        if let Some(replaced) = replaced.filter(|stat| flags.is_empty() && stat.st_ino != moved.st_ino) {
            self.unnamed(&to, &replaced);
        }
        let rename = || renameat_with(&from.directory, &from.name, &to.directory, &to.name, flags);
        let places = [(&to, target.as_path()), (&from, source.as_path())];
        self.noting(if flags.contains(RenameFlags::EXCHANGE) { &places } else { &places[..1] }, rename)
            .map_err(|error| self.masked(self.masked(error, &source), &target))?;
        self.masked.moved(&source, &target, flags.contains(RenameFlags::EXCHANGE));
        Ok(Answer::Done)
    }

    /// Whether something may leave its name for another.
    fn may_move(&self, moved: &Stat, source: &Path, target: &Path) -> Result<(), Nowhere> {
        let kind = if kind_of(moved) == FileType::Directory { Kind::Directory } else { Kind::Other };
        let (here, there) = (self.may_change(source, kind)?, self.may_change(target, kind)?);
        match kind_of(moved) {
            // What is below it would get, or lose, its role.
            FileType::Directory => {
                self.may_stand_for(source, here)?;
                self.may_stand_for(target, there)?;
                let packages = |path: &Path| self.is(path, protected::in_packages);
                // To be copied file by file, each of which is judged.
                let alike = packages(source) == packages(target) && !self.comes_into_git(source, target);
                let alike = alike && self.masked.may_move(source, target);
                if alike { Ok(()) } else { Err(Errno::XDEV.into()) }
            }
            FileType::Symlink => {
                self.may_stand_for(target, there)?;
                self.may_be_link(target, None)
            }
            _ => Ok(()),
        }
    }

    /// Fails for something with things below it in the place of a directory with protected names below it.
    fn may_stand_for(&self, path: &Path, role: Role) -> Result<(), Nowhere> {
        match role {
            Role::Ancestor(reason) => {
                self.refusals.tell(path, reason);
                Err(Errno::ACCESS.into())
            }
            Role::Free | Role::Protected(_) => Ok(()),
        }
    }

    fn remove(&self, caller: Caller<'_>, at: At, flags: AtFlags) -> Result<Answer, Nowhere> {
        let place = self.place(caller, at)?;
        let whole = place.path();
        if self.is_native(&whole) {
            return Ok(Answer::Native);
        }
        if let Some(found) = look(&place)? {
            self.may_leave(&whole)?;
            let kind = if flags.contains(AtFlags::REMOVEDIR) { Kind::Directory } else { Kind::Other };
            let free = self.is(&whole, |path| protected::pointer(path).is_some() || protected::is_sample(path));
            if !free && !self.forget(&found) && !self.is_bare_configuration(&place, &whole) {
                self.may_change(&whole, kind)?;
            }
            self.unnamed(&place, &found);
        }
        unlinkat(&place.directory, &place.name, flags).map_err(|error| self.masked(error, &whole))?;
        Ok(Answer::Done)
    }
}

/// What is in a place, if anything.
pub(super) fn look(place: &Place) -> Result<Option<Stat>, Nowhere> {
    let name = CString::new(place.plain_name().as_encoded_bytes()).map_err(|_| Errno::INVAL)?;
    match statat(&place.directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Whether a file that is there would be changed.
fn writes(flags: OFlags) -> bool {
    flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC)
}
