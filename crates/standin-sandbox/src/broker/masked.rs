//! Files under a mask: where they are, as directories above them are renamed; which the command made; why a call failed.
//!
//! A mask goes along with a directory that is renamed. But the next session looks for secret files anew, by their names: passes
//! over directories that tools fill and what is too deep, shows what is to be shown, and knows some files by their
//! directory's name, others by a link's. What would take a masked file out of its sight is refused; a directory is copied
//! instead, mask and all (`EXDEV`).

use super::act::Desk;
use super::place::Place;
use crate::plan::Watch;
use rustix::io::Errno;
use standin_secretfiles::{format_of, is_passed_over, may_hold_secrets};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Longest path that a directory with a masked file is moved to, in bytes: half of what the kernel takes.
const LONGEST: usize = 2048;

/// The files under a mask.
pub(super) struct Masked {
    paths: Mutex<Vec<PathBuf>>,
    shown: Vec<PathBuf>,
    pinned: Vec<PathBuf>,
}

impl Masked {
    pub(super) fn new(watch: &Watch) -> Self {
        let Watch { masked, shown, pinned, .. } = watch.clone();
        Self { paths: Mutex::new(masked), shown, pinned }
    }

    /// Whether a directory may be renamed so, as far as they are concerned.
    pub(super) fn may_move(&self, source: &Path, target: &Path) -> bool {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = self.shown.iter().any(|shown| target.starts_with(shown) || shown.starts_with(target));
        let lost = shown || target.as_os_str().len() > LONGEST || passes_over(source, target);
        let mut below = paths.iter().filter_map(|path| Some((path, path.strip_prefix(source).ok()?)));
        !below.any(|(path, rest)| lost || format_of(path) != format_of(&target.join(rest)))
    }

    /// Whether something is known by this name, or below it, and must keep it.
    fn pins(&self, path: &Path) -> bool {
        self.pinned.iter().any(|pinned| pinned.starts_with(path))
    }

    /// A directory has been renamed; with `exchanged` the other way, too.
    pub(super) fn moved(&self, source: &Path, target: &Path, exchanged: bool) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        for path in paths.iter_mut() {
            if let Ok(rest) = path.strip_prefix(source) {
                *path = target.join(rest);
            } else if let Some(rest) = path.strip_prefix(target).ok().filter(|_| exchanged) {
                *path = source.join(rest);
            }
        }
    }
}

impl Desk {
    /// Fails for what must keep its name, because a masked file is known by it.
    pub(super) fn may_leave(&self, path: &Path) -> Result<(), Errno> {
        if self.masked.pins(path) {
            self.refusals.tell_masked(path);
            return Err(Errno::ACCESS);
        }
        Ok(())
    }

    /// Makes something in places. If one is called as files are that hold secrets, it is noted that the command made it.
    pub(super) fn noting<T>(
        &self,
        places: &[(&Place, &Path)],
        make: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let masked = |whole: &Path| self.files.watch.masked.iter().any(|masked| masked == whole);
        let named =
            |(place, whole): &&(&Place, &Path)| may_hold_secrets(place.plain_name().as_bytes()) || masked(whole);
        if !places.iter().any(|place| named(&place)) {
            return make();
        }
        let mut ours = self.ours.lock();
        let made = make()?;
        for (place, _) in places.iter().filter(named) {
            ours.add(place.directory.as_fd(), &place.name);
        }
        Ok(made)
    }

    /// Says why, if a call fails because of a mask.
    pub(super) fn masked(&self, error: Errno, path: &Path) -> Errno {
        let refused = matches!(error, Errno::ROFS | Errno::BUSY | Errno::XDEV);
        if refused && self.files.watch.masked.iter().any(|masked| masked == path) {
            self.refusals.tell_masked(path);
        }
        error
    }
}

/// Whether the way from one to the other leads into a directory that is passed over.
fn passes_over(source: &Path, target: &Path) -> bool {
    let shared = source.iter().zip(target).take_while(|(a, b)| a == b).count();
    target.iter().skip(shared).any(|name| name == ".git" || is_passed_over(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_files_do_not_go_where_nobody_looks() {
        let new = |masked: &[&str], shown: &[&str]| {
            let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect();
            let (masked, shown) = (paths(masked), paths(shown));
            Masked::new(&Watch { masked, roots: vec![], shown, harmless: vec![], pinned: vec!["/w/p/link".into()] })
        };
        let masked = new(&["/w/a/.env", "/w/b/c/.npmrc"], &["/w/tests/fixtures"]);
        let may = |source, target| masked.may_move(Path::new(source), Path::new(target));
        assert!(!may("/w/a", "/w/.git/objects/a"));
        assert!(!may("/w/a", "/w/tests/fixtures/a") && !may("/w/a", "/w/tests") && may("/w/d", "/w/tests"));
        let by_directory = new(&["/w/.aws/credentials"], &[]);
        let may_aws = |source, target| by_directory.may_move(Path::new(source), Path::new(target));
        assert!(!may_aws("/w/.aws", "/w/aws") && may_aws("/w/.aws", "/w/x/.aws"));
        assert!(
            masked.pins(Path::new("/w/p")) && masked.pins(Path::new("/w/p/link")) && !masked.pins(Path::new("/w/p/x"))
        );
        assert!(
            may("/w/a", "/w/x") && may("/w/d", "/w/target") && !may("/w/a", "/w/target") && !may("/w/a", "/w/target/a")
        );
        assert!(!masked.may_move(Path::new("/w/a"), &Path::new("/w").join("x".repeat(LONGEST))));
        masked.moved(Path::new("/w/a"), Path::new("/w/x/y"), false);
        assert!(may("/w/a", "/w/target") && !may("/w/x", "/w/node_modules/x"));
        masked.moved(Path::new("/w/x"), Path::new("/w/b"), true);
        // The workspace itself may lie in such a directory.
        let within = new(&["/target/w/a/.env"], &[]);
        assert!(within.may_move(Path::new("/target/w/a"), Path::new("/target/w/b")));
        assert!(!within.may_move(Path::new("/target/w/a"), Path::new("/target/w/target")));
        assert!(!may("/w/b/y", "/w/venv") && !may("/w/x/c", "/w/venv") && may("/w/b/c", "/w/venv"));
    }
}
