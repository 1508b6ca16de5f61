//! What earlier runs found, so that only directories that have changed since are looked through again: docs/adr/0007.
//!
//! A directory that is the same (device, number, time of change to the nanosecond) has the same names in it: nobody sets that time
//! but the kernel, which does so with every name that comes, goes or changes. Nothing else is believed. What cannot be
//! read, is of another program or is damaged counts as nothing, and all is looked through.

mod format;
mod stamp;

use super::queue::threads;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use std::collections::HashMap;
use std::ffi::{CStr, OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use format::Record;
pub(super) use stamp::{Stamp, Trusted};

/// Largest file that is read: a workspace of a million directories.
const MAX_BYTES: u64 = 128 * 1024 * 1024;
/// Most workspaces that are remembered.
const MOST: usize = 32;
/// How many directories must have been listed for a memory to be written, and how many anew, for it to be written again: fewer are
/// listed sooner than it is read.
const WORTH_IT: (usize, usize) = (256, 64);
/// Fewest directories that a thread compares.
const PART: usize = 256;

/// What is in a directory, as far as it matters.
pub(super) struct Listing {
    pub(super) at: PathBuf,
    /// None if it may change without a trace, or has just been changed.
    pub(super) stamp: Option<Stamp>,
    /// Whether it cannot be opened.
    pub(super) is_closed: bool,
    pub(super) found: Vec<Found>,
    /// Of the directories in it those that the memory knows, by their numbers there.
    pub(super) kept: Vec<usize>,
}

/// Something that may have to be covered.
pub(super) struct Found {
    /// Below the directory.
    pub(super) name: OsString,
    pub(super) kind: Kind,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Something with the name of a secret file.
    Named = 0,
    /// A link with such a name.
    Link = 1,
    /// A socket.
    Socket = 2,
}

/// Where memories are kept, and whose they are.
pub(super) struct Memory {
    directory: PathBuf,
    /// Names that matter are those that this program knows.
    program: Option<Stamp>,
    worth_it: (usize, usize),
    began: Duration,
}

impl Memory {
    pub(super) fn within(state: &Path) -> Self {
        let program = fs::File::open("/proc/self/exe").ok().and_then(|program| Stamp::of(program.as_fd()));
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { directory: state.join("searched"), program, worth_it: WORTH_IT, began }
    }

    /// What tells which directories can be known again.
    pub(super) fn trusted(&self) -> Trusted {
        Trusted::since(self.began)
    }

    /// What is known of what lies below a directory, compared with what is there.
    pub(super) fn recall(&self, root: &Path) -> Option<Recalled> {
        let file = fs::File::open(self.file(root)).ok()?;
        let found = file.metadata().ok()?;
        let is_ours = found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0;
        if !is_ours || found.len() > MAX_BYTES {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(found.len()).ok()?);
        io::Read::read_to_end(&mut io::Read::take(file, MAX_BYTES), &mut bytes).ok()?;
        let records = format::read(&bytes, self.program?, root)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let held = openat2(CWD, root, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).ok()?;
        let same = compare(&bytes, &records, held.as_fd());
        Some(Recalled { bytes, records, same })
    }

    /// Writes down what was found, beside what goes on. `known` is what was recalled.
    pub(super) fn remember(&self, root: &Path, known: Option<Recalled>, listed: Vec<Listing>) -> Option<Remembering> {
        let anew = listed.iter().filter(|listing| listing.stamp.is_some()).count();
        let least = if known.is_some() { self.worth_it.1 } else { self.worth_it.0 };
        let program = self.program.filter(|_| anew >= least)?;
        let (file, root) = (self.file(root), root.to_owned());
        let write = move || {
            let bytes = format::write(program, &root, known.as_ref(), listed);
            // Without it the next run looks through all.
            if let Err(error) = keep(&file, &bytes) {
                tracing::debug!(%error, "what was found in a workspace is not remembered");
            }
        };
        std::thread::Builder::new()
            .name("searched".to_owned())
            .spawn(write)
            .ok()
            .map(|thread| Remembering(Some(thread)))
    }

    fn file(&self, root: &Path) -> PathBuf {
        self.directory.join(format!("{:08x}", crc32fast::hash(root.as_os_str().as_bytes())))
    }
}

/// A memory that is being written. Dropped, it is waited for, so that no half of one is left.
pub(super) struct Remembering(Option<JoinHandle<()>>);

impl Drop for Remembering {
    fn drop(&mut self) {
        // One that failed has left what there was.
        drop(self.0.take().map(JoinHandle::join));
    }
}

/// Replaces a file at once, and forgets what was not used for longest.
fn keep(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let Some(directory) = file.parent() else { return Ok(()) };
    fs::DirBuilder::new().mode(0o700).recursive(true).create(directory)?;
    let aside = file.with_extension(std::process::id().to_string());
    let mut written = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    let done = written.write_all(bytes).and_then(|()| fs::rename(&aside, file));
    if done.is_err() {
        drop(fs::remove_file(&aside));
    }
    done?;
    let mut kept: Vec<_> = fs::read_dir(directory)?.flatten().map(|entry| entry.path()).collect();
    if kept.len() > MOST {
        kept.sort_by_key(|path| fs::metadata(path).and_then(|found| found.modified()).ok());
        for oldest in &kept[..kept.len() - MOST] {
            drop(fs::remove_file(oldest));
        }
    }
    Ok(())
}

/// A memory, and which of its directories are the same as then.
pub(super) struct Recalled {
    bytes: Vec<u8>,
    records: Vec<Record>,
    same: Vec<bool>,
}

/// A directory of a memory. The root's comes first.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    memory: &'a Recalled,
    number: usize,
}

impl Recalled {
    pub(super) fn root(&self) -> Known<'_> {
        Known { memory: self, number: 0 }
    }
}

impl<'a> Known<'a> {
    /// Its number in its memory.
    pub(super) fn number(self) -> usize {
        self.number
    }

    /// Goes down from a directory that lies there. What is the same is told to `same`, what is not to `changed`, and nothing below
    /// that: whether it is still there is for its listing to say.
    pub(super) fn descend(
        self,
        at: &Path,
        mut same: impl FnMut(&Path, Option<Stamp>, Vec<Found>),
        mut changed: impl FnMut(PathBuf, Known<'a>),
    ) {
        let Recalled { records, bytes, same: held, .. } = self.memory;
        let top = records[self.number].depth;
        let mut path = at.to_owned();
        let mut deep = top;
        let mut number = self.number;
        loop {
            if held[number] {
                let record = &records[number];
                same(&path, record.stamp, format::found(bytes, record));
                number += 1;
            } else {
                changed(path.clone(), Known { memory: self.memory, number });
                number = after(records, number);
            }
            let Some(next) = records.get(number).filter(|next| next.depth > top) else { return };
            for _ in next.depth..=deep {
                path.pop();
            }
            path.push(OsStr::from_bytes(next.name(bytes)));
            deep = next.depth;
        }
    }

    /// The directories in this one, by their names.
    pub(super) fn children(self) -> HashMap<&'a OsStr, Known<'a>> {
        let Recalled { records, bytes, .. } = self.memory;
        let below = records[self.number].depth + 1;
        let mut found = HashMap::new();
        let mut number = self.number + 1;
        while let Some(record) = records.get(number).filter(|record| record.depth >= below) {
            found.insert(OsStr::from_bytes(record.name(bytes)), Known { memory: self.memory, number });
            number = after(records, number);
        }
        found
    }
}

/// The next record that is not below this one.
fn after(records: &[Record], number: usize) -> usize {
    let below = records[number + 1..].iter().take_while(|next| next.depth > records[number].depth).count();
    number + 1 + below
}

/// Which directories are as they were, by as many threads as help: each takes a part, in the order in which directories lie in
/// each other.
fn compare(bytes: &[u8], records: &[Record], root: BorrowedFd<'_>) -> Vec<bool> {
    let mut same = vec![false; records.len()];
    let part = records.len().div_ceil(threads()).max(PART);
    std::thread::scope(|scope| {
        let mut path = Vec::new();
        let mut ends = Vec::new();
        let mut rest = (records, same.as_mut_slice());
        while rest.0.len() > part {
            let (now, later) = (rest.0.split_at(part), rest.1.split_at_mut(part));
            let (from, starts) = (path.clone(), ends.clone());
            scope.spawn(move || compare_part(bytes, now.0, later.0, root, from, starts));
            now.0.iter().for_each(|record| step(&mut path, &mut ends, record, bytes));
            rest = (now.1, later.1);
        }
        compare_part(bytes, rest.0, rest.1, root, path, ends);
    });
    same
}

fn compare_part(
    bytes: &[u8],
    records: &[Record],
    same: &mut [bool],
    root: BorrowedFd<'_>,
    mut path: Vec<u8>,
    mut ends: Vec<usize>,
) {
    for (record, same) in records.iter().zip(same) {
        step(&mut path, &mut ends, record, bytes);
        let Some(then) = record.stamp else { continue };
        path.push(0);
        let name = CStr::from_bytes_until_nul(&path).expect("it ends with NUL");
        *same = Stamp::at(root, name).is_some_and(|now| now == then);
        path.pop();
    }
}

/// From the path of one record to that of the next one. `ends` holds where the paths above end.
fn step(path: &mut Vec<u8>, ends: &mut Vec<usize>, record: &Record, bytes: &[u8]) {
    ends.truncate(usize::from(record.depth));
    path.truncate(ends.last().copied().unwrap_or(0));
    if record.depth == 0 {
        path.push(b'.');
    } else {
        path.push(b'/');
        path.extend_from_slice(record.name(bytes));
    }
    ends.push(path.len());
}

#[cfg(test)]
impl Memory {
    /// For small workspaces, in a search that begins later by that much.
    pub(super) fn for_tests(state: &Path, later: Duration) -> Self {
        let now = Self::within(state);
        Self { worth_it: (1, 1), began: now.began + later, ..now }
    }

    /// As of another version of this program.
    pub(super) fn of_another_program(self) -> Self {
        Self { program: self.program.map(|program| Stamp { inode: program.inode + 1, ..program }), ..self }
    }
}
