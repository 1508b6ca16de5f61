//! A way in: sockets that are made in the sandbox's network and connect to servers there, from outside.
//!
//! A socket belongs to the network that it was made in, and only a process that is in that network can make one there. This one does
//! nothing else. It is outside of everything else of the sandbox's, so nothing inside sees it, and it holds nothing.

use crate::control::{self, receive, send};
use crate::launch::CONTROL_FD;
use crate::step::{At, Step, StepError};
use crate::supervise;
use crate::sys::{self, Fork};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// How long the other side may take, which answers in microseconds, before it is taken for dead.
const PATIENCE: Duration = Duration::from_secs(2);

/// The launcher's end.
pub struct Door(OwnedFd);

impl Door {
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
        Ok(Self(socket))
    }

    /// A TCP socket in the sandbox's network, connected to nothing yet, that does not block.
    pub fn socket(&self, family: AddressFamily) -> io::Result<TcpStream> {
        send(&self.0, &family.as_raw().to_ne_bytes(), &[])?;
        let (answer, sockets) = receive(&self.0)?;
        match (sockets.into_iter().next(), <[u8; 4]>::try_from(answer)) {
            (Some(socket), _) => Ok(socket.into()),
            (None, Ok(number)) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(number))),
            (None, Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// Starts the process that makes them, in the network that the caller is in; gives the launcher's end.
pub(crate) fn open() -> Result<OwnedFd, StepError> {
    let (launcher, ours) = control::pair().at(Step::SandboxNetwork)?;
    let outside = rustix::process::getpid();
    match sys::fork().at(Step::SandboxNetwork)? {
        Fork::Parent(_) => Ok(launcher),
        Fork::Child => {
            let run = || {
                supervise::end_with(outside)?;
                // All else that is open is other people's, down to the caller's files.
                sys::dup2(ours.as_raw_fd(), CONTROL_FD)?;
                sys::close_from(CONTROL_FD + 1)?;
                sys::close_below(CONTROL_FD)?;
                sys::drop_capabilities_but(0)?;
                sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
                serve(&sys::adopt(CONTROL_FD))
            };
            // Whoever asks for a socket learns that there is none.
            std::process::exit(i32::from(run().is_err()))
        }
    }
}

/// Makes a socket for each request, until nobody can ask any more.
fn serve(launcher: &OwnedFd) -> io::Result<()> {
    loop {
        let Ok(family) = <[u8; 2]>::try_from(receive(launcher)?.0) else { return Ok(()) };
        let family = AddressFamily::from_raw(u16::from_ne_bytes(family));
        let made = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None);
        let number = made.as_ref().err().map_or(0, |error| error.raw_os_error());
        let sockets: Vec<_> = made.iter().map(AsFd::as_fd).collect();
        send(launcher, &number.to_ne_bytes(), &sockets)?;
    }
}
