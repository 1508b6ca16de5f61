//! The host's disks, which a command may write to without a bound of their own: the workspace's, those of what `--rw` shows, and the one that
//! a copy of the workspace and the records lie on. Before one of them is full the session is ended, so that the host can go on. What
//! takes space in no time at all (`fallocate`) is not there inside (`standin-sandbox/src/confine.rs`).

use super::inputs::Inputs;
use crate::exit::Failure;
use rustix::fs::{CWD, Mode, OFlags, StatVfs, StatVfsMountFlags, fstat, fstatvfs, openat, statvfs};
use rustix::io::Errno;
use rustix::process::Signal;
use standin_model::Bound;
use standin_sandbox::Process;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// What stays free if nothing else was asked for, in bytes and in files.
const USUAL: u64 = 1 << 30;
const USUAL_FILES: u64 = 10_000;
/// More than a machine writes to a page cache, or makes files, in a second.
const BYTES_A_SECOND: u64 = 8 << 30;
const FILES_A_SECOND: u64 = 200_000;
/// How often is looked at least, and at most.
const RARELY: Duration = Duration::from_secs(1);
const OFTEN: Duration = Duration::from_millis(10);

/// The disks of a session.
pub(super) struct Disks {
    watched: Vec<Disk>,
    /// What made the session end.
    low: OnceLock<String>,
}

struct Disk {
    held: OwnedFd,
    /// By which it is named to the user.
    path: PathBuf,
    least: Room,
}

/// What is free on a disk. One that does not count its files has no end of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    bytes: u64,
    files: u64,
}

impl Disks {
    /// Those that this session may write to. What is asked to stay free must be.
    pub(super) fn of(inputs: &Inputs, spare: Bound) -> Result<Self, Failure> {
        let mut watched: Vec<Disk> = Vec::new();
        if spare == Bound::Unlimited {
            return Ok(Self { watched, low: OnceLock::new() });
        }
        let mut seen = HashSet::new();
        let shown = inputs.writable.iter().chain([&inputs.workspace]);
        let mounts =
            fs::read("/proc/self/mountinfo").map_err(|error| Failure::because("cannot read the mounts", &error))?;
        let below = shown.clone().flat_map(|path| mounts_below(path, &mounts)).filter(|path| is_written(path));
        let below: Vec<PathBuf> = below.collect();
        for path in shown.chain([&inputs.state]).chain(&below) {
            let cannot = |error: Errno| {
                Failure::because(format!("cannot tell how full the disk of {} is", path.display()), &error)
            };
            // What is not there yet is made on the disk of what it will lie in.
            let open = |path| openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            let held =
                path.ancestors().map(open).find(|held| !matches!(held, Err(Errno::NOENT))).unwrap_or(Err(Errno::NOENT));
            let held = held.map_err(cannot)?;
            if !seen.insert(fstat(&held).map_err(cannot)?.st_dev) {
                continue;
            }
            let free = Room::from(&fstatvfs(&held).map_err(cannot)?);
            let least = free.least(spare).ok_or_else(|| {
                let left = super::bytes(free.bytes);
                Failure::new(format!("only {left} are free where {} lies, less than is to stay free", path.display()))
                    .hint("make room, or say with --spare how much is to stay free")
            })?;
            watched.push(Disk { held, path: path.clone(), least });
        }
        Ok(Self { watched, low: OnceLock::new() })
    }

    /// Ends the session when one of them is nearly full. Returns only then.
    pub(super) async fn watch(&self, sandbox: &Process) {
        if self.watched.is_empty() {
            return;
        }
        let mut left = self.look();
        while self.low.get().is_none() {
            tokio::time::sleep(left.pause()).await; // nobody tells when a disk fills up
            left = self.look();
        }
        sandbox.signal(Signal::KILL);
    }

    /// Why the session was ended.
    pub(super) fn low(&self) -> Option<&str> {
        self.low.get().map(String::as_str)
    }

    /// How much may still be taken from the fullest of them.
    fn look(&self) -> Room {
        let mut least = Room { bytes: u64::MAX, files: u64::MAX };
        for disk in &self.watched {
            // One that does not answer any more cannot be written to.
            let Ok(now) = fstatvfs(&disk.held) else { continue };
            match Room::from(&now).above(disk.least) {
                Some(left) => least = Room { bytes: least.bytes.min(left.bytes), files: least.files.min(left.files) },
                None => drop(self.low.set(format!(
                    "the command was ended: {} are left where {} lies (see --spare)",
                    Room::from(&now).told(disk.least),
                    disk.path.display()
                ))),
            }
        }
        least
    }
}

/// Other disks within what is shown, which are shown with it: of proc(5)'s list of mounts those that lie below.
fn mounts_below(path: &Path, mounts: &[u8]) -> Vec<PathBuf> {
    let points = mounts.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let points = points.map(|point| PathBuf::from(OsString::from_vec(unescaped(point))));
    points.filter(|point| point.starts_with(path) && point != path).collect()
}

/// White space and backslashes are in octal digits there.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let digits = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            plain.push(byte);
            rest = &after[3..];
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    plain
}

/// Whether there is room on it that could be taken. Others' mounts, into which we do not see, are none of the command's.
fn is_written(path: &Path) -> bool {
    statvfs(path).is_ok_and(|disk| disk.f_blocks > 0 && !disk.f_flag.contains(StatVfsMountFlags::RDONLY))
}

impl From<&StatVfs> for Room {
    fn from(disk: &StatVfs) -> Self {
        let files = if disk.f_files == 0 { u64::MAX } else { disk.f_favail };
        Self { bytes: disk.f_bavail.saturating_mul(disk.f_frsize), files }
    }
}

impl Room {
    /// What is to stay of what is free at the start; nothing if that much is not there.
    fn least(self, spare: Bound) -> Option<Self> {
        let files = USUAL_FILES.min(self.files / 2);
        match spare {
            Bound::At(bytes) => (bytes < self.bytes).then_some(Self { bytes, files }),
            // Who has less than that is used to it.
            _ => Some(Self { bytes: USUAL.min(self.bytes / 2), files }),
        }
    }

    /// What may still be taken.
    fn above(self, least: Self) -> Option<Self> {
        let bytes = self.bytes.checked_sub(least.bytes)?;
        Some(Self { bytes, files: self.files.checked_sub(least.files)? })
    }

    /// How long it lasts at any rate.
    fn pause(self) -> Duration {
        let last = |left: u64, a_second: u64| Duration::from_millis((left / (a_second / 1000)).min(1_000));
        last(self.bytes, BYTES_A_SECOND).min(last(self.files, FILES_A_SECOND)).clamp(OFTEN, RARELY)
    }

    /// What there is too little of.
    fn told(self, least: Self) -> String {
        if self.bytes < least.bytes {
            format!("less than {}", super::bytes(least.bytes))
        } else {
            format!("fewer than {} files", least.files)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn room(bytes: u64, files: u64) -> Room {
        Room { bytes, files }
    }

    #[test]
    fn something_stays_free() {
        let large = room(100 * GIB, 1_000_000);
        assert_eq!(large.least(Bound::Usual), Some(room(GIB, 10_000)));
        assert_eq!(room(GIB, 500).least(Bound::Usual), Some(room(GIB / 2, 250)));
        assert_eq!(large.least(Bound::At(2 * GIB)), Some(room(2 * GIB, 10_000)));
        assert_eq!(large.least(Bound::At(100 * GIB)), None);
        assert_eq!(room(3 * GIB, 30).above(room(GIB, 10)), Some(room(2 * GIB, 20)));
        assert_eq!(room(GIB - 1, 30).above(room(GIB, 10)), None);
        assert_eq!(room(3 * GIB, 9).above(room(GIB, 10)), None);
        assert_eq!(room(GIB - 1, 30).told(room(GIB, 10)), "less than 1.0 GB");
        assert_eq!(room(GIB, 9).told(room(GIB, 10)), "fewer than 10 files");
    }

    #[test]
    fn mounts_are_listed_by_their_places() {
        let mounts = b"66 86 254:0 / / rw - ext4 /dev/a rw\n67 66 254:1 / /w rw - ext4 /dev/b rw\n\
            68 67 0:53 / /w/a\\040b\\134 rw shared:1 - tmpfs none rw\n69 66 0:54 / /ws rw - tmpfs none rw\n";
        assert_eq!(mounts_below(Path::new("/w"), mounts), [Path::new("/w/a b\\")]);
    }

    #[test]
    fn the_fuller_a_disk_the_more_often_it_is_looked_at() {
        let pauses = [room(100 * GIB, u64::MAX), room(4 * GIB, u64::MAX), room(0, u64::MAX), room(100 * GIB, 100_000)];
        let pauses = pauses.map(|room| room.pause().as_millis());
        assert_eq!(pauses, [1000, 500, 10, 500]);
    }
}
