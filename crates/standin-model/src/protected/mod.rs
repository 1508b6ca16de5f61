//! Files of a workspace that the host executes or obeys later: judged by their names, present or not.
//!
//! The list is data ([`list`]); whoever guards a workspace asks [`role`], whoever shows changes asks [`listed`] (by way of
//! [`crate::host_executed`], which adds what only deserves a look). Nothing here looks at a
//! disk: paths are those of the file system, without links and dots, relative to the workspace.
//!
//! A rename can give a file a protected name without naming it: `mv prepared .git`, when `prepared/hooks` is there. So
//! directories above protected names have a role of their own, [`Role::Ancestor`].

mod fold;
pub mod git_config;
mod list;

pub(crate) use fold::fold;
use list::{Pattern, Scope};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

pub use list::Reason;

/// What kind of thing has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file, a link, anything else.
    Other,
}

/// What a name means to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    Free,
    /// Names below it are protected: it may be made, but not be renamed, and no link or directory from elsewhere may take
    /// its place.
    Ancestor(Reason),
    /// It may not be made, written, renamed or removed.
    Protected(Reason),
}

/// Directories that package managers fill. Packages bring settings of editors and agents along, which nothing reads there.
const PACKAGES: &[&[u8]] = &[b"node_modules", b"bower_components", b"site-packages", b"vendor"];

/// The role of a path in a workspace.
pub fn role(path: &Path, kind: Kind) -> Role {
    let parts = folded(path);
    let mut role = Role::Free;
    for (at, part) in parts.iter().enumerate() {
        for pattern in INDEX.get(part.as_slice()).into_iter().flatten() {
            if pattern.scope == Scope::Opened && parts[..at].iter().any(|part| PACKAGES.contains(&part.as_slice())) {
                continue;
            }
            match reach(&pattern.parts[1..], &parts[at + 1..]) {
                Reach::Whole if pattern.scope != Scope::Pointer || kind == Kind::Other => {
                    return Role::Protected(pattern.reason);
                }
                Reach::Whole | Reach::Above => role = Role::Ancestor(pattern.reason),
                Reach::Beside => {}
            }
        }
    }
    match parts.last() {
        Some(last) if kind == Kind::Other && !in_packages(path) => list::endings(last).map_or(role, Role::Protected),
        _ => role,
    }
}

/// Why a path, or one that it lies below, is in the list, in packages too: for whoever shows things and refuses nothing.
pub fn listed(path: &Path) -> Option<Reason> {
    let parts = folded(path);
    let at_or_above = |pattern: &Compiled, at: usize| {
        let last = at + 1 == parts.len();
        let mut ends = at + 1..=parts.len();
        (pattern.scope != Scope::Pointer || last)
            && ends.any(|end| matches!(reach(&pattern.parts[1..], &parts[at + 1..end]), Reach::Whole))
    };
    let from = |at: usize| {
        let mut patterns = INDEX.get(parts[at].as_slice()).into_iter().flatten();
        patterns.find(|pattern| at_or_above(pattern, at)).map(|pattern| pattern.reason)
    };
    (0..parts.len()).find_map(from).or_else(|| list::endings(parts.last()?))
}

/// A file of git's that ties a worktree to its repository. `git worktree add` makes both kinds, and what must be in them is
/// known, so they may be made with that in them; and be removed, since what they tie then belongs to no other repository
/// that could be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// `.git`, a file: to the worktree's directory in the repository.
    Worktree,
    /// `.git/worktrees/NAME/commondir`: to the repository.
    Common,
}

/// What ties a worktree, if a protected path is that.
pub fn pointer(path: &Path) -> Option<Pointer> {
    let parts = folded(path);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    match parts.as_slice() {
        [.., b".git", b"worktrees", _, b"commondir"] => Some(Pointer::Common),
        [.., b".git"] => Some(Pointer::Worktree),
        _ => None,
    }
}

/// Whether a protected path is the configuration of a repository, or of a submodule's. See [`git_config`].
pub fn is_git_config(path: &Path) -> bool {
    let parts = folded(path);
    let git = parts.iter().position(|part| part == b".git");
    git.is_some_and(|at| match &parts[at + 1..] {
        [only] => only == b"config",
        [modules, .., last] => modules == b"modules" && last == b"config",
        [] => false,
    })
}

/// Names of a repository's by which something protected in it begins, in lower case.
const IN_REPOSITORY: &[&[u8]] =
    &[b"config", b"config.standin", b"config.worktree", b"commondir", b"hooks", b"info", b"modules", b"worktrees"];

/// The paths in `.git` that a path has the role of, if one of the directories above it is a bare repository: the outermost first.
/// There are none for most paths.
pub fn in_bare(path: &Path) -> Vec<PathBuf> {
    let names: Vec<_> = path.iter().collect();
    let may_begin = |at: &usize| is_one_of(names[*at].as_bytes(), IN_REPOSITORY);
    let below = |at: usize| Path::new(".git").join(names[at..].iter().collect::<PathBuf>());
    (0..names.len()).filter(may_begin).map(below).filter(|path| role(path, Kind::Other) != Role::Free).collect()
}

/// Whether a name is, in whatever spelling, that of the file without which git takes no directory for a repository.
pub fn is_head(name: &[u8]) -> bool {
    is_one_of(name, &[b"head"])
}

/// Whether a name may be taken for one of these, which are in lower case. What is ASCII is only ever cut at its end.
fn is_one_of(name: &[u8], list: &[&[u8]]) -> bool {
    let begins = |known: &&[u8]| name.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known));
    (!name.is_ascii() || list.iter().any(begins)) && list.contains(&fold(name).as_slice())
}

/// Whether a protected path is an example of a hook, as `git init` lays them out: git does not run it.
pub fn is_sample(path: &Path) -> bool {
    let parts = folded(path);
    matches!(parts.as_slice(), [.., hooks, name] if hooks == b"hooks" && name.ends_with(b".sample"))
}

/// Whether a path lies in a directory of git's, where git writes by names that it knows, and through whatever link has one.
pub fn in_git(path: &Path) -> bool {
    let parts = folded(path);
    parts.split_last().is_some_and(|(_, above)| above.iter().any(|part| part == b".git"))
}

/// Whether a name there is one by which git tries whether it can make links (`git init`): it is used for nothing else.
pub fn is_probe(name: &[u8]) -> bool {
    name.len() == 7 && name.starts_with(b"t") && name.iter().all(u8::is_ascii_alphanumeric)
}

/// Whether a path is, or lies below, a directory that package managers fill. A directory that is renamed from there to
/// elsewhere would bring its settings to where they are read.
pub fn in_packages(path: &Path) -> bool {
    folded(path).iter().any(|part| PACKAGES.contains(&part.as_slice()))
}

fn folded(path: &Path) -> Vec<Vec<u8>> {
    path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(fold).collect()
}

/// How far a pattern reaches along a path, both from the same place on.
enum Reach {
    /// The path is what the pattern means, or below it.
    Whole,
    /// What the pattern means lies below the path.
    Above,
    Beside,
}

fn reach(pattern: &[Part], path: &[Vec<u8>]) -> Reach {
    match (pattern, path) {
        ([], []) => Reach::Whole,
        // A file with a protected name has nothing below it.
        ([], _) => Reach::Beside,
        (_, []) => Reach::Above,
        ([Part::All], _) => Reach::Whole,
        ([Part::All, rest @ ..], path) => {
            // One part at least, then whatever fits; what is not there yet may be made below any of them.
            let whole = (1..path.len()).any(|at| matches!(reach(rest, &path[at..]), Reach::Whole));
            if whole { Reach::Whole } else { Reach::Above }
        }
        ([part, rest @ ..], [name, below @ ..]) if part.fits(name) => reach(rest, below),
        _ => Reach::Beside,
    }
}

/// One part of a pattern.
#[derive(Debug)]
enum Part {
    /// One or more parts, whatever they are.
    All,
    /// This beginning and this end.
    Around(&'static [u8], &'static [u8]),
    /// This name.
    Name(&'static [u8]),
}

impl Part {
    fn parse(text: &'static str) -> Self {
        match text.split_once('*') {
            Some(("", "*")) => Self::All,
            Some((start, end)) => Self::Around(start.as_bytes(), end.as_bytes()),
            None => Self::Name(text.as_bytes()),
        }
    }

    fn fits(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Around(start, end) => {
                name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
            }
            Self::Name(expected) => name == *expected,
        }
    }
}

struct Compiled {
    parts: Vec<Part>,
    scope: Scope,
    reason: Reason,
}

/// Patterns by their first part: few names in a path begin one.
static INDEX: LazyLock<HashMap<&'static [u8], Vec<Compiled>>> = LazyLock::new(|| {
    let mut index: HashMap<&'static [u8], Vec<Compiled>> = HashMap::new();
    for Pattern(text, scope, reason) in list::PATTERNS {
        let parts: Vec<_> = text.split('/').map(Part::parse).collect();
        let head = text.split('/').next().unwrap_or_default().as_bytes();
        index.entry(head).or_default().push(Compiled { parts, scope: *scope, reason: *reason });
    }
    index
});

#[cfg(test)]
mod tests;
