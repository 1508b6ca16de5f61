//! A directory that goes when it is no longer needed.

use crate::exit::Failure;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Removed on drop.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one below the system's temporary directory.
    pub(crate) fn new(purpose: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir();
        let path = path.canonicalize().unwrap_or(path); // on some systems it is a link
        let path = path.join(format!("standin-{purpose}-{}", std::process::id()));
        let made = std::fs::create_dir(&path);
        made.map_err(|error| Failure::because(format!("cannot make {}", path.display()), &error))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What the kernel keeps for an overlay cannot be read until its mode is changed, from above.
        for kept in ["work/work", "work/work/incompat", "work/work/incompat/volatile"] {
            std::fs::set_permissions(self.0.join(kept), std::fs::Permissions::from_mode(0o700)).ok();
        }
        std::fs::remove_dir_all(&self.0).ok(); // what is left is the system's temporary directory's business
    }
}
