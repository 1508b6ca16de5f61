//! Links in git's own directories: git on the host writes through them, where they lead. A reflog or the message of a commit would
//! go to a start file of a shell's.

use super::act::Desk;
use super::place::Nowhere;
use rustix::io::Errno;
use standin_model::protected;
use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Where the link leads by which git tries whether there are links.
const TRIED: &CStr = c"testing";

impl Desk {
    /// Fails for a link that would lie in a directory of git's. Where it leads, if it is about to be made.
    pub(super) fn may_be_link(&self, path: &Path, target: Option<&CStr>) -> Result<(), Nowhere> {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let is_probe = target == Some(TRIED) && protected::is_probe(name);
        if self.is(path, protected::in_git) && !is_probe {
            self.refusals.tell_link(path);
            return Err(Errno::ACCESS.into());
        }
        Ok(())
    }

    /// Whether a directory would come into one of git's from elsewhere, with whatever links are in it.
    pub(super) fn comes_into_git(&self, source: &Path, target: &Path) -> bool {
        self.is(target, protected::in_git) && !self.is(source, protected::in_git)
    }
}
