//! Between the terminal under gVisor's kernel and the sandbox's.

use super::plan::Errand;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::{self, JoinHandle};

const CHUNK: usize = 16 << 10;

/// What shows what the command writes.
pub(super) struct Relay {
    showing: JoinHandle<io::Result<()>>,
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
        Ok(Self { showing: thread::spawn(move || show(master.into(), shown, end.as_fd())), ending })
    }

    /// Shows what there is still. The command has ended; who else has the terminal may go on and is not waited for.
    pub(super) fn end(self) -> io::Result<()> {
        drop(self.ending);
        self.showing.join().map_err(|_| io::ErrorKind::Other)?
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
            read => to.write_all(&buffer[..read?])?,
        }
    }
}

fn clone(standard: impl AsFd) -> io::Result<File> {
    Ok(standard.as_fd().try_clone_to_owned()?.into())
}
