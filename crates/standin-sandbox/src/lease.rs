//! A file that nobody has open for writing, and that nobody can open so until it has been read.

use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// A read lease (fcntl(2), "Leases"), which is given back when it is dropped.
pub struct Lease<'a>(BorrowedFd<'a>);

impl<'a> Lease<'a> {
    /// On what is open for reading only. [`io::ErrorKind::WouldBlock`] says that somebody has it open for writing, or mapped so that it can be
    /// written; other errors, that there are no leases on this file: its file system has none (`EINVAL`), or it is another user's (`EACCES`).
    pub fn on(file: &'a impl AsFd) -> io::Result<Self> {
        let file = file.as_fd();
        sys::lease(file, libc::F_RDLCK)?;
        Ok(Self(file))
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        sys::lease(self.0, libc::F_UNLCK).ok(); // it ends with the descriptor, too
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, OpenOptions};

    #[test]
    fn whoever_can_still_write_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let writer = File::create(&path).unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(Lease::on(&file).err().map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
        drop(writer);
        let lease = Lease::on(&file).unwrap();
        // Who comes now waits, or is told to; and the signal that tells us so does not end this process.
        let mut options = OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::custom_flags(options.write(true), libc::O_NONBLOCK);
        assert_eq!(options.open(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(lease);
        options.open(&path).unwrap();
    }
}
