//! A way in: sockets that are made in the sandbox's network and connect to servers there, from outside.
//!
//! A socket belongs to the network that it was made in, and only a process that is in that network can make one there. This one does
//! nothing else. It is outside of everything else of the sandbox's, so nothing inside sees it, and it holds nothing.

use crate::launch::CONTROL_FD;
use crate::step::{At, Step, StepError};
use crate::sys::{self, Fork};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socket_with, socketpair, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
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
        send(&self.0, &family.as_raw().to_ne_bytes(), SendFlags::NOSIGNAL)?;
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut answer = [0; 4];
        recvmsg(&self.0, &mut [IoSliceMut::new(&mut answer)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        let socket = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
            _ => None,
        });
        match (socket, i32::from_ne_bytes(answer)) {
            (Some(socket), _) => Ok(socket.into()),
            (None, 0) => Err(io::ErrorKind::BrokenPipe.into()),
            (None, number) => Err(io::Error::from_raw_os_error(number)),
        }
    }
}

/// Starts the process that makes them, in the network that the caller is in; gives the launcher's end.
pub(crate) fn open() -> Result<OwnedFd, StepError> {
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let (launcher, ours) = pair.at(Step::SandboxNetwork)?;
    let outside = rustix::process::getpid();
    match sys::fork().at(Step::SandboxNetwork)? {
        Fork::Parent(_) => Ok(launcher),
        Fork::Child => {
            let run = || {
                sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
                // Who ended before that line sent no signal.
                if rustix::process::getppid() != Some(outside) {
                    return Ok(());
                }
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
    let mut family = [0; 2];
    loop {
        let (length, _) = recv(launcher, &mut family, RecvFlags::empty())?;
        if length == 0 {
            return Ok(());
        }
        let family = AddressFamily::from_raw(u16::from_ne_bytes(family));
        let made = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None);
        let number = made.as_ref().err().map_or(0, |error| error.raw_os_error());
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let sockets: Vec<_> = made.iter().map(AsFd::as_fd).collect();
        if !sockets.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&sockets)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(launcher, &[IoSlice::new(&number.to_ne_bytes())], &mut ancillary, SendFlags::NOSIGNAL)?;
    }
}
