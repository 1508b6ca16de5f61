//! Terminals: the sandbox's own pair, and the caller's while a session runs in it.

use crate::ground::Terminal;
use crate::sys;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{self, OptionalActions, OutputModes, Termios, Winsize};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The caller's terminal in raw mode; restored on drop.
pub struct RawTerminal<F: AsFd> {
    terminal: F,
    before: Termios,
}

impl<F: AsFd> RawTerminal<F> {
    /// Puts the terminal into raw mode: every key goes to the sandbox, which has a line discipline of its own.
    pub fn enter(terminal: F) -> io::Result<Self> {
        let before = termios::tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl<F: AsFd> Drop for RawTerminal<F> {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to restore.
        termios::tcsetattr(&self.terminal, OptionalActions::Flush, &self.before).ok();
    }
}

/// Rows and columns of a terminal.
pub fn size(terminal: impl AsFd) -> io::Result<(u16, u16)> {
    let size = termios::tcgetwinsize(terminal)?;
    Ok((size.ws_row, size.ws_col))
}

/// Changes rows and columns; the kernel tells the programs in it.
pub fn resize(terminal: impl AsFd, (rows, columns): (u16, u16)) -> io::Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(termios::tcsetwinsize(terminal, size)?)
}

/// The caller's terminal as standard input, where the sandbox has none of its own for that: to be read only. Terminals are
/// usually open for both, and what is written to one goes past the filter of its output.
pub(crate) fn for_reading() -> io::Result<Option<OwnedFd>> {
    use rustix::fs::{Mode, OFlags, open};
    if !termios::isatty(io::stdin()) {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(Some(open("/proc/self/fd/0", flags, Mode::empty())?))
}

/// Opens a pair in the sandbox's own devpts: (for the launcher, for the command).
pub(crate) fn open_inside(terminal: Terminal) -> io::Result<(OwnedFd, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    resize(&ours, (terminal.rows, terminal.columns))?;
    let name = ptsname(&ours, Vec::new())?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let theirs = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty())?;
    if !terminal.controls {
        // The caller's terminal is not raw then, and ends lines itself.
        let mut settings = termios::tcgetattr(&theirs)?;
        settings.output_modes.remove(OutputModes::OPOST);
        termios::tcsetattr(&theirs, OptionalActions::Now, &settings)?;
    }
    Ok((ours, theirs))
}

/// Puts the terminal in the place of the caller's, at the standard descriptors where that is, and makes it the controlling one
/// if it is a whole one. Errors that the caller sent elsewhere (`2>file`) still go there.
pub(crate) fn attach(terminal: BorrowedFd<'_>, controls: bool) -> io::Result<()> {
    replace(terminal, controls, [termios::isatty(io::stdout()), termios::isatty(io::stderr())])
}

/// The same, where it is known which of standard output and errors it takes the place of.
pub(crate) fn replace(terminal: BorrowedFd<'_>, controls: bool, [output, errors]: [bool; 2]) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    if controls {
        sys::set_controlling_terminal(terminal)?;
    }
    [(0, controls), (1, output), (2, errors)]
        .into_iter()
        .filter(|(_, is_replaced)| *is_replaced)
        .try_for_each(|(standard, _)| sys::dup2(terminal.as_raw_fd(), standard))
}
