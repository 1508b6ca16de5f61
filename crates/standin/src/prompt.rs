//! Secrets that people type: without an echo, and never on a command line.

use crate::exit::Failure;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use standin_model::limits::MAX_SECRET_BYTES;
use standin_secret::Secret;
use standin_vault::read_bounded;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use zeroize::Zeroizing;

/// Ctrl-C and Ctrl-D, as the terminal hands them over when it makes no signals of them.
const END_OF_TEXT: u8 = 0x03;
const END_OF_TRANSMISSION: u8 = 0x04;
/// What a terminal hands over of a line (termios(3), canonical mode): of a longer one it drops the rest without a word.
const LONGEST_LINE: usize = 4095;

/// A value from standard input, if that is no terminal, else typed. White space around it is none of it.
pub(crate) fn value(question: &str) -> Result<Secret, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return typed(question).map(|typed| Secret::copy_of(typed.expose().trim_ascii()));
    }
    // Not through the library's buffer, which nobody overwrites.
    let text = stdin
        .as_fd()
        .try_clone_to_owned()
        .and_then(|stdin| read_bounded(File::from(stdin), 0, MAX_SECRET_BYTES))
        .map_err(|error| Failure::because("cannot read standard input", &error))?;
    if text.len() > MAX_SECRET_BYTES {
        return Err(Failure::new("what came on standard input is larger than 64 KiB"));
    }
    Ok(Secret::copy_of(text.trim_ascii()))
}

/// What is typed at the terminal, whatever standard input is.
pub(crate) fn typed(question: &str) -> Result<Secret, Failure> {
    let nobody = |error: io::Error| Failure::because("nobody can be asked: there is no terminal", &error);
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(nobody)?;
    let quiet = Quiet::new(&terminal).map_err(nobody)?;
    let asked = write!(&terminal, "{question}: ").and_then(|()| line(&terminal));
    drop(quiet);
    writeln!(terminal).ok(); // the line break that was not shown
    let line = asked.map_err(|error| Failure::because("cannot ask at the terminal", &error))?;
    line.ok_or_else(|| Failure::new("nothing was typed"))
}

/// A line, byte by byte: what follows it is not ours. Nothing if its typist gave up.
fn line(mut terminal: &File) -> io::Result<Option<Secret>> {
    let mut text = Zeroizing::new(Vec::with_capacity(LONGEST_LINE));
    let mut byte = Zeroizing::new([0]);
    while text.len() < LONGEST_LINE {
        if terminal.read(&mut *byte)? == 0 {
            return Ok(None);
        }
        match byte[0] {
            b'\n' | b'\r' => return Ok(Some(Secret::copy_of(&text))),
            END_OF_TEXT | END_OF_TRANSMISSION => return Ok(None),
            byte => text.push(byte),
        }
    }
    Err(io::Error::other("a line there has 4094 bytes at most; hand it over on standard input"))
}

/// A terminal that shows nothing of what is typed, and makes no signals of it, until this is dropped: who is ended by a signal leaves
/// a terminal that shows nothing.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn new(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        // Ctrl-C ends the line, so that it is handed over at once.
        modes.special_codes[SpecialCodeIndex::VEOL] = END_OF_TEXT;
        tcsetattr(terminal, OptionalActions::Flush, &modes)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that went away needs none.
        tcsetattr(self.terminal, OptionalActions::Flush, &self.before).ok();
    }
}
