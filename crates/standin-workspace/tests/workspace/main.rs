//! Sessions whose upper directory is made by hand, as the kernel leaves it (standin-e2e has real ones).

#![expect(clippy::unwrap_used, reason = "what a test calls is part of the test")]

mod applying;
mod attacks;
mod comparing;
mod differences;
mod repositories;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use standin_workspace::store::Lock;
use standin_workspace::{Applied, Apply, Change, Session, Store, changes};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Some files, two directories and a link.
pub(crate) fn plain(host: &Path) {
    fs::create_dir_all(host.join("d/e")).unwrap();
    for (path, text) in [("a", "a"), ("b", "b"), ("d/c", "c"), ("d/e/f", "f")] {
        fs::write(host.join(path), text).unwrap();
    }
    std::os::unix::fs::symlink("a", host.join("link")).unwrap();
}

/// A workspace, what lies beside it, and a session.
pub(crate) struct Fixture {
    directory: tempfile::TempDir,
    pub(crate) session: Session,
    _running: Lock,
}

impl Fixture {
    /// Makes the workspace, then begins.
    pub(crate) fn new(workspace: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["workspace", "outside", "state"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let host = directory.path().join("workspace");
        workspace(&host);
        let began = later_than_now(directory.path());
        let (session, running) = Store::within(&directory.path().join("state")).begin("20260101-0", &host).unwrap();
        assert!(began <= fs::metadata(session.upper()).unwrap().modified().unwrap());
        later_than_now(directory.path());
        Self { directory, session, _running: running }
    }

    pub(crate) fn host(&self, path: &str) -> PathBuf {
        self.directory.path().join("workspace").join(path)
    }

    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.directory.path().join("outside").join(path)
    }

    pub(crate) fn upper(&self, path: &str) -> PathBuf {
        self.session.upper().join(path)
    }

    /// The session deleted it.
    pub(crate) fn whiteout(&self, path: &str) {
        mknodat(CWD, self.upper(path), FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).unwrap();
    }

    /// The session's directory hides the host's.
    pub(crate) fn opaque(&self, path: &str) {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(self.upper(path), "user.overlay.opaque", b"y", flags).unwrap();
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        changes(&self.session).unwrap().changes
    }

    /// Every change in one line.
    pub(crate) fn seen(&self) -> Vec<String> {
        let line = |change: &Change| {
            let sign = match (&change.before, &change.after) {
                (None, _) => '+',
                (_, None) => '-',
                _ => '~',
            };
            let attention = change.attention.map_or("", |_| " !");
            let conflict = change.conflict.map_or("", |_| " conflict");
            format!("{sign} {}{attention}{conflict}", change.path.display())
        };
        self.changes().iter().map(line).collect()
    }

    pub(crate) fn apply_with(&self, paths: &[&str], executable: bool, force: bool, stop: &dyn Fn() -> bool) -> Applied {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        Apply { session: &self.session, paths: &paths, executable, force, stop }.run().unwrap()
    }

    pub(crate) fn apply(&self, paths: &[&str]) -> Applied {
        self.apply_with(paths, false, false, &|| false)
    }

    /// The workspace as text: every path with what it is.
    pub(crate) fn workspace(&self) -> Vec<String> {
        listing(&self.host(""))
    }
}

/// What was left, in a line each.
pub(crate) fn left(applied: &Applied) -> Vec<String> {
    applied.left.iter().map(|(path, why)| format!("{}: {why}", path.display())).collect()
}

/// A tree as text, sorted; links are not followed.
pub(crate) fn listing(root: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().escape_ascii().to_string();
            let stat = fs::symlink_metadata(&path).unwrap();
            all.push(if stat.is_dir() {
                left.push(path);
                format!("{name}/")
            } else if stat.is_symlink() {
                format!("{name} -> {}", fs::read_link(&path).unwrap().display())
            } else {
                let mode = std::os::unix::fs::PermissionsExt::mode(&stat.permissions());
                format!("{name} {:o} {}", mode & 0o7777, fs::read(&path).unwrap().escape_ascii())
            });
        }
    }
    all.sort();
    all
}

/// Waits until the kernel's clock for files has moved on: two files of one tick are not told apart.
pub(crate) fn later_than_now(directory: &Path) -> std::time::SystemTime {
    let stamp = || {
        let path = directory.join("stamp");
        fs::write(&path, "x").unwrap();
        fs::metadata(path).unwrap().modified().unwrap()
    };
    let now = stamp();
    loop {
        let then = stamp();
        if then > now {
            return then;
        }
    }
}
