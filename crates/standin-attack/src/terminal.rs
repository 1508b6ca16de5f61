//! A terminal of the attempts' own.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io;

/// Both ends of it.
pub(crate) struct Pair {
    /// Where what is shown comes out.
    pub(crate) ours: File,
    name: String,
}

impl Pair {
    pub(crate) fn open() -> io::Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?.into_string().map_err(io::Error::other)?;
        Ok(Self { ours: ours.into(), name })
    }

    /// The end that a program has.
    pub(crate) fn theirs(&self) -> io::Result<File> {
        File::options().read(true).write(true).open(&self.name)
    }
}
