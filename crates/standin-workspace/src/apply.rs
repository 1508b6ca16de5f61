//! Taking changes over into the workspace.
//!
//! Every directory on the way is opened below the workspace's own descriptor, through no link and no mount; every file is
//! written beside its place and renamed into it, so that nobody sees half of it, what had been linked to it elsewhere stays
//! as it is, and a link in its place is replaced, not followed. Deletions come first, children before parents; then what
//! is made or changed, parents before children; then the modes of directories.

use crate::attention::Attention;
use crate::changes::{Change, ChangesError, Kind, changes, selects};
use crate::store::{Record, Session, StoreError, changed_at};
use crate::tree;
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, SeekFrom, Stat, Timespec, Timestamps, fchmod, fchown, fsetxattr, fstat,
    ftruncate, futimens, mkdirat, openat, renameat, renameat_with, seek, symlinkat, unlinkat,
};
use rustix::io::{Errno, pread, pwrite};
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What a file is called until it is whole. Nothing of a session's is applied under such a name.
const UNFINISHED: &str = ".standin-apply-";
/// Bytes copied between two looks at whether to stop.
const CHUNK: usize = 1024 * 1024;

/// What to apply.
pub struct Apply<'a> {
    /// Whose changes.
    pub session: &'a Session,
    /// Only what these paths name or hold, relative to the workspace; all if there are none.
    pub paths: &'a [PathBuf],
    /// Also what the host may run, without being named.
    pub executable: bool,
    /// Also over what was changed on the host meanwhile.
    pub force: bool,
    /// Asked often; once it says yes, what is under way is undone, and the rest is left.
    pub stop: &'a dyn Fn() -> bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Applied {
    /// How many changes were applied.
    pub done: usize,
    /// What was not, and why.
    pub left: Vec<(PathBuf, NotApplied)>,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

/// Why a change was not applied. Reads after the path and a colon.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    /// It has to be named or asked for.
    #[error("{}", .0.as_str())]
    WantsALook(Attention),
    /// The host's is not what the session began with.
    #[error("it was changed on the host since the session began")]
    Conflict,
    /// The host's was changed while we were at it.
    #[error("it is being changed on the host")]
    ChangedNow,
    /// The session's was changed while we were at it.
    #[error("the session is writing it")]
    BeingWritten,
    /// The directory it belongs into is not there, or is something else, and was not applied either.
    #[error("its directory is not there; apply that, too")]
    NoDirectory,
    /// A directory that is to be removed holds something else.
    #[error("the directory is not empty")]
    NotEmpty,
    /// A name that is only ours.
    #[error("names that begin with {UNFINISHED} are not taken over")]
    OurName,
    /// A directory of the session's that cannot be looked into.
    #[error("the session made it unreadable")]
    Unreadable,
    /// The system refused.
    #[error("{0}")]
    Failed(io::Error),
}

impl Apply<'_> {
    /// Applies, and says what was left and why.
    pub fn run(&self) -> Result<Applied, ChangesError> {
        let _alone = self.session.claim()?;
        let all = changes(self.session)?;
        let mut writer = Writer {
            session: self.session,
            upper: tree::root(&self.session.upper()).map_err(|e| crate::changes::upper_error(Path::new(""), e))?,
            host: tree::root(self.session.workspace()).map_err(|e| crate::changes::host_error(Path::new(""), e))?,
            record: self.session.record()?,
            force: self.force,
            stop: self.stop,
        };
        let mut applied = Applied::default();
        let unreadable = all.unreadable.into_iter().filter(|path| self.selects(path));
        applied.left.extend(unreadable.map(|path| (path, NotApplied::Unreadable)));
        let chosen = self.choose(&all.changes, &mut applied);
        let (gone, rest): (Vec<&Change>, Vec<&Change>) = chosen.into_iter().partition(|change| change.after.is_none());
        let order = gone.into_iter().rev().chain(rest.iter().copied());
        let modes = rest.iter().rev().filter(|change| change.after.as_ref().is_some_and(|a| a.kind == Kind::Directory));
        let steps = order.map(|change| (change, false)).chain(modes.map(|change| (*change, true)));
        let mut failed = HashSet::new();
        for (change, only_mode) in steps {
            if (self.stop)() {
                applied.stopped = true;
                break;
            }
            if only_mode && failed.contains(&change.path) {
                continue;
            }
            let outcome = if only_mode { writer.directory_mode(change) } else { writer.apply(change) };
            match outcome {
                Ok(()) if only_mode => {}
                Ok(()) => applied.done += 1,
                Err(Stopped::Asked) => {
                    applied.stopped = true;
                    break;
                }
                Err(Stopped::Store(error)) => return Err(error.into()),
                Err(Stopped::Here(why)) => {
                    failed.insert(change.path.clone());
                    applied.left.push((change.path.clone(), why));
                }
            }
        }
        applied.left.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(applied)
    }

    /// What is selected and allowed; what is selected and not allowed is noted.
    fn choose<'c>(&self, all: &'c [Change], applied: &mut Applied) -> Vec<&'c Change> {
        let mut chosen: Vec<&Change> = Vec::new();
        let mut needed: HashSet<&Path> = HashSet::new();
        let mut refused: Vec<(&Change, NotApplied)> = Vec::new();
        for change in all.iter().filter(|change| self.selects(&change.path)) {
            match self.refusal(change) {
                None => {
                    needed.extend(change.path.ancestors().skip(1));
                    chosen.push(change);
                }
                Some(why) => refused.push((change, why)),
            }
        }
        // A new directory is harmless by itself, and what was chosen may need it.
        let harmless = |change: &Change| {
            let is = |node: &Option<crate::Node>| node.as_ref().map(|node| node.kind == Kind::Directory);
            needed.contains(change.path.as_path()) && is(&change.after) == Some(true) && change.before.is_none()
        };
        chosen.extend(all.iter().filter(|change| harmless(change) && !self.selects(&change.path)));
        for (change, why) in refused {
            if harmless(change) && matches!(why, NotApplied::WantsALook(_)) {
                chosen.push(change);
            } else {
                applied.left.push((change.path.clone(), why));
            }
        }
        chosen.sort_by(|a, b| a.path.cmp(&b.path));
        chosen
    }

    fn selects(&self, path: &Path) -> bool {
        selects(self.paths, path)
    }

    fn refusal(&self, change: &Change) -> Option<NotApplied> {
        let ours =
            |name: std::path::Component<'_>| name.as_os_str().as_encoded_bytes().starts_with(UNFINISHED.as_bytes());
        if change.path.components().any(ours) {
            return Some(NotApplied::OurName);
        }
        let named = self.executable || self.paths.contains(&change.path);
        match change.attention {
            Some(Attention::Special) => return Some(NotApplied::WantsALook(Attention::Special)),
            Some(attention) if !named => return Some(NotApplied::WantsALook(attention)),
            _ => {}
        }
        (change.conflict.is_some() && !self.force).then_some(NotApplied::Conflict)
    }
}

/// Why one step ended early.
enum Stopped {
    Asked,
    Here(NotApplied),
    Store(StoreError),
}

impl From<Errno> for Stopped {
    fn from(error: Errno) -> Self {
        Self::Here(NotApplied::Failed(error.into()))
    }
}

struct Writer<'a> {
    session: &'a Session,
    upper: OwnedFd,
    host: OwnedFd,
    record: Record,
    force: bool,
    stop: &'a dyn Fn() -> bool,
}

impl Writer<'_> {
    fn apply(&mut self, change: &Change) -> Result<(), Stopped> {
        let (parent, name) = tree::split(&change.path);
        let parent = match tree::directory(self.host.as_fd(), parent) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(Stopped::Here(NotApplied::NoDirectory)),
            other => other?,
        };
        let parent = parent.as_fd();
        let old = still_as_seen(change, parent, name)?;
        let Some(after) = &change.after else { return remove(parent, name, old.as_ref()) };
        match &after.kind {
            Kind::Directory => return make_directory(parent, name, old.as_ref()),
            Kind::File => self.file(change, after.mode, parent, old.as_ref())?,
            Kind::Link(target) => {
                let unfinished = self.unfinished(parent)?;
                symlinkat(target.as_slice(), parent, &unfinished)?;
                cleared(parent, &unfinished, place(parent, &unfinished, name, old.as_ref()))?;
            }
            Kind::Special => return Err(Stopped::Here(NotApplied::WantsALook(Attention::Special))),
        }
        let stat = tree::look(parent, name)?.ok_or(Errno::NOENT)?;
        self.record.add(&change.path, &stat).map_err(Stopped::Store)
    }

    /// Writes a file beside its place, then puts it there.
    fn file(&self, change: &Change, mode: u32, parent: BorrowedFd<'_>, old: Option<&Stat>) -> Result<(), Stopped> {
        let source = tree::file(self.upper.as_fd(), &change.path)?;
        let unfinished = self.unfinished(parent)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = openat(parent, &unfinished, flags, Mode::RUSR | Mode::WUSR)?;
        let written = self.fill(&source, &target, mode, old).and_then(|()| {
            let (_, name) = tree::split(&change.path);
            place(parent, &unfinished, name, old)
        });
        cleared(parent, &unfinished, written)
    }

    fn fill(&self, source: &OwnedFd, target: &OwnedFd, mode: u32, old: Option<&Stat>) -> Result<(), Stopped> {
        let before = fstat(source)?;
        if tree::kind(&before) != rustix::fs::FileType::RegularFile {
            return Err(Stopped::Here(NotApplied::BeingWritten));
        }
        self.copy(source, target, u64::try_from(before.st_size).unwrap_or_default())?;
        for (name, value) in tree::attributes(source.as_fd(), true)? {
            fsetxattr(target, name.as_slice(), &value, rustix::fs::XattrFlags::empty())?;
        }
        if let Some(old) = old.filter(|old| tree::kind(old) == rustix::fs::FileType::RegularFile) {
            keep_owner(target, old)?;
        }
        // After the owner: changing that one clears bits.
        fchmod(target, Mode::from_raw_mode(mode & crate::changes::MODE_BITS))?;
        let time = |sec: i64, nsec: u64| Timespec { tv_sec: sec, tv_nsec: i64::try_from(nsec).unwrap_or_default() };
        let last_modification = time(before.st_mtime, before.st_mtime_nsec);
        let times = Timestamps { last_access: last_modification, last_modification };
        futimens(target, &times)?;
        let now = fstat(source)?;
        let unchanged = (now.st_size, changed_at(&now)) == (before.st_size, changed_at(&before));
        if unchanged { Ok(()) } else { Err(Stopped::Here(NotApplied::BeingWritten)) }
    }

    /// Copies what is data. What was never written stays unwritten: a session can make a file longer than any disk.
    fn copy(&self, source: &OwnedFd, target: &OwnedFd, size: u64) -> Result<(), Stopped> {
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        while at < size {
            at = match seek(source, SeekFrom::Data(at)) {
                Err(Errno::NXIO) => break, // nothing but a hole
                Err(Errno::INVAL) => at,   // a file system that does not tell
                other => other?,
            };
            let end = match seek(source, SeekFrom::Hole(at)) {
                Err(Errno::INVAL) => size,
                other => other?,
            };
            while at < end {
                if (self.stop)() {
                    return Err(Stopped::Asked);
                }
                let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
                let length = match pread(source, &mut buffer[..wanted], at) {
                    Ok(0) => return Err(Stopped::Here(NotApplied::BeingWritten)),
                    Err(Errno::INTR) => continue,
                    other => other?,
                };
                write_all_at(target, &buffer[..length], at)?;
                at += length as u64;
            }
        }
        Ok(ftruncate(target, size)?)
    }

    /// A name beside the place; what an earlier attempt left there is removed.
    fn unfinished(&self, parent: BorrowedFd<'_>) -> Result<PathBuf, Errno> {
        let name = PathBuf::from(format!("{UNFINISHED}{}", self.session.id()));
        match unlinkat(parent, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(name),
            Err(error) => Err(error),
        }
    }

    /// Directories get their modes last: until then we write in them.
    fn directory_mode(&self, change: &Change) -> Result<(), Stopped> {
        let Some(after) = &change.after else { return Ok(()) };
        if change.conflict.is_some() && !self.force {
            return Ok(());
        }
        let directory = tree::directory(self.host.as_fd(), &change.path)?;
        Ok(fchmod(directory, Mode::from_raw_mode(after.mode & crate::changes::MODE_BITS))?)
    }
}

/// What is there now, if it is what the change was told from.
fn still_as_seen(change: &Change, parent: BorrowedFd<'_>, name: &Path) -> Result<Option<Stat>, Stopped> {
    let now = tree::look(parent, name)?;
    let same = match (&now, &change.before, change.seen) {
        (None, None, _) => true,
        // Its times change with what we did in it.
        (Some(now), Some(before), _) if before.kind == Kind::Directory => {
            tree::kind(now) == rustix::fs::FileType::Directory
        }
        (Some(now), Some(_), Some(seen)) => (now.st_dev, now.st_ino, changed_at(now)) == seen,
        _ => false,
    };
    if same { Ok(now) } else { Err(Stopped::Here(NotApplied::ChangedNow)) }
}

/// Puts a finished file or link into its place.
fn place(parent: BorrowedFd<'_>, unfinished: &Path, name: &Path, old: Option<&Stat>) -> Result<(), Stopped> {
    match old.map(tree::kind) {
        // Somebody may have been quicker.
        None => match renameat_with(parent, unfinished, parent, name, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => return Err(Stopped::Here(NotApplied::ChangedNow)),
            // Not every file system can say it.
            Err(Errno::INVAL) => renameat(parent, unfinished, parent, name)?,
            other => other?,
        },
        Some(rustix::fs::FileType::Directory) => {
            remove(parent, name, old)?;
            renameat(parent, unfinished, parent, name)?;
        }
        Some(_) => renameat(parent, unfinished, parent, name)?,
    }
    Ok(())
}

fn remove(parent: BorrowedFd<'_>, name: &Path, old: Option<&Stat>) -> Result<(), Stopped> {
    let directory = old.is_some_and(|old| tree::kind(old) == rustix::fs::FileType::Directory);
    let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    match unlinkat(parent, name, flags) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => Err(Stopped::Here(NotApplied::NotEmpty)),
        other => Ok(other?),
    }
}

fn make_directory(parent: BorrowedFd<'_>, name: &Path, old: Option<&Stat>) -> Result<(), Stopped> {
    match old.map(tree::kind) {
        Some(rustix::fs::FileType::Directory) => return Ok(()),
        Some(_) => unlinkat(parent, name, AtFlags::empty())?,
        None => {}
    }
    Ok(mkdirat(parent, name, Mode::RWXU)?)
}

/// The host's file keeps its owner and group where we may give them.
fn keep_owner(target: &OwnedFd, old: &Stat) -> Result<(), Errno> {
    let now = fstat(target)?;
    let uid = (now.st_uid != old.st_uid).then(|| rustix::fs::Uid::from_raw(old.st_uid));
    let gid = (now.st_gid != old.st_gid).then(|| rustix::fs::Gid::from_raw(old.st_gid));
    if uid.is_none() && gid.is_none() {
        return Ok(());
    }
    match fchown(target, uid, gid) {
        Err(Errno::PERM) => Ok(()),
        other => other,
    }
}

fn write_all_at(target: &OwnedFd, mut bytes: &[u8], mut at: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match pwrite(target, bytes, at) {
            Ok(length) => {
                bytes = bytes.get(length..).unwrap_or_default();
                at += length as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes the unfinished file if it did not get into its place.
fn cleared(parent: BorrowedFd<'_>, unfinished: &Path, written: Result<(), Stopped>) -> Result<(), Stopped> {
    if written.is_err() {
        unlinkat(parent, unfinished, AtFlags::empty())?;
    }
    written
}
