//! Two small processes that stand between us and the command: the one outside, which waits for the sandbox, and
//! the first one inside, which adopts orphans. Both forward signals and pass the exit code on.

use crate::sys;
use rustix::process::{Pid, getppid};
use std::io;

/// Signals that are passed on. The rest either cannot be caught or is about ourselves.
pub(crate) const FORWARDED: &[i32] = &[
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
    libc::SIGCONT,
];

/// Ends this process when the one ends that forked it, also if it has ended already.
pub(crate) fn end_with(parent: Pid) -> io::Result<()> {
    sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
    // Who ended before that line sent no signal.
    if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}

/// Waits for `child`, reaping others and forwarding signals to it (or to its group). Gives the code to exit with. Without
/// `needed`, the child is ended.
pub(crate) fn wait_for(child: i32, needed: Option<i32>, group: bool, signals: &libc::sigset_t) -> io::Result<i32> {
    let target = if group { -child } else { child };
    loop {
        let signal = sys::wait_signal(signals)?;
        if signal != libc::SIGCHLD {
            if FORWARDED.contains(&signal) {
                // Before it leads a group, it gets the signal itself. If that fails, too, it has ended a moment ago; its
                // SIGCHLD comes next.
                drop(sys::kill(target, signal).or_else(|_| sys::kill(child, signal)));
            }
            continue;
        }
        while let Ok(Some((pid, status))) = sys::reap() {
            if pid == child {
                return Ok(exit_code(status));
            }
            if Some(pid) == needed {
                sys::kill(child, libc::SIGKILL).ok(); // or it has ended a moment ago
            }
        }
    }
}

/// As shells tell it: the code, or 128 and the signal.
pub(crate) fn exit_code(status: i32) -> i32 {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}
