//! Between the caller's terminal and the sandbox's. What is typed passes as it is; what is shown is filtered first.

use crate::exit::Failure;
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use standin_model::TerminalFeature;
use standin_sandbox::Terminal;
use standin_sandbox::terminal::{self, RawTerminal};
use standin_wire::scrub::{self, Scrubber};
use standin_wire::terminal::Filter;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Stdin, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

/// Bytes moved at once.
const CHUNK: usize = 16 * 1024;

/// What the command gets in place of the caller's terminal: a whole one when a person sits at both ends, one that shows what is
/// written when only output or errors go to one (`… | standin run -- COMMAND`, `standin run -- COMMAND | less`).
pub(super) fn wanted() -> Result<Option<Terminal>, Failure> {
    let failed = |error| Failure::because("cannot tell the terminal's size", &error);
    let Some(screen) = screen().map_err(failed)? else { return Ok(None) };
    let (rows, columns) = terminal::size(&screen).map_err(failed)?;
    let controls = io::stdin().is_terminal() && io::stdout().is_terminal();
    Ok(Some(Terminal { rows, columns, controls }))
}

/// The caller's terminal, where it shows what is written.
fn screen() -> io::Result<Option<File>> {
    let (output, errors) = (io::stdout(), io::stderr());
    let screen = match (output.is_terminal(), errors.is_terminal()) {
        (true, _) => output.as_fd().try_clone_to_owned()?,
        (false, true) => errors.as_fd().try_clone_to_owned()?,
        (false, false) => return Ok(None),
    };
    Ok(Some(screen.into()))
}

/// Copies while it is open; the caller's terminal is raw so long, if all of it is the command's.
pub(super) struct Bridge {
    master: OwnedFd,
    screen: File,
    output: JoinHandle<()>,
    raw: Option<RawTerminal<Stdin>>,
}

impl Bridge {
    pub(super) fn open(master: OwnedFd, controls: bool, filter: Screen) -> io::Result<Self> {
        let screen = screen()?.ok_or(io::ErrorKind::NotFound)?;
        let raw = if controls { Some(RawTerminal::enter(io::stdin())?) } else { None };
        if controls {
            let mut keys = File::from(master.try_clone()?);
            // Ends with the process: a read from the keyboard cannot be called off.
            std::thread::spawn(move || type_in(&mut keys));
        }
        let (from, to) = (File::from(master.try_clone()?), screen.try_clone()?);
        let output = std::thread::spawn(move || filter.show(from, to));
        Ok(Self { master, screen, output, raw })
    }

    /// Takes the caller's window size over.
    pub(super) fn resizer(&self) -> io::Result<impl Fn() + Send + 'static + use<>> {
        let (master, screen) = (self.master.try_clone()?, self.screen.try_clone()?);
        Ok(move || {
            let resized = terminal::size(&screen).and_then(|size| terminal::resize(&master, size));
            if let Err(error) = resized {
                tracing::debug!(%error, "the window's size was not passed on");
            }
        })
    }

    /// Shows what is left, then gives the terminal back.
    pub(super) fn close(self) {
        drop(self.master);
        // Ends when every process inside has closed the terminal, and they are all gone. A panic there showed itself.
        self.output.join().ok();
        drop(self.raw);
    }
}

fn type_in(to: &mut File) {
    let mut buffer = [0; CHUNK];
    while let Ok(length @ 1..) = io::stdin().read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// What is shown, on its way: first without what does more than show, then, as that may have stood in the middle of one, without
/// real secrets.
pub(super) struct Screen {
    filter: Filter,
    scrub: scrub::Stream,
}

impl Screen {
    pub(super) fn new(features: Vec<TerminalFeature>, secrets: &Scrubber) -> Self {
        Self { filter: Filter::new(features), scrub: secrets.stream() }
    }

    /// Until nobody inside holds the terminal any more, which it says with an error, or the caller's is gone.
    fn show(mut self, mut from: File, mut to: File) {
        let mut buffer = [0; CHUNK];
        let mut clean = Vec::with_capacity(CHUNK);
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            self.push(&buffer[..length], &mut clean);
            if self.scrub.holds_back() && !is_readable(&from) {
                self.scrub.flush(|part| clean.extend_from_slice(&part));
            }
            if to.write_all(&clean).is_err() {
                return;
            }
            clean.clear();
        }
        let mut last = Vec::new();
        self.filter.finish(&mut last);
        self.scrub.push(last.into(), |part| clean.extend_from_slice(&part));
        self.scrub.finish(|part| clean.extend_from_slice(&part));
        // A terminal that is gone shows nothing.
        to.write_all(&clean).ok();
    }

    fn push(&mut self, bytes: &[u8], clean: &mut Vec<u8>) {
        let mut shown = Vec::with_capacity(bytes.len() + CHUNK / 16);
        self.filter.push(bytes, &mut shown);
        if !shown.is_empty() {
            self.scrub.push(Bytes::from(shown), |part| clean.extend_from_slice(&part));
        }
    }
}

/// Whether more is there already.
fn is_readable(file: &File) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}
