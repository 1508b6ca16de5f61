//! A directory that goes when it is no longer needed.

use crate::exit::Failure;
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
        standin_sandbox::host::open_for_removal(&self.0.join("work"));
        std::fs::remove_dir_all(&self.0).ok(); // what is left is the system's temporary directory's business
    }
}
