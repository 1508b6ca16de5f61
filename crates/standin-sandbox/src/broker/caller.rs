//! Who made the call: its memory, its directories, its umask.

use crate::sys::notify;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::ffi::CString;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest path that the kernel takes, with its end.
const PATH_MAX: usize = 4096;
/// What memory is mapped in.
const PAGE: u64 = 4096;

/// A thread that waits for its call.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    thread: i32,
    id: u64,
    listener: BorrowedFd<'a>,
    /// The /proc of the host, in which the thread's number counts.
    proc: &'a OwnedFd,
}

impl<'a> Caller<'a> {
    pub(super) fn new(
        notification: &libc::seccomp_notif,
        listener: BorrowedFd<'a>,
        proc: &'a OwnedFd,
    ) -> Result<Self, Errno> {
        let thread = i32::try_from(notification.pid).map_err(|_| Errno::SRCH)?;
        Ok(Self { thread, id: notification.id, listener, proc })
    }

    /// What was found under the thread's number is its own if it still waits: numbers are used again.
    fn its_own<T>(self, found: T) -> Result<T, Errno> {
        if notify::still_waits(self.listener, self.id) { Ok(found) } else { Err(Errno::SRCH) }
    }

    /// A path from its memory, read once.
    pub(super) fn path(self, mut address: u64) -> Result<CString, Errno> {
        let mut buffer = [0; PATH_MAX];
        let mut length = 0;
        while length < PATH_MAX {
            // Up to the page's end: what lies behind it may not be mapped.
            let wanted = usize::try_from(PAGE - address % PAGE).unwrap_or(PATH_MAX).min(PATH_MAX - length);
            let read = notify::read_memory(self.thread, address, &mut buffer[length..length + wanted])
                .map_err(|_| Errno::FAULT)?;
            if let Some(end) = buffer[length..length + read].iter().position(|byte| *byte == 0) {
                return self.its_own(CString::new(&buffer[..length + end]).map_err(|_| Errno::INVAL)?);
            }
            if read < wanted {
                return Err(Errno::FAULT);
            }
            length += read;
            address += read as u64;
        }
        Err(Errno::NAMETOOLONG)
    }

    /// What a path that does not begin with a slash begins at.
    pub(super) fn directory(self, descriptor: i32) -> Result<OwnedFd, Errno> {
        if descriptor == libc::AT_FDCWD {
            let name = format!("{}/cwd", self.thread);
            return self.its_own(openat(self.proc, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
        }
        self.descriptor(descriptor)
    }

    /// What one of its descriptors leads to.
    pub(super) fn descriptor(self, number: i32) -> Result<OwnedFd, Errno> {
        if number < 0 {
            return Err(Errno::BADF);
        }
        let name = format!("{}/fd/{number}", self.thread);
        let held = match openat(self.proc, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            // Who has made itself undumpable has its descriptors listed for the host's root only.
            Err(Errno::ACCESS) => self.copied(number)?,
            Err(Errno::NOENT) => return Err(Errno::BADF),
            other => other?,
        };
        self.its_own(held)
    }

    /// A copy of one of its descriptors.
    fn copied(self, number: i32) -> Result<OwnedFd, Errno> {
        const OF_A_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::PIDFD_THREAD);
        let thread = Pid::from_raw(self.thread).ok_or(Errno::SRCH)?;
        // Before Linux 6.9 only a process's first thread has one.
        let process = pidfd_open(thread, OF_A_THREAD).or_else(|_| pidfd_open(thread, PidfdFlags::empty()))?;
        pidfd_getfd(process, number, PidfdGetfdFlags::empty())
    }

    /// The mode of what it makes; its umask is taken over first. So a directory's default list of access counts instead of
    /// the umask, where it has one.
    pub(super) fn mode(self, mode: u32) -> Result<Mode, Errno> {
        rustix::process::umask(self.umask()?);
        Ok(Mode::from_raw_mode(mode))
    }

    /// The bits that files it makes do not get.
    fn umask(self) -> Result<Mode, Errno> {
        let name = format!("{}/status", self.thread);
        let status = openat(self.proc, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        // It is the second line.
        let mut text = [0; 256];
        let read = std::fs::File::from(status).read(&mut text).map_err(|_| Errno::IO)?;
        let text = String::from_utf8_lossy(&text[..read]);
        let umask = text.lines().find_map(|line| line.strip_prefix("Umask:")).ok_or(Errno::IO)?;
        self.its_own(Mode::from_bits_retain(u32::from_str_radix(umask.trim(), 8).map_err(|_| Errno::IO)?))
    }
}

/// The mode of what we write ourselves: this thread has the umask of whoever asked it last.
pub(super) fn own_mode() -> Mode {
    rustix::process::umask(Mode::empty());
    Mode::from_raw_mode(0o644)
}

/// The root of the sandbox, which is ours too.
pub(super) fn root() -> Result<OwnedFd, Errno> {
    openat(CWD.as_fd(), "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}
