//! What the command writes to files of the caller's (`>file`, `2>file`). It holds pipes, and we write: so it can neither change those
//! files' modes, times and attributes, nor what is in them already.

use crate::sys;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::retry_on_intr;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;
use std::thread::JoinHandle;

/// Files to be written, and what is written to each.
#[derive(Default)]
pub(crate) struct Files(Vec<(PipeReader, File)>);

/// Most that is passed on at a time, in bytes: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// The same while the command runs. What is dropped of a pair tells its thread that the command has ended.
pub(crate) struct Relay(Vec<(JoinHandle<io::Result<()>>, PipeWriter)>);

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

    /// Writes what comes.
    pub(crate) fn write(self) -> io::Result<Relay> {
        // A file that may not grow any more is an error of ours to tell of, and not our end (the command gets its own signals).
        sys::ignore_file_size_signal();
        let write = |(pipe, file): (PipeReader, File)| {
            let (ended, end) = io::pipe()?;
            let thread =
                std::thread::Builder::new().name("relay".to_owned()).spawn(move || copy(pipe, file, &ended))?;
            Ok::<_, io::Error>((thread, end))
        };
        Ok(Relay(self.0.into_iter().map(write).collect::<Result<_, _>>()?))
    }
}

impl Relay {
    /// Waits until all is written that the command has left in the pipes: every process inside has ended. Who else holds one, because it
    /// was sent there over a socket, is not waited for.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let gone = |_| io::Error::other("the thread that writes has failed");
        let end = |(thread, end): (JoinHandle<io::Result<()>>, PipeWriter)| {
            drop(end);
            thread.join().map_err(gone).flatten()
        };
        self.0.drain(..).map(end).fold(Ok(()), Result::and)
    }
}

/// Passes on what comes, until nobody can send any more, or nothing is left at the end.
///
/// By reading and writing: `splice` takes the place in the file before it waits for something to come, and overwrites what others
/// have written there meanwhile, such as our own words.
fn copy(mut pipe: PipeReader, mut file: File, ended: &PipeReader) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let mut ready = [PollFd::new(&pipe, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
        retry_on_intr(|| poll(&mut ready, None))?;
        let [pipe_is, end_is] = ready.each_ref().map(PollFd::revents);
        if pipe_is.contains(PollFlags::IN) {
            let length = pipe.read(&mut buffer)?;
            file.write_all(&buffer[..length])?;
        } else if !pipe_is.is_empty() || !end_is.is_empty() {
            return Ok(());
        }
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
