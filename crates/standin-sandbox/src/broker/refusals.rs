//! What was refused, told to the agent (a file in its /run) and to Standin.

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::net::{SendFlags, send};
use standin_model::protected::Reason;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Mutex;

/// Where the agent finds out why it was refused something.
pub(crate) const TOLD: &str = "/run/standin/refused";
/// How much it is told, in bytes: it is its own memory that fills.
const MOST: usize = 64 * 1024;

/// Both ways of telling.
pub(super) struct Refusals {
    told: Mutex<Told>,
    /// To Standin's process.
    reports: OwnedFd,
}

struct Told {
    file: Option<File>,
    left: usize,
    /// A program that tries again and again is told once.
    last: String,
}

impl Refusals {
    pub(super) fn new(root: &OwnedFd, reports: OwnedFd) -> Self {
        // The command may have begun: no link of its makes us write elsewhere.
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(root.as_fd(), TOLD, flags, Mode::empty(), resolve).ok().map(File::from);
        Self { told: Mutex::new(Told { file, left: MOST, last: String::new() }), reports }
    }

    /// Tells of one.
    pub(super) fn tell(&self, path: &Path, reason: Reason) {
        self.tell_why(path, reason.text());
    }

    /// Tells that a file is under a mask.
    pub(super) fn tell_masked(&self, path: &Path) {
        self.tell_why(path, "it holds secrets and has stand-ins in their places");
    }

    /// Tells that a link would lie in a directory of git's.
    pub(super) fn tell_link(&self, path: &Path) {
        self.tell_why(path, "git on the host would write where this link leads");
    }

    /// Tells that a file has a name on the host beside the one that is shown.
    pub(super) fn tell_second_name(&self, path: &Path) {
        self.tell_why(path, "the host gave it a second name, and it is too large to get one of its own");
    }

    /// Tells that a directory would become a repository.
    pub(super) fn tell_bare(&self, path: &Path) {
        self.tell_why(path, "git on the host would take the directory for a repository, and obey what is in it");
    }

    fn tell_why(&self, path: &Path, reason: &str) {
        let line = format!("{}: {reason}, so it cannot be changed from inside the sandbox\n", path.display());
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.last == line {
            return;
        }
        // If Standin is gone, so is the sandbox in a moment.
        let report = [reason.as_bytes(), b"\0", path.as_os_str().as_bytes()].concat();
        send(&self.reports, &report, SendFlags::NOSIGNAL).ok();
        if let Some(left) = told.left.checked_sub(line.len()) {
            told.left = left;
            // A sandbox whose /run is full learns it from the error alone.
            told.file.as_mut().map(|file| file.write_all(line.as_bytes())).transpose().ok();
        }
        told.last = line;
    }
}
