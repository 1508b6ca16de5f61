//! Between the caller's terminal and the sandbox's. What is typed passes as it is; what is shown is filtered first.

use crate::exit::Failure;
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use standin_model::TerminalFeature;
use standin_sandbox::Terminal;
use standin_sandbox::terminal::{self, RawTerminal};
use standin_wire::scrub::{self, Scrubber};
use standin_wire::terminal::Filter;
use standin_workspace::printable;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Stdin, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
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
    notifier: Option<Notifier>,
}

/// Shows notifications beside what the command shows.
pub(super) struct Notifier {
    to: mpsc::Sender<String>,
    wake: UnixStream,
}

/// Its other end.
struct Notices {
    from: mpsc::Receiver<String>,
    wake: UnixStream,
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
        let (notifier, notices) = notices()?;
        let output = std::thread::spawn(move || filter.show(from, to, &notices));
        Ok(Self { master, screen, output, raw, notifier: controls.then_some(notifier) })
    }

    /// What shows notifications, if the command has the whole terminal: then a line would end up in its midst.
    pub(super) fn notifier(&mut self) -> Option<Notifier> {
        self.notifier.take()
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

fn notices() -> io::Result<(Notifier, Notices)> {
    let (ours, theirs) = UnixStream::pair()?;
    let (to, from) = mpsc::channel();
    theirs.set_nonblocking(true)?;
    Ok((Notifier { to, wake: ours }, Notices { from, wake: theirs }))
}

impl Notifier {
    /// A desktop notification where the terminal has them (OSC 9), and its bell.
    pub(super) fn notify(&self, text: &str) {
        let text = printable::line(text.as_bytes()).0;
        // A terminal that is gone shows nothing.
        if self.to.send(format!("\x1b]9;standin: {text}\x1b\\\x07")).is_ok() {
            (&self.wake).write_all(&[0]).ok();
        }
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
    fn show(mut self, mut from: File, mut to: File, notices: &Notices) {
        let mut buffer = [0; CHUNK];
        let mut clean = Vec::with_capacity(CHUNK);
        loop {
            if !notices.come_before(&from) {
                let Ok(length @ 1..) = from.read(&mut buffer) else { break };
                self.push(&buffer[..length], &mut clean);
                if self.scrub.holds_back() && !is_readable(&from) {
                    self.scrub.flush(|part| clean.extend_from_slice(&part));
                }
            }
            // Between two sequences: nothing is held back of one that has begun to go out. If something is, a notice waits for what
            // follows, and not for the next notice.
            if !self.scrub.holds_back() {
                notices.from.try_iter().for_each(|notice| clean.extend_from_slice(notice.as_bytes()));
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

impl Notices {
    /// Waits for one of either; whether a notice is there.
    fn come_before(&self, from: &File) -> bool {
        let mut both = [PollFd::new(&self.wake, PollFlags::IN), PollFd::new(from, PollFlags::IN)];
        // Without it, a read waits all the same.
        let woken = poll(&mut both, None).is_ok() && both[0].revents().contains(PollFlags::IN);
        woken && matches!((&self.wake).read(&mut [0; 64]), Ok(1..))
    }
}

/// Whether more is there already.
fn is_readable(file: &File) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::PipeReader;

    /// What is shown next.
    fn next(shown: &mut PipeReader, length: usize) -> String {
        let mut next = vec![0; length];
        shown.read_exact(&mut next).unwrap();
        String::from_utf8(next).unwrap()
    }

    #[test]
    fn a_notification_comes_at_once_and_between_sequences() {
        let secrets = Scrubber::new([(&b"very-secret-value"[..], &b"stand-in"[..])].into_iter());
        let screen = Screen::new(vec![], &secrets);
        let (from, mut command) = io::pipe().unwrap();
        let (mut shown, to) = io::pipe().unwrap();
        let (notifier, notices) = notices().unwrap();
        let (from, to) = (OwnedFd::from(from).into(), OwnedFd::from(to).into());
        let showing = std::thread::spawn(move || screen.show(from, to, &notices));
        // Nobody shows anything, and one that steers does not.
        notifier.notify("a\x1b\x07b");
        let notice = next(&mut shown, "\x1b]9;standin: ".len());
        assert_eq!(notice, "\x1b]9;standin: ");
        let rest = next(&mut shown, printable::line(b"a\x1b\x07b").0.len() + 3);
        assert!(rest.starts_with('a') && rest.ends_with("b\x1b\\\x07") && !rest.contains("\x1b\x07"), "{rest:?}");
        // Half a sequence is not shown, so what comes now does not end up in it.
        command.write_all(b"text\x1b[3").unwrap();
        assert_eq!(next(&mut shown, 4), "text");
        notifier.notify("c");
        let expected = "\x1b]9;standin: c\x1b\\\x07";
        assert_eq!(next(&mut shown, expected.len()), expected);
        command.write_all(b"1mred").unwrap();
        assert_eq!(next(&mut shown, 8), "\x1b[31mred");
        drop(command);
        showing.join().unwrap();
    }

    /// A command that shows what a secret begins with, and goes on and on, does not keep its owner from hearing of it.
    #[test]
    fn a_notification_is_not_held_up_by_half_a_secret() {
        let secrets = Scrubber::new([(&b"very-secret-value"[..], &b"stand-in"[..])].into_iter());
        let screen = Screen::new(vec![], &secrets);
        let (from, mut command) = io::pipe().unwrap();
        let (mut shown, to) = io::pipe().unwrap();
        // Less room than a chunk takes up, so that it is known when the first one is shown and no more is read.
        rustix::pipe::fcntl_setpipe_size(&to, CHUNK / 4).unwrap();
        let mut text = vec![b'-'; CHUNK - 5];
        text.extend_from_slice(b"very-");
        text.extend_from_slice(&text.clone());
        text.extend_from_slice(b"\n\n\n");
        command.write_all(&text).unwrap();
        let (notifier, notices) = notices().unwrap();
        let (from, to) = (OwnedFd::from(from).into(), OwnedFd::from(to).into());
        let showing = std::thread::spawn(move || screen.show(from, to, &notices));
        shown.read_exact(&mut [0; 1]).unwrap();
        notifier.notify("a");
        drop(command);
        let mut rest = String::new();
        shown.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("\x1b]9;standin: a\x1b\\\x07"), "{}", &rest[rest.len() - 100..]);
        showing.join().unwrap();
    }
}
