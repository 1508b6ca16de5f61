//! seccomp's user notification: a call that waits for our answer, and a look into the memory of who made it.

use super::{check, check_long};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// What `SECCOMP_IOCTL_NOTIF_SET_FLAGS` takes: who answers wakes who asked on its own processor. Since Linux 6.6.
const SYNCHRONOUS_WAKE_UP: u64 = 1;

/// Installs a filter whose notifications come to the descriptor that is returned.
///
/// A call that we have taken on is only interrupted by death where the kernel knows that (Linux 5.19): otherwise a signal
/// makes the caller ask again for what has been done.
pub(crate) fn install_listener(filter: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    let length = libc::c_ushort::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
    let install = |flags: libc::c_ulong| {
        // SAFETY: the kernel reads `length` instructions from a slice of that length and copies them.
        check_long(unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
        })
    };
    let fd = install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).or_else(
        |error| match error.raw_os_error() {
            Some(libc::EINVAL) => install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER),
            _ => Err(error),
        },
    )?;
    let fd = RawFd::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Asks for the quicker way of waking; a kernel without it wakes as ever.
pub(crate) fn prefer_synchronous(listener: BorrowedFd<'_>) {
    // SAFETY: the argument is an integer.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNCHRONOUS_WAKE_UP) };
}

/// Waits for the next call.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> io::Result<libc::seccomp_notif> {
    let data = libc::seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args: [0; 6] };
    // The kernel refuses a structure that is not zeroed.
    let mut notification = libc::seccomp_notif { id: 0, pid: 0, flags: 0, data };
    // SAFETY: the kernel fills a structure that outlives the call.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification) })?;
    Ok(notification)
}

/// Whether who made the call still waits. If so, its process id was not anybody else's up to now.
pub(crate) fn still_waits(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads an integer that outlives the call.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) == 0 }
}

/// Ends a call with a value, or with an error if the number is negative.
pub(crate) fn answer(listener: BorrowedFd<'_>, id: u64, result: i64) -> io::Result<()> {
    let error = if result < 0 { i32::try_from(result).unwrap_or(-libc::EIO) } else { 0 };
    send(listener, libc::seccomp_notif_resp { id, val: result.max(0), error, flags: 0 })
}

/// Lets the kernel do the call.
pub(crate) fn give_back(listener: BorrowedFd<'_>, id: u64) -> io::Result<()> {
    let flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).map_err(|_| io::ErrorKind::InvalidInput)?;
    send(listener, libc::seccomp_notif_resp { id, val: 0, error: 0, flags })
}

fn send(listener: BorrowedFd<'_>, response: libc::seccomp_notif_resp) -> io::Result<()> {
    // SAFETY: the kernel reads a structure that outlives the call.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const response) }).map(drop)
}

/// Ends a call with `file` as a new descriptor of the caller's. We have closed it before the caller goes on: who writes a
/// program, closes it and runs it would be told that somebody still has it open (`ETXTBSY`).
pub(crate) fn give(listener: BorrowedFd<'_>, id: u64, file: OwnedFd, close_on_exec: bool) -> io::Result<()> {
    let number = |value| u32::try_from(value).map_err(|_| io::ErrorKind::InvalidInput);
    let addition = libc::seccomp_notif_addfd {
        id,
        flags: 0,
        srcfd: number(file.as_raw_fd())?,
        newfd: 0,
        newfd_flags: if close_on_exec { number(libc::O_CLOEXEC)? } else { 0 },
    };
    // SAFETY: the kernel reads a structure that outlives the call.
    let given =
        check(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const addition) })?;
    drop(file);
    answer(listener, id, i64::from(given))
}

/// Reads memory of a thread: as much of `into` as there is at that address.
pub(crate) fn read_memory(thread: i32, address: u64, into: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let address = usize::try_from(address).map_err(|_| io::ErrorKind::InvalidInput)?;
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: into.len() };
    // SAFETY: the kernel writes to a slice of that length; the other address is the other process's business.
    let read = unsafe { libc::process_vm_readv(thread, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}
