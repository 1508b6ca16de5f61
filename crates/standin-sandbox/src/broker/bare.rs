//! Bare repositories: git takes a directory for one by what is in it, `HEAD` with `objects` and `refs` (or with `commondir`), and then
//! obeys the configuration and the hooks beside them. So in a directory with a `HEAD` the same names are protected as in `.git`, and that
//! one comes only where nothing of the kind is there already, or what `git init --bare` writes.

use super::act::{Desk, look};
use super::configure::{CONFIG, contents};
use super::place::{Nowhere, Place};
use super::zones::Zone;
use rustix::fs::{AtFlags, Dir, IFlags, Mode, OFlags, fstatfs, ioctl_getflags, openat, statat};
use rustix::io::Errno;
use standin_model::protected::{self, Kind, Role, git_config};
use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What git obeys besides the configuration, and `git init --bare` does not make.
const OBEYED: &[&str] = &["commondir", "config.worktree", "info/attributes"];
const HEAD: &str = "HEAD";
/// Of a directory's flags (`FS_CASEFOLD_FL`).
const CASEFOLD: IFlags = IFlags::from_bits_retain(0x4000_0000);
/// File systems in which names of different case differ, where a directory does not say otherwise: ext4, XFS, btrfs, f2fs, tmpfs.
const EXACT: &[i64] = &[0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];

impl Desk {
    /// The path by which something in a workspace is judged: as if it lay in `.git`, where it lies in a bare repository.
    pub(super) fn judged_as<'a>(&self, whole: &Path, judged: &'a Path) -> Cow<'a, Path> {
        let repository = |below: &PathBuf| {
            let rest = below.strip_prefix(".git").map_or(0, |rest| rest.components().count());
            let above = whole.ancestors().nth(rest).and_then(|above| self.directory(above));
            above.is_some_and(|directory| is_repository(&directory))
        };
        protected::in_bare(judged).into_iter().find(repository).map_or(Cow::Borrowed(judged), Cow::Owned)
    }

    /// Whether a path is that of a repository's configuration.
    pub(super) fn is_configuration(&self, path: &Path) -> bool {
        matches!(self.files.zone(path), Zone::Guarded(judged) if protected::is_git_config(&self.judged_as(path, judged)))
    }

    /// Whether what is in a place is the configuration of a bare repository as one is made inside: it may be removed.
    pub(super) fn is_bare_configuration(&self, place: &Place, whole: &Path) -> bool {
        !self.is(whole, protected::is_git_config)
            && self.is_configuration(whole)
            && contents(place).is_ok_and(|text| text.is_some_and(|text| git_config::harmless_for_new(&text)))
    }

    /// Fails for a name by which its directory would become a bare repository that obeys what is in it already.
    pub(super) fn may_complete(&self, path: &Path, judged: &Path) -> Result<(), Nowhere> {
        let (Some(name), Some(above)) = (path.file_name(), path.parent()) else { return Ok(()) };
        // Where names alone protect it, there is nothing to be found out.
        let by_name = || protected::role(&judged.with_file_name("config"), Kind::Other);
        if !protected::is_head(name.as_bytes()) || matches!(by_name(), Role::Protected(_)) {
            return Ok(());
        }
        let Some(directory) = self.directory(above) else { return Ok(()) };
        if is_repository(&directory) || name != HEAD && !folds(&directory) {
            return Ok(());
        }
        let refused = || {
            self.refusals.tell_bare(path);
            Err(Errno::ACCESS.into())
        };
        if OBEYED.iter().any(|name| exists(&directory, name)) || !only_samples(&directory)? {
            return refused();
        }
        let configuration = Place::in_directory(directory, above.to_owned(), CONFIG);
        if look(&configuration)?.is_none() {
            return Ok(());
        }
        // Whoever wrote it may still have it open.
        match contents(&configuration)? {
            Some(text) if git_config::harmless_for_new(&text) => {
                self.put_configuration(&configuration, &text, None).map(drop)
            }
            _ => refused(),
        }
    }
}

/// Whether git may take a directory for a repository. `objects` and `refs` may be sockets, which come without the broker.
fn is_repository(directory: &OwnedFd) -> bool {
    exists(directory, HEAD)
}

fn exists(directory: &OwnedFd, name: &str) -> bool {
    !matches!(statat(directory, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT | Errno::NOTDIR))
}

/// Whether names that differ in case may be one in a directory: unless it is known that they are not.
fn folds(directory: &OwnedFd) -> bool {
    let known = fstatfs(directory).is_ok_and(|system| EXACT.contains(&system.f_type));
    let flags = openat(directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let folded = flags.and_then(ioctl_getflags).map(|flags| flags.contains(CASEFOLD));
    !known || folded == Ok(true)
}

/// Whether the directory of hooks is not there, or holds nothing but examples.
fn only_samples(directory: &OwnedFd) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let hooks = match openat(directory, "hooks", flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(true),
        Err(_) => return Ok(false),
        Ok(hooks) => hooks,
    };
    for entry in Dir::read_from(&hooks)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !(name == b"." || name == b".." || name.ends_with(b".sample")) {
            return Ok(false);
        }
    }
    Ok(true)
}
