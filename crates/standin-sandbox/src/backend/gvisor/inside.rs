//! The first process under gVisor's kernel: makes the command who it is elsewhere, and starts it.

use super::plan::Errand;
use super::relay::Relay;
use super::{cannot, say};
use crate::confine;
use crate::init::{NOT_STARTED, write_maps};
use crate::supervise;
use crate::sys::{self, Fork};
use crate::terminal;
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Where the command's terminal is: nobody makes one before.
const TERMINAL: &str = "/dev/pts/0";

/// Runs the errand; gives the command's exit code.
pub(super) fn play(errand: Option<OsString>) -> io::Result<i32> {
    cannot("make standard descriptors wait", wait_for_readers())?;
    let errand = cannot("read what is to run", fs::read(errand.ok_or(io::ErrorKind::InvalidInput)?))?;
    let errand: Errand = serde_json::from_slice(&errand)?;
    let signals = sys::block_signals()?;
    // That kernel knows one user, whom it takes for root: agents refuse to run as root, and what they make is theirs.
    cannot("make a user namespace", sys::unshare(libc::CLONE_NEWUSER))?;
    cannot("map the user", write_maps((errand.uid, 0), (errand.gid, 0)))?;
    let pair = cannot("make a terminal", errand.terminal.map(terminal::open_inside).transpose())?;
    cannot("drop privileges", confine::drop_privileges())?;
    match sys::fork()? {
        Fork::Child => {
            let error = execute(&errand, pair, &signals);
            let program = errand.command.first().map(|program| String::from_utf8_lossy(program).into_owned());
            say(&format!("{}: {error}", program.unwrap_or_default()));
            std::process::exit(NOT_STARTED)
        }
        Fork::Parent(child) => {
            let relay = pair.map(|(ours, theirs)| {
                drop(theirs);
                Relay::start(ours, &errand)
            });
            let relay = relay.transpose()?;
            let code = supervise::wait_for(child, None, true, &signals)?;
            relay.map_or(Ok(()), Relay::end)?;
            Ok(code)
        }
    }
}

/// Of descriptors that share what they are open on, `runsc` makes the second and third fail instead of wait: the command would lose what a slow reader
/// has no room for yet.
fn wait_for_readers() -> io::Result<()> {
    fn waits(standard: impl AsFd) -> io::Result<()> {
        let flags = fcntl_getfl(&standard)?;
        Ok(fcntl_setfl(&standard, flags.difference(OFlags::NONBLOCK))?)
    }
    waits(io::stdin())?;
    waits(io::stdout())?;
    waits(io::stderr())
}

/// Becomes the command; returns only if that fails.
fn execute(errand: &Errand, pair: Option<(OwnedFd, OwnedFd)>, signals: &libc::sigset_t) -> io::Error {
    let run = || -> io::Result<std::convert::Infallible> {
        sys::begin_session()?;
        if let (Some((ours, theirs)), Some(wanted)) = (pair, errand.terminal) {
            drop(ours);
            terminal::replace(theirs.as_fd(), wanted.controls, errand.replaced)?;
        }
        std::env::set_current_dir(&errand.directory)?;
        sys::reset_signals(signals)?;
        let texts =
            |words: &[Vec<u8>]| words.iter().map(|word| CString::new(word.clone())).collect::<Result<Vec<_>, _>>();
        let (words, environment) = (texts(&errand.command)?, texts(&errand.environment)?);
        let words: Vec<_> = words.iter().map(CString::as_c_str).collect();
        let environment: Vec<_> = environment.iter().map(CString::as_c_str).collect();
        Err(sys::execve(words.first().ok_or(io::ErrorKind::InvalidInput)?, &words, &environment))
    };
    match run() {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

/// Beside that process: its terminal has another size now.
pub(super) fn resize(arguments: impl Iterator<Item = OsString>) -> io::Result<i32> {
    let number = |text: OsString| text.to_str().and_then(|text| text.parse().ok()).ok_or(io::ErrorKind::InvalidInput);
    let numbers: Vec<u16> = arguments.map(number).collect::<Result<_, _>>()?;
    let [rows, columns] = numbers.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    let terminal = open(TERMINAL, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    terminal::resize(&terminal, (rows, columns))?;
    // That kernel tells nobody. All but the first process are told; who does not listen hears nothing.
    sys::kill(-1, libc::SIGWINCH)?;
    Ok(0)
}
