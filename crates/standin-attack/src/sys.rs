//! The system calls that attempts are made of. One call a function, and why it is sound: nothing here can break this
//! process's memory, whatever the kernel answers.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(check(result)?).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Forks: nothing in the child, the child's number in the parent. Called in processes with one thread.
pub(crate) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: the caller has one thread, so no lock is held by a thread that is not copied.
    let pid = check(libc::c_long::from(unsafe { libc::fork() }))?;
    Ok((pid != 0).then_some(i32::try_from(pid).map_err(io::Error::other)?))
}

/// Ends without running anything that the parent registered.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: ends this process.
    unsafe { libc::_exit(code) }
}

/// A socket of any family.
pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: three integers.
    owned(libc::c_long::from(unsafe { libc::socket(family, kind, protocol) }))
}

/// Takes over a descriptor that the rig left open for us.
pub(crate) fn leaked(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a copy is made, or nothing if there is no such descriptor.
    owned(libc::c_long::from(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) }))
}

/// An io_uring.
pub(crate) fn io_uring() -> io::Result<OwnedFd> {
    let mut parameters = [0_u8; 120]; // struct io_uring_params
    // SAFETY: the kernel reads and fills a structure of this size that outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) })
}

/// The number of a keyring of this session.
pub(crate) fn session_keyring() -> io::Result<i64> {
    const KEYCTL_GET_KEYRING_ID: libc::c_int = 0;
    const SESSION: libc::c_int = -3;
    // SAFETY: integers.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_GET_KEYRING_ID, SESSION, 1) })
}

/// A userfaultfd that handles faults of user space only.
pub(crate) fn userfaultfd() -> io::Result<OwnedFd> {
    const USER_MODE_ONLY: libc::c_int = 1;
    // SAFETY: an integer.
    owned(unsafe { libc::syscall(libc::SYS_userfaultfd, USER_MODE_ONLY | libc::O_CLOEXEC) })
}

/// Leaves namespaces.
pub(crate) fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: the flags only change which namespaces this process is in.
    check(libc::c_long::from(unsafe { libc::unshare(flags) })).map(drop)
}

/// Lets any process of this user trace this one, where Yama asks for that.
pub(crate) fn be_traceable() {
    // SAFETY: integers; where there is no Yama, it fails and is not needed.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::c_ulong::MAX, 0, 0, 0) };
}

/// Lives on when its terminal goes.
pub(crate) fn ignore_hang_up() {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
}

/// Attaches to a process without stopping it.
pub(crate) fn seize(pid: i32) -> io::Result<()> {
    // SAFETY: no address is given.
    check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, std::ptr::null_mut::<u8>(), std::ptr::null_mut::<u8>()) })
        .map(drop)
}

/// Types a character into a terminal. The upper half of the request is for filters that compare it whole.
pub(crate) fn type_into(terminal: BorrowedFd<'_>, upper: u64) -> io::Result<()> {
    let request = libc::c_ulong::from(libc::TIOCSTI) | upper;
    // SAFETY: the kernel reads one byte.
    check(unsafe { libc::syscall(libc::SYS_ioctl, terminal.as_raw_fd(), request, c"x".as_ptr()) }).map(drop)
}

/// A program in memory.
pub(crate) fn memory_file() -> io::Result<OwnedFd> {
    // SAFETY: a C string that outlives the call.
    owned(libc::c_long::from(unsafe { libc::memfd_create(c"x".as_ptr(), 0) }))
}

/// `getpid` by the numbers of i386.
#[cfg(target_arch = "x86_64")]
pub(crate) fn pid_by_i386() -> i32 {
    let result: i32;
    // SAFETY: i386's getpid takes nothing and changes nothing but its result; the registers that the entry spoils are
    // named.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("eax") 20 => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result
}

/// `getpid` by the numbers of x32.
pub(crate) fn pid_by_x32() -> io::Result<i64> {
    const X32: libc::c_long = 0x4000_0000;
    // SAFETY: takes nothing.
    check(unsafe { libc::syscall(X32 | libc::SYS_getpid) })
}

/// A lock on a whole file, for as long as it is open.
pub(crate) fn lock(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: integers.
    check(libc::c_long::from(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) })).map(drop)
}

/// Makes `to` another name of `from`.
pub(crate) fn dup2(from: BorrowedFd<'_>, to: RawFd) -> io::Result<()> {
    // SAFETY: what `to` was is closed; attempts that daemonize own none of 0 to 2.
    check(libc::c_long::from(unsafe { libc::dup2(from.as_raw_fd(), to) })).map(drop)
}

/// Where the victim's secret lies: the same page in every victim, so that nobody has to search for it.
pub(crate) const HELD_AT: usize = 0x5a5a_0000_0000;
/// How long it is, at most.
pub(crate) const HELD_LENGTH: usize = 64;

/// A secret at that place, for as long as this lives.
pub(crate) struct Held(*mut libc::c_void);

impl Held {
    /// Puts it there.
    pub(crate) fn new(secret: &str) -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: a fresh page, and never one that is in use.
        let page =
            unsafe { libc::mmap(HELD_AT as *mut libc::c_void, 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if page as usize == HELD_AT {
            let length = secret.len().min(HELD_LENGTH);
            // SAFETY: the page was just mapped and is larger; the text is not in it.
            unsafe { std::ptr::copy_nonoverlapping(secret.as_ptr(), page.cast(), length) };
        }
        Self(page)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.0 as usize == HELD_AT {
            // SAFETY: mapped by `new`, and nobody holds a reference into it.
            unsafe { libc::munmap(self.0, 4096) };
        }
    }
}

/// Reads that place in another process.
pub(crate) fn read_held(pid: i32) -> io::Result<String> {
    let mut buffer = [0_u8; HELD_LENGTH];
    let here = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let there = libc::iovec { iov_base: HELD_AT as *mut libc::c_void, iov_len: buffer.len() };
    // SAFETY: the kernel writes at most the buffer's length into it; the other address is another process's.
    let length =
        check(unsafe { libc::process_vm_readv(pid, &raw const here, 1, &raw const there, 1, 0) } as libc::c_long)?;
    let length = usize::try_from(length).map_err(io::Error::other)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).trim_end_matches('\0').to_owned())
}
