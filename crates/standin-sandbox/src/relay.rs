//! What the command writes to files of the caller's (`>file`, `2>file`). It holds pipes, and we write: so it can neither change those
//! files' modes, times and attributes, nor what is in them already.

use rustix::fs::{FileType, fstat};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::thread::JoinHandle;

/// Files to be written, and what is written to each.
#[derive(Default)]
pub(crate) struct Files(Vec<(PipeReader, File)>);

/// The same while the command runs.
pub(crate) struct Relay(Vec<JoinHandle<io::Result<()>>>);

impl Files {
    /// Gives the command pipes where our own output or errors go to files. One, where both go to the same: what comes first is written
    /// first.
    pub(crate) fn replaced(command: &mut Command) -> io::Result<Self> {
        let mut all = Self::default();
        let (output, errors) = (file(io::stdout().as_fd())?, file(io::stderr().as_fd())?);
        let is_shared = output.is_some() && number(output.as_ref())? == number(errors.as_ref())?;
        let written = output.map(|file| all.add(file)).transpose()?;
        if let Some(pipe) = &written {
            command.stdout(pipe.try_clone()?);
        }
        if let Some(pipe) = if is_shared { written } else { errors.map(|file| all.add(file)).transpose()? } {
            command.stderr(pipe);
        }
        Ok(all)
    }

    fn add(&mut self, file: File) -> io::Result<PipeWriter> {
        let (reader, writer) = io::pipe()?;
        self.0.push((reader, file));
        Ok(writer)
    }

    /// Writes, until nobody holds the pipes any more.
    pub(crate) fn write(self) -> io::Result<Relay> {
        let write = |(pipe, mut file): (PipeReader, File)| {
            let copy = move || io::copy(&mut File::from(OwnedFd::from(pipe)), &mut file).map(drop);
            std::thread::Builder::new().name("relay".to_owned()).spawn(copy)
        };
        Ok(Relay(self.0.into_iter().map(write).collect::<Result<_, _>>()?))
    }
}

impl Relay {
    /// Waits until all is written. Every process inside has ended, so that there is an end.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let gone = |_| io::Error::other("the thread that writes has failed");
        self.0.drain(..).map(|thread| thread.join().map_err(gone).flatten()).fold(Ok(()), Result::and)
    }
}

/// A copy of a descriptor that leads to a file.
fn file(held: BorrowedFd<'_>) -> io::Result<Option<File>> {
    let is_file = FileType::from_raw_mode(fstat(held)?.st_mode) == FileType::RegularFile;
    is_file.then(|| held.try_clone_to_owned().map(File::from)).transpose()
}

fn number(file: Option<&File>) -> io::Result<Option<(u64, u64)>> {
    file.map(|file| fstat(file).map(|stat| (stat.st_dev, stat.st_ino))).transpose().map_err(Into::into)
}
