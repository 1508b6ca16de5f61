//! Where a path lies: what the kernel may be asked directly, and what is guarded. Pure.

use crate::plan::Files;
use std::path::{Path, PathBuf};

/// What a place is to the broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Zone<'a> {
    /// The floor lets the command do there what it may.
    Native,
    /// The floor lets it read there; anything else the kernel refuses.
    NativeToRead,
    /// Done by the broker: the home, where a workspace lies in it.
    Plain,
    /// A workspace; the path in it, by which it is judged.
    Guarded(&'a Path),
}

impl Files {
    /// The zone of a path without links and dots.
    pub(super) fn zone<'a>(&self, path: &'a Path) -> Zone<'a> {
        if let Some(root) =
            self.guarded.iter().filter(|root| path.starts_with(root)).max_by_key(|r| r.as_os_str().len())
        {
            return Zone::Guarded(judged(root, path));
        }
        match self.native.iter().find(|(directory, _)| path.starts_with(directory)) {
            Some((_, true)) => Zone::Native,
            Some((_, false)) => Zone::NativeToRead,
            None => Zone::Plain,
        }
    }

    /// Whether a workspace is there or below: if it moved, it would not be recognised any more.
    pub(super) fn holds_guarded(&self, path: &Path) -> bool {
        self.guarded.iter().any(|root| root.starts_with(path))
    }
}

/// The part of a path by which it is judged: that in the workspace. What lies around it is the user's (`~/.codex/worktrees/…`),
/// unless the workspace is a part of git's own directory.
fn judged<'a>(root: &Path, path: &'a Path) -> &'a Path {
    let before = root.components().take_while(|part| !part.as_os_str().eq_ignore_ascii_case(".git")).count();
    let skipped = path.components().take(before).collect::<PathBuf>();
    path.strip_prefix(skipped).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_zones() {
        let files = Files {
            guarded: vec!["/home/u/.codex/app".into(), "/srv/main/.git".into()],
            native: vec![("/usr".into(), false), ("/tmp".into(), true)],
            watch: crate::plan::Watch {
                masked: vec![],
                roots: vec![],
                shown: vec![],
                harmless: vec![],
                pinned: vec![],
            },
        };
        let zone = |path| files.zone(Path::new(path));
        assert_eq!(zone("/home/u/.codex/app/x/y"), Zone::Guarded(Path::new("x/y")));
        assert_eq!(zone("/home/u/.codex/app"), Zone::Guarded(Path::new("")));
        assert_eq!(zone("/home/u/.codex/apple"), Zone::Plain);
        assert_eq!(zone("/srv/main/.git/hooks/x"), Zone::Guarded(Path::new(".git/hooks/x")));
        assert_eq!(zone("/usr/lib/x"), Zone::NativeToRead);
        assert_eq!(zone("/tmp"), Zone::Native);
        assert_eq!(zone("/"), Zone::Plain);
        let holds = |path| files.holds_guarded(Path::new(path));
        assert!(holds("/home/u") && holds("/home/u/.codex/app") && !holds("/home/u/.codex/app/x") && !holds("/usr"));
    }
}
