//! Between the terminal under gVisor's kernel and the sandbox's.

use super::plan::Errand;
use super::say;
use crate::init::NOT_STARTED;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::{self, JoinHandle};

const CHUNK: usize = 16 << 10;

/// What shows what the command writes.
pub(super) struct Relay {
    showing: JoinHandle<()>,
    ending: PipeWriter,
}

impl Relay {
    /// Begins, in two threads.
    pub(super) fn start(master: OwnedFd, errand: &Errand) -> io::Result<Self> {
        let (end, ending) = io::pipe()?;
        let [output, errors] = errand.replaced;
        let shown = if output {
            clone(io::stdout())?
        } else if errors {
            clone(io::stderr())?
        } else {
            clone(io::stdin())?
        };
        if errand.terminal.is_some_and(|terminal| terminal.controls) {
            let (keys, to) = (clone(io::stdin())?, File::from(master.try_clone()?));
            // It ends with this process.
            thread::spawn(move || type_in(keys, to));
        }
        Ok(Self { showing: thread::spawn(move || shown_or_ended(master.into(), shown, end.as_fd())), ending })
    }

    /// Shows what there is still. The command has ended; who else has the terminal may go on and is not waited for.
    pub(super) fn end(self) -> io::Result<()> {
        drop(self.ending);
        Ok(self.showing.join().map_err(|_| io::ErrorKind::Other)?)
    }
}

/// Not by `io::copy`, which tries calls that wait for ever in some of those kernels.
fn type_in(mut from: File, mut to: File) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => to.write_all(&buffer[..read])?,
        }
    }
}

/// Where nothing can be shown any more, the command would wait for ever at a terminal that is full: all ends with this process, its first.
fn shown_or_ended(from: File, to: File, end: BorrowedFd<'_>) {
    if let Err(error) = show(from, to, end) {
        say(&format!("gVisor: cannot show what the command writes: {error}"));
        std::process::exit(NOT_STARTED);
    }
}

fn show(mut from: File, mut to: File, end: BorrowedFd<'_>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let mut both = [PollFd::new(&from, PollFlags::IN), PollFd::from_borrowed_fd(end, PollFlags::IN)];
        poll(&mut both, None)?;
        // The command has ended, or nobody has the terminal open any more. Under that kernel a read would wait for ever then.
        if !both[0].revents().contains(PollFlags::IN) {
            return Ok(());
        }
        match from.read(&mut buffer) {
            Err(error) if error.raw_os_error() == Some(libc::EIO) => return Ok(()),
            Ok(0) => return Ok(()),
            read => write_all(&mut to, &buffer[..read?])?,
        }
    }
}

/// Waits for room, whether the descriptor does or not.
fn write_all(to: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(to, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn clone(standard: impl AsFd) -> io::Result<File> {
    Ok(standard.as_fd().try_clone_to_owned()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};

    #[test]
    fn a_reader_without_room_is_waited_for() {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        let bytes = vec![7; 600_000];
        let (expected, mut to) = (bytes.clone(), File::from(write));
        let writing = thread::spawn(move || write_all(&mut to, &bytes));
        let (mut seen, mut from, mut buffer) = (Vec::new(), File::from(read), vec![0; CHUNK]);
        loop {
            poll(&mut [PollFd::new(&from, PollFlags::IN)], None).unwrap();
            match from.read(&mut buffer).unwrap() {
                0 => break,
                read => seen.extend_from_slice(&buffer[..read]),
            }
        }
        writing.join().unwrap().unwrap();
        assert!(seen == expected, "{} bytes", seen.len());
    }
}
