//! What in a directory the host's next git, editor or agent would run.
//!
//! Everything is read, nothing is asked of a program: git with the repository's own settings in effect would run what is
//! looked for. No link is followed. What cannot be read is a finding, too.

mod git_config;
mod settings;

use crate::{attention, tree};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Longest file that is looked through, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Largest number of entries that are looked at.
const MAX_ENTRIES: usize = 5_000_000;

/// One thing that would run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where, relative to the directory.
    pub path: PathBuf,
    /// In which line, from one.
    pub line: Option<usize>,
    /// What, and who runs it.
    pub what: String,
    /// What mends it: words, or a command.
    pub mend: String,
}

/// The same before its place is known.
pub(crate) struct Found {
    line: Option<usize>,
    what: String,
    mend: String,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The directory itself.
    #[error("cannot read {}", .path.display())]
    Root {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// More than [`MAX_ENTRIES`].
    #[error("there are more than {MAX_ENTRIES} entries")]
    TooMany,
}

/// Looks through a directory.
pub fn check(directory: &Path) -> Result<Vec<Finding>, CheckError> {
    let root = tree::root(directory).map_err(|e| CheckError::Root { path: directory.to_owned(), source: e.into() })?;
    // Without links: git writes where its directories are in full.
    let place = directory.canonicalize().map_err(|source| CheckError::Root { path: directory.to_owned(), source })?;
    let mut check = Check { root, place, found: Vec::new(), looked: HashSet::new(), seen: 0 };
    let mut left = vec![PathBuf::new()];
    while let Some(path) = left.pop() {
        check.directory(&path, &mut left)?;
    }
    check.found.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok(check.found)
}

struct Check {
    root: OwnedFd,
    place: PathBuf,
    found: Vec<Finding>,
    /// Configurations that were looked through: files may include each other.
    looked: HashSet<PathBuf>,
    seen: usize,
}

impl Check {
    fn directory(&mut self, path: &Path, left: &mut Vec<PathBuf>) -> Result<(), CheckError> {
        let listed = tree::directory(self.root.as_fd(), path).and_then(|directory| {
            let names = tree::names(directory.as_fd())?;
            Ok((directory, names))
        });
        let (directory, names) = match listed {
            Ok(listed) => listed,
            Err(error) => {
                self.unreadable(path, error);
                return Ok(());
            }
        };
        self.seen += names.len();
        if self.seen > MAX_ENTRIES {
            return Err(CheckError::TooMany);
        }
        for name in &names {
            let full = path.join(name);
            match tree::look(directory.as_fd(), name) {
                Ok(Some(stat)) => self.entry(&full, name, &stat, left),
                Ok(None) => {}
                Err(error) => self.unreadable(&full, error),
            }
        }
        let has = |name: &str| names.binary_search(&PathBuf::from(name)).is_ok();
        let own = within_git(path) || path.file_name() == Some(OsStr::new(".git"));
        if has("HEAD") && has("objects") && has("refs") && !own {
            let what = "a bare repository: git run in there obeys its settings and hooks";
            self.add(path, None, what, "git config --global safe.bareRepository explicit");
            self.git_directory(path);
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &Path, stat: &Stat, left: &mut Vec<PathBuf>) {
        let bytes = tree::bytes(name);
        if bytes == b".git" {
            return self.dot_git(path, stat, left);
        }
        match tree::kind(stat) {
            FileType::Directory => {
                // Objects are data, and many.
                if !(bytes == b"objects" && within_git(path)) {
                    left.push(path.to_owned());
                }
                if bytes.eq_ignore_ascii_case(b".git") {
                    self.add(path, None, "where names have no case, git takes it for its own directory", "remove it");
                    self.git_directory(path);
                }
                // Repositories of submodules and settings of worktrees.
                if within_git(path) && self.is_there(&path.join("HEAD")) {
                    self.git_directory(path);
                }
            }
            FileType::Symlink => self.link(path),
            FileType::RegularFile => self.file(path, bytes),
            _ => {}
        }
    }

    fn link(&mut self, path: &Path) {
        let (parent, name) = tree::split(path);
        let target = tree::directory(self.root.as_fd(), parent).and_then(|parent| tree::link(parent.as_fd(), name));
        match target {
            Ok(target) if attention::leads_out(path, &target) => {
                let what = format!("a link that leads out, to {}", String::from_utf8_lossy(&target));
                self.add(path, None, what, "remove it; what is written through it lands there");
            }
            Ok(target) if within_git(path) => {
                let what = format!("a link to {}: git writes where it leads", String::from_utf8_lossy(&target));
                self.add(path, None, what, "remove it; git makes a file there");
            }
            Ok(_) => {}
            Err(error) => self.unreadable(path, error),
        }
    }

    fn file(&mut self, path: &Path, name: &[u8]) {
        if name == b".envrc" {
            self.add(path, None, "direnv runs it in every shell that comes here", "read it before `direnv allow`");
        }
        if name == b".gitmodules" {
            self.config(path);
        }
        if let Some(reader) = settings::reader(tree::bytes(path))
            && let Some(text) = self.text(path)
        {
            self.take(path, settings::look(reader, &text));
        }
    }

    /// `.git`: git's directory, a pointer to it, or a link.
    fn dot_git(&mut self, path: &Path, stat: &Stat, left: &mut Vec<PathBuf>) {
        match tree::kind(stat) {
            FileType::Directory => {
                left.push(path.to_owned());
                self.git_directory(path);
            }
            FileType::Symlink => {
                self.add(path, None, "a link in place of git's directory", "see where it leads, and remove it");
            }
            FileType::RegularFile => {
                let Some(text) = self.text(path) else { return };
                let target = text.strip_prefix(b"gitdir:").unwrap_or(&text).trim_ascii();
                let parent = tree::split(path).0;
                let inside = self.inside(parent, Path::new(OsStr::from_bytes(target)));
                if !inside.is_some_and(|inside| within_git(&inside.join("x"))) {
                    let what = format!(
                        "git takes its repository, with its settings and hooks, from {}",
                        String::from_utf8_lossy(target)
                    );
                    self.add(
                        path,
                        Some(1),
                        what,
                        "expected in a worktree or submodule of a repository elsewhere; else remove it",
                    );
                }
            }
            _ => {}
        }
    }

    /// A directory that git takes for a repository (or that of a submodule or worktree).
    fn git_directory(&mut self, path: &Path) {
        for name in ["config", "config.worktree"] {
            self.config(&path.join(name));
        }
        for name in ["config", "config.worktree", "hooks", "objects", "refs", "info", "commondir"] {
            if self.kind(&path.join(name)) == Some(FileType::Symlink) {
                self.add(&path.join(name), None, "a link, to where git looks for what it obeys", "remove it");
            }
        }
        let is_worktree = tree::split(path).0.file_name() == Some(OsStr::new("worktrees"));
        if !is_worktree && self.is_there(&path.join("commondir")) {
            let what = "git takes settings, hooks and objects from the directory that it names";
            self.add(&path.join("commondir"), Some(1), what, "remove it");
        }
        self.hooks(&path.join("hooks"));
        for list in ["rebase-merge/git-rebase-todo", "sequencer/todo"] {
            self.todo(&path.join(list));
        }
    }

    fn hooks(&mut self, path: &Path) {
        let Ok(directory) = tree::directory(self.root.as_fd(), path) else { return };
        let names = match tree::names(directory.as_fd()) {
            Ok(names) => names,
            Err(error) => return self.unreadable(path, error),
        };
        for name in names.iter().filter(|name| name.extension() != Some(OsStr::new("sample"))) {
            let full = path.join(name);
            let Ok(Some(stat)) = tree::look(directory.as_fd(), name) else { continue };
            let runs = match tree::kind(&stat) {
                FileType::RegularFile => stat.st_mode & 0o111 != 0,
                FileType::Symlink => true,
                _ => false,
            };
            if runs {
                self.add(&full, None, "a hook, which git runs", "read it; without its executable bits git leaves it");
            }
        }
    }

    /// What an interrupted rebase would do next.
    fn todo(&mut self, path: &Path) {
        if self.kind(path) != Some(FileType::RegularFile) {
            return;
        }
        let Some(text) = self.text(path) else { return };
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let word = line.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default();
            if word == b"exec" || word == b"x" {
                let what = format!("`git rebase --continue` runs: {}", String::from_utf8_lossy(line));
                self.add(path, Some(number + 1), what, "git rebase --abort");
            }
        }
    }

    /// A file of git's configuration, and those that it includes from within the directory.
    fn config(&mut self, path: &Path) {
        let mut left = vec![path.to_owned()];
        while let Some(path) = left.pop() {
            if self.kind(&path) != Some(FileType::RegularFile) || !self.looked.insert(path.clone()) {
                continue;
            }
            let Some(text) = self.text(&path) else { continue };
            let (found, included) = git_config::look(&text);
            let file = shell_word(&path.to_string_lossy());
            self.take(&path, found.into_iter().map(|found| Found { mend: found.mend.replace("FILE", &file), ..found }));
            let parent = tree::split(&path).0.to_owned();
            left.extend(included.iter().filter_map(|included| self.inside(&parent, Path::new(included))));
        }
    }

    fn text(&mut self, path: &Path) -> Option<Vec<u8>> {
        let read = || {
            let file = std::fs::File::from(tree::file(self.root.as_fd(), path)?);
            let mut text = Vec::new();
            file.take(MAX_FILE + 1).read_to_end(&mut text)?;
            Ok::<_, std::io::Error>(text)
        };
        match read() {
            Ok(text) if text.len() as u64 <= MAX_FILE => Some(text),
            Ok(_) => {
                self.add(path, None, "too long to be looked through", "look at it");
                None
            }
            Err(error) => {
                self.add(path, None, format!("cannot be read: {error}"), "look at it");
                None
            }
        }
    }

    /// A path relative to the root, if its words lead nowhere else.
    fn inside(&self, from: &Path, path: &Path) -> Option<PathBuf> {
        let (mut whole, path) = match path.strip_prefix(&self.place) {
            Ok(rest) => (PathBuf::new(), rest),
            Err(_) => (from.to_owned(), path),
        };
        for component in path.components() {
            match component {
                Component::ParentDir => {
                    if !whole.pop() {
                        return None;
                    }
                }
                Component::Normal(name) => whole.push(name),
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        Some(whole)
    }

    fn kind(&self, path: &Path) -> Option<FileType> {
        tree::look_beneath(self.root.as_fd(), path).ok().flatten().map(|stat| tree::kind(&stat))
    }

    fn is_there(&self, path: &Path) -> bool {
        self.kind(path).is_some()
    }

    fn unreadable(&mut self, path: &Path, error: Errno) {
        self.add(path, None, format!("cannot be looked into: {}", std::io::Error::from(error)), "look at it");
    }

    fn take(&mut self, path: &Path, found: impl IntoIterator<Item = Found>) {
        self.found.extend(found.into_iter().map(|Found { line, what, mend }| Finding {
            path: path.to_owned(),
            line,
            what,
            mend,
        }));
    }

    fn add(&mut self, path: &Path, line: Option<usize>, what: impl Into<String>, mend: &str) {
        self.take(path, [Found { line, what: what.into(), mend: mend.to_owned() }]);
    }
}

/// Whether something lies in a directory named `.git`.
fn within_git(path: &Path) -> bool {
    tree::split(path).0.components().any(|component| component.as_os_str() == ".git")
}

/// As a shell takes it for one word.
fn shell_word(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte));
    if plain && !text.is_empty() { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
