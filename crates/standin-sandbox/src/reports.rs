//! What the broker of files refused, as it comes out of the sandbox.

use rustix::net::{RecvFlags, recv};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

/// A path and a reason.
const LONGEST: usize = 8192;

/// The end on which reports are read.
pub struct Reports(OwnedFd);

/// A change that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl Reports {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// For whoever waits until there is something to [`receive`](Self::receive): a copy, with the type that runtimes know.
    pub fn readiness(&self) -> io::Result<UnixDatagram> {
        let copy = UnixDatagram::from(self.0.try_clone()?);
        copy.set_nonblocking(true)?;
        Ok(copy)
    }

    /// The next report, without waiting (`WouldBlock`); nothing when the sandbox has ended.
    pub fn receive(&self) -> io::Result<Option<Refused>> {
        let mut buffer = [0; LONGEST];
        let (length, _) = recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT)?;
        let mut parts = buffer[..length].splitn(2, |byte| *byte == 0);
        let (Some(reason), Some(path)) = (parts.next(), parts.next()) else { return Ok(None) };
        let reason = String::from_utf8_lossy(reason).into_owned();
        Ok(Some(Refused { path: OsString::from_vec(path.to_vec()).into(), reason }))
    }
}
