//! Terminals: the sandbox's own pair, and the caller's while a session runs in it.

use crate::sys;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{self, OptionalActions, Termios, Winsize};
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

/// Opens a pair in the sandbox's own devpts: (for the launcher, for the command).
pub(crate) fn open_inside(rows: u16, columns: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    resize(&ours, (rows, columns))?;
    let name = ptsname(&ours, Vec::new())?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let theirs = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty())?;
    Ok((ours, theirs))
}

/// Makes the terminal the command's: controlling, and at descriptors 0 to 2. Errors that the caller sent elsewhere
/// (`2>file`) still go there.
pub(crate) fn attach(terminal: BorrowedFd<'_>) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    sys::set_controlling_terminal(terminal)?;
    let last = if termios::isatty(io::stderr()) { 2 } else { 1 };
    (0..=last).try_for_each(|standard| sys::dup2(terminal.as_raw_fd(), standard))
}
