//! Between the caller's terminal and the sandbox's.

use standin_sandbox::terminal::{self, RawTerminal};
use std::fs::File;
use std::io::{self, Read, Stdin, Write};
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

/// Bytes moved at once.
const CHUNK: usize = 16 * 1024;

/// Copies both ways while it is open; the caller's terminal is raw so long.
pub(super) struct Bridge {
    master: OwnedFd,
    output: JoinHandle<()>,
    raw: RawTerminal<Stdin>,
}

impl Bridge {
    pub(super) fn open(master: OwnedFd) -> io::Result<Self> {
        let raw = RawTerminal::enter(io::stdin())?;
        let (mut keys, mut screen) = (File::from(master.try_clone()?), File::from(master.try_clone()?));
        // Ends with the process: a read from the keyboard cannot be called off.
        std::thread::spawn(move || copy(&mut io::stdin(), &mut keys));
        let output = std::thread::spawn(move || copy(&mut screen, &mut io::stdout()));
        Ok(Self { master, output, raw })
    }

    /// Takes the caller's window size over.
    pub(super) fn resizer(&self) -> io::Result<impl Fn() + Send + 'static + use<>> {
        let master = self.master.try_clone()?;
        Ok(move || {
            let resized = terminal::size(io::stdout()).and_then(|size| terminal::resize(&master, size));
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

fn copy(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = [0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            // EIO is how a terminal says that nobody holds its other end.
            Ok(0) | Err(_) => return,
            Ok(length) => {
                if to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_err() {
                    return;
                }
            }
        }
    }
}
