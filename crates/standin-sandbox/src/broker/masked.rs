//! Files under a mask: where they are, as directories above them are renamed; which the command made; why a call failed.
//!
//! A mask goes along. But what looks for secret files in the next session passes over directories that tools fill, and over
//! what is too deep: a directory with a secret file in it is not moved there, but copied, mask and all (`EXDEV`).

use super::act::Desk;
use super::place::Place;
use rustix::io::Errno;
use standin_secretfiles::{is_passed_over, may_hold_secrets};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Longest path that a directory with a masked file is moved to, in bytes: half of what the kernel takes.
const LONGEST: usize = 2048;

/// The files under a mask.
pub(super) struct Masked(Mutex<Vec<PathBuf>>);

impl Masked {
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        Self(Mutex::new(paths))
    }

    /// Whether a directory may be renamed so, as far as they are concerned.
    pub(super) fn may_move(&self, source: &Path, target: &Path) -> bool {
        let paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = target.as_os_str().len() > LONGEST || passes_over(target) && !passes_over(source);
        !lost || !paths.iter().any(|path| path.starts_with(source))
    }

    /// A directory has been renamed; with `exchanged` the other way, too.
    pub(super) fn moved(&self, source: &Path, target: &Path, exchanged: bool) {
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

fn passes_over(path: &Path) -> bool {
    path.iter().any(|name| is_passed_over(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_files_do_not_go_where_nobody_looks() {
        let masked = Masked::new(vec!["/w/a/.env".into(), "/w/b/c/.npmrc".into()]);
        let may = |source, target| masked.may_move(Path::new(source), Path::new(target));
        assert!(
            may("/w/a", "/w/x") && may("/w/d", "/w/target") && !may("/w/a", "/w/target") && !may("/w/a", "/w/target/a")
        );
        assert!(!masked.may_move(Path::new("/w/a"), &Path::new("/w").join("x".repeat(LONGEST))));
        masked.moved(Path::new("/w/a"), Path::new("/w/x/y"), false);
        assert!(may("/w/a", "/w/target") && !may("/w/x", "/w/node_modules/x"));
        masked.moved(Path::new("/w/x"), Path::new("/w/b"), true);
        assert!(!may("/w/b/y", "/w/venv") && !may("/w/x/c", "/w/venv") && may("/w/b/c", "/w/venv"));
    }
}
