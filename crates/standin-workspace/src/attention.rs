//! Which changes want a look of their own before they are taken over.

use crate::changes::{Change, Kind, Node, hold_the_same};
use crate::tree;
use standin_model::host_executed::host_runs;
use standin_model::protected;
use standin_secretfiles::format_of;
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// Why a change is shown first, and applied only when it is named or asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// Programs of the host run or obey it by its name; why.
    HostRuns(&'static str),
    /// A file that can be executed and could not before.
    NewlyExecutable,
    /// A link that leads out of the workspace.
    LinkOut,
    /// A link in a directory of git's, which writes by names that it knows, and where they lead: a hook, a start file.
    LinkInGit,
    /// A secret file of the host's, by its name or by another that it has in the copy: the next session would see it as it is.
    MovedSecret,
    /// A pipe, socket or device. It is never applied.
    Special,
}

impl Attention {
    /// What people are told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostRuns(why) => why,
            Self::NewlyExecutable => "it can be executed now",
            Self::LinkOut => "a link that leads out of the workspace",
            Self::LinkInGit => "a link in git's own directory: git writes where it leads",
            Self::MovedSecret => "a secret file that has another name now, by which no session would know it",
            Self::Special => "a pipe, socket or device; it is never applied",
        }
    }
}

/// Judges a change. A deletion never runs anything, except that git and others then look elsewhere, so names count there,
/// too.
pub(crate) fn of(change: &Change, upper: BorrowedFd<'_>, host: BorrowedFd<'_>) -> Option<Attention> {
    if change.after.as_ref().is_some_and(|after| after.kind == Kind::Special) {
        return Some(Attention::Special);
    }
    if let Some(reason) = host_runs(tree::bytes(&change.path)) {
        return Some(Attention::HostRuns(reason.as_str()));
    }
    let after = change.after.as_ref()?;
    if let Kind::Link(target) = &after.kind {
        let in_git = protected::in_git(&change.path).then_some(Attention::LinkInGit);
        return leads_out(&change.path, target).then_some(Attention::LinkOut).or(in_git);
    }
    if in_bare_repository(&change.path, upper, host) {
        return Some(Attention::HostRuns("git takes the directory for a repository and obeys it"));
    }
    let executable = |node: &Node| node.kind == Kind::File && node.mode & 0o111 != 0;
    let was = change.before.as_ref().is_some_and(executable);
    (executable(after) && !was).then_some(Attention::NewlyExecutable)
}

/// Marks secret files of the host's that have another name in the copy, under both. Who makes a mount namespace inside can
/// move one from under its mask, but neither read it nor change it: it holds what the host's does.
pub(crate) fn moved_secrets(changes: &mut [Change], upper: BorrowedFd<'_>, host: BorrowedFd<'_>) {
    let mut gone: HashMap<u64, Vec<usize>> = HashMap::new();
    for (number, Change { path, before, .. }) in changes.iter().enumerate() {
        if let Some(Node { kind: Kind::File, size: size @ 1.., .. }) = before
            && format_of(path).is_some()
        {
            gone.entry(*size).or_default().push(number);
        }
    }
    for number in 0..changes.len() {
        let Some(Node { kind: Kind::File, size, .. }) = changes[number].after else { continue };
        for secret in gone.get(&size).into_iter().flatten().filter(|secret| **secret != number) {
            let same = tree::file(upper, &changes[number].path).and_then(|new| {
                let old = tree::file(host, &changes[*secret].path)?;
                hold_the_same(new.as_fd(), old.as_fd())
            });
            // What cannot be read may be one.
            if same.unwrap_or(true) {
                // If the old name went alone, the new one would look like any file next time.
                changes[number].attention = Some(Attention::MovedSecret);
                changes[*secret].attention = Some(Attention::MovedSecret);
            }
        }
    }
}

/// Whether a link's own words lead out. The directories on the way to the link are none themselves, so leading `..` mean
/// what they say; after any other name they may not, for it may be a link.
pub(crate) fn leads_out(path: &Path, target: &[u8]) -> bool {
    let target = Path::new(std::ffi::OsStr::from_bytes(target));
    let mut depth = path.components().count().saturating_sub(1);
    let mut below = false;
    for component in target.components() {
        match component {
            Component::ParentDir if below || depth == 0 => return true,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => below = true,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return true,
        }
    }
    false
}

/// What makes a directory a repository without `.git` in its name, and what git obeys in one.
fn in_bare_repository(path: &Path, upper: BorrowedFd<'_>, host: BorrowedFd<'_>) -> bool {
    let (parent, name) = tree::split(path);
    let name = name.as_os_str().as_bytes().to_ascii_lowercase();
    let directory = match name.as_slice() {
        b"config" | b"config.worktree" | b"commondir" | b"head" | b"objects" | b"refs" => parent,
        _ if parent.file_name().is_some_and(|name| name.eq_ignore_ascii_case("hooks")) => tree::split(parent).0,
        _ => return false,
    };
    // In either tree: half of it may be the host's.
    let has = |name: &str| {
        let path = directory.join(name);
        [upper, host].iter().any(|root| {
            tree::look_beneath(*root, &path).is_ok_and(|found| found.is_some_and(|s| !tree::is_whiteout(&s)))
        })
    };
    has("HEAD") && (has("objects") || has("commondir"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_out_are_known() {
        for (path, target, expected) in [
            ("link", "target", false),
            ("a/b/link", "../../c", false),
            ("a/b/link", "../../../c", true),
            ("link", "..", true),
            ("link", "/etc/passwd", true),
            ("a/link", "./../b", false),
            // `b` may be a link itself.
            ("d/link", "b/../c", true),
            ("node_modules/.bin/tool", "../tool/cli.js", false),
        ] {
            assert_eq!(leads_out(Path::new(path), target.as_bytes()), expected, "{path} -> {target}");
        }
    }
}
