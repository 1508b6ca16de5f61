//! System calls that rustix has no safe wrapper for. One call a function, and why it is sound.

pub(crate) mod notify;

use rustix::mount::MountAttrFlags;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// What `fork` tells.
pub(crate) enum Fork {
    /// We are the parent; this is the child.
    Parent(i32),
    /// We are the child.
    Child,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_long(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Leaves the namespaces of these `CLONE_NEW*` flags.
pub(crate) fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: the flags only change which namespaces this process is in; CLONE_FILES and CLONE_VM are not passed.
    check(unsafe { libc::unshare(flags) }).map(drop)
}

/// Forks. Only called in processes with one thread, so the child may do anything.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: the caller has one thread (it was just executed), so no lock is held by a thread that is not copied.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Forks like [`fork`], so that the child begins in a control group (of version 2), by its directory.
pub(crate) fn fork_into(group: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let Some(group) = group else { return fork() };
    // SAFETY: a structure of integers, for which zero means that nothing is asked for.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    arguments.cgroup = u64::try_from(group.as_raw_fd()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: without flags for sharing this is a fork, and as for `fork` the caller has one thread. The child's C library does
    // not learn its new thread id, which it uses for locks that know their owner and for `raise`; neither is used there.
    match check_long(unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(i32::try_from(pid).map_err(|_| io::ErrorKind::InvalidData)?)),
    }
}

/// Sets one `prctl` option with one argument.
pub(crate) fn prctl(option: libc::c_int, argument: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the options used here (PDEATHSIG, DUMPABLE, NO_NEW_PRIVS, CAPBSET_DROP, CAP_AMBIENT) take integers.
    check(unsafe { libc::prctl(option, argument, 0, 0, 0) }).map(drop)
}

/// Gives up every capability of this thread but those with these bits, all of which are below 32.
pub(crate) fn drop_capabilities_but(kept: u32) -> io::Result<()> {
    let header: [u32; 2] = [0x2008_0522, 0]; // _LINUX_CAPABILITY_VERSION_3, this thread
    let sets: [u32; 6] = [kept, kept, 0, 0, 0, 0]; // effective, permitted, inheritable; then their high halves
    // SAFETY: the header and the two data structures have the sizes that version 3 asks for.
    check_long(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) }).map(drop)
}

/// Marks every descriptor from `first` on to be closed when a program is executed.
pub(crate) fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;
    let first = libc::c_uint::try_from(first).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: nothing is closed now; descriptors are marked.
    check_long(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// Closes every descriptor from `first` on. Only before an `exit` or where nothing of them is used again.
pub(crate) fn close_from(first: RawFd) -> io::Result<()> {
    let first = libc::c_uint::try_from(first).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: what owned the descriptors is never dropped: the caller's process does nothing else and then exits.
    check_long(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) }).map(drop)
}

/// Closes every descriptor below `first`, as above.
pub(crate) fn close_below(first: RawFd) -> io::Result<()> {
    let last = libc::c_uint::try_from(first - 1).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: as above.
    check_long(unsafe { libc::syscall(libc::SYS_close_range, 0, last, 0) }).map(drop)
}

/// Makes `to` a copy of `from` that survives `exec`. Async-signal-safe.
pub(crate) fn dup2(from: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: both are descriptor numbers; what `to` was is closed, and its owner is the caller's business.
    check(unsafe { libc::dup2(from, to) }).map(drop)
}

/// A copy of `from` at the first free number from `least` on. Async-signal-safe.
pub(crate) fn duplicate_from(from: RawFd, least: RawFd) -> io::Result<RawFd> {
    // SAFETY: a copy is made; nothing that is open is closed.
    check(unsafe { libc::fcntl(from, libc::F_DUPFD_CLOEXEC, least) })
}

/// Takes over a descriptor that was handed to this process by number.
pub(crate) fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: the launcher puts its socket and its plan at these numbers, and nothing else in this process owns them.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sets mount attributes on a detached tree, recursively.
pub(crate) fn mount_setattr(tree: BorrowedFd<'_>, set: MountAttrFlags) -> io::Result<()> {
    let attributes =
        libc::mount_attr { attr_set: set.bits().into(), attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the empty path and the structure outlive the call, and the size is the structure's.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of_val(&attributes),
        )
    })
    .map(drop)
}

/// The classic `mount`.
pub(crate) fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: libc::c_ulong, data: &CStr) -> io::Result<()> {
    // SAFETY: all are C strings that outlive the call; `data` is text for the file systems used here.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) })
        .map(drop)
}

/// Makes the current directory the root, with the old root stacked on it.
pub(crate) fn pivot_root_here() -> io::Result<()> {
    // SAFETY: both paths are C strings that outlive the call.
    check_long(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) }).map(drop)
}

/// The version of Landlock in this kernel.
pub(crate) fn landlock_version() -> io::Result<libc::c_long> {
    const VERSION: libc::c_ulong = 1;
    // SAFETY: with this flag the kernel takes no structure and changes nothing.
    check_long(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) })
}

/// Whether the kernel knows these flags for a seccomp filter. Nothing is installed.
pub(crate) fn knows_seccomp_flags(flags: libc::c_ulong) -> bool {
    let nothing = std::ptr::null::<libc::sock_fprog>();
    // SAFETY: the kernel looks at the flags first, and then finds that there is no filter.
    let result = check_long(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, nothing) });
    result.is_err_and(|error| error.raw_os_error() == Some(libc::EFAULT))
}

/// Blocks every signal and returns the set, for [`wait_signal`].
pub(crate) fn block_signals() -> io::Result<libc::sigset_t> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` initialises the set it is given.
    check(unsafe { libc::sigfillset(set.as_mut_ptr()) })?;
    // SAFETY: initialised by the call above.
    let set = unsafe { set.assume_init() };
    // SAFETY: the set is valid; the old mask is not asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) })?;
    Ok(set)
}

/// Lets every signal through again and resets what was ignored, as a new program expects: also what the caller ignores
/// (`nohup`), since we pass on what comes all the same.
pub(crate) fn reset_signals(set: &libc::sigset_t) -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL installs no handler. The two that cannot be set are never ignored.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set is valid; the old mask is not asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, set, std::ptr::null_mut()) }).map(drop)
}

/// Writing beyond the bound of a file's size (`ulimit -f`) is an error from now on, and nothing more. What the command is executed with is reset
/// ([`reset_signals`]).
pub(crate) fn ignore_file_size_signal() {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Waits for one of the blocked signals.
pub(crate) fn wait_signal(set: &libc::sigset_t) -> io::Result<libc::c_int> {
    loop {
        // SAFETY: the set is valid; the details are not asked for.
        match check(unsafe { libc::sigwaitinfo(set, std::ptr::null_mut()) }) {
            // Whoever is stopped and continued is told so, although no signal came (signal(7)).
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Collects one ended child without waiting: its process id and raw status.
pub(crate) fn reap() -> io::Result<Option<(i32, libc::c_int)>> {
    let mut status = 0;
    // SAFETY: the status is written to a live variable.
    match check(unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) })? {
        0 => Ok(None),
        pid => Ok(Some((pid, status))),
    }
}

/// Sends a signal to a process, or to a group if `pid` is negative.
pub(crate) fn kill(pid: i32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: signals are sent to processes that we started.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Executes a program; returns only if that failed.
pub(crate) fn execve(program: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> io::Error {
    let list = |texts: &[&CStr]| texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (arguments, environment) = (list(arguments), list(environment));
    // SAFETY: both lists end with a null pointer, and they and their strings outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Sets an integer socket option.
pub(crate) fn setsockopt(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of_val(&value)).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the value is an int that outlives the call, and the size is its size.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) }).map(drop)
}

/// Makes `terminal` the controlling terminal of this session.
pub(crate) fn set_controlling_terminal(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes an integer.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}

/// Begins a session. Some kernels do not say its number, on which others insist (gVisor's of 2022).
pub(crate) fn begin_session() -> io::Result<()> {
    // SAFETY: it takes nothing.
    check(unsafe { libc::setsid() }).map(drop)
}

/// Leaves supplementary groups behind; only a privileged process can, and only it needs to.
pub(crate) fn clear_groups() -> io::Result<()> {
    // SAFETY: a list of length zero is not read.
    check(unsafe { libc::setgroups(0, std::ptr::null()) }).map(drop)
}

/// Takes a lease on a file, or gives it back. That somebody waits for it to be given back is told by a signal that is ignored unless somebody
/// asks for it; the usual one (SIGIO) would end the process.
pub(crate) fn lease(file: BorrowedFd<'_>, kind: libc::c_int) -> io::Result<()> {
    const F_SETSIG: libc::c_int = 10; // asm-generic/fcntl.h
    // SAFETY: both take integers, and change nothing but whom the kernel tells of that file.
    check(unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) }).map(drop)
}

/// A path as a C string.
pub(crate) fn c_path(path: &Path) -> io::Result<std::ffi::CString> {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
