//! The gate: a few ways out, tried on the way in. A sandbox in which one is not as it must be runs nothing.
//!
//! It costs a tenth of a millisecond, so it is in every start; `standin doctor --attack` tries the rest.

use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, connect, send, socket_with};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;

/// An address of documentation (RFC 5737 §3) and the port for discarding: nobody answers there, anywhere.
const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 9);
/// What is answered within the kernel is answered at once; this is for a host that stands still.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// When a datagram is sent again, and how often.
const SOON: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };
const TRIES: usize = 25_000;
const EAFNOSUPPORT: i32 = libc::EAFNOSUPPORT;

/// From the sandbox's network: a datagram to nobody is refused, a connection to nobody taken by the gateway. The other end of the
/// connection is for [`arrived`].
pub(crate) fn network() -> io::Result<()> {
    // The datagram first: it can be sent again. Where the cable is not whole yet (see `network::connect`), a connection's first
    // packet would be lost, and tried again after a second.
    refused().map_err(|error| says("a datagram is not refused", &error))?;
    let tcp = open(SocketType::STREAM)?;
    if poll(&mut [PollFd::new(&tcp, PollFlags::OUT)], Some(&PATIENCE))? == 0 {
        return Err(io::Error::other("a connection is not taken"));
    }
    socket_error(&tcp)?.map_err(|error| says("a connection does not reach the proxy", &error.into()))
}

fn refused() -> io::Result<()> {
    let udp = open(SocketType::DGRAM)?;
    for _ in 0..TRIES {
        send(&udp, &[0], SendFlags::empty())?;
        if poll(&mut [PollFd::new(&udp, PollFlags::IN)], Some(&SOON))? > 0 {
            return match socket_error(&udp)? {
                Err(Errno::CONNREFUSED) => Ok(()),
                Err(error) => Err(error.into()),
                Ok(()) => Err(io::Error::other("it is answered")),
            };
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// From outside: that connection is the first that the proxy's socket has.
pub(crate) fn arrived(listener: &TcpListener) -> io::Result<()> {
    let (connection, _) = listener.accept()?;
    let dialled = connection.local_addr()?;
    // The socket is of both families, and says it as IPv6.
    if dialled.ip().to_canonical() == *NOBODY.ip() && dialled.port() == NOBODY.port() {
        return Ok(());
    }
    Err(io::Error::other(format!("the first connection is to {dialled}")))
}

/// In the command's place, behind all doors: what leads out is refused.
pub(crate) fn doors(nested: bool) -> io::Result<()> {
    let expect = |what: &str, result: io::Result<()>, number: i32| match result {
        Err(error) if error.raw_os_error() == Some(number) => Ok(()),
        Err(error) => Err(says(what, &error)),
        Ok(()) => Err(io::Error::other(format!("{what}: it succeeds"))),
    };
    if !nested {
        expect("a namespace of one's own", sys::unshare(libc::CLONE_NEWUSER), libc::EPERM)?;
    }
    let host = socket_with(AddressFamily::VSOCK, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    expect("a socket to the machine's host", host.map(drop).map_err(io::Error::from), EAFNOSUPPORT)?;
    expect("the first process's memory", File::open("/proc/1/mem").map(drop), libc::EACCES)
}

fn open(kind: SocketType) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    match connect(&socket, &SocketAddr::V4(NOBODY)) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

fn says(what: &str, error: &io::Error) -> io::Error {
    io::Error::other(format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{enter_namespaces, in_child};
    use crate::network;
    use crate::step::{At, Step};

    /// What it says in a network that is made by `make`.
    fn said(make: impl Fn() -> Result<(), crate::step::StepError>) -> Result<(), String> {
        let tried = in_child(|| {
            enter_namespaces()?;
            make()?;
            network().at(Step::Gate)
        });
        tried.map_err(|lack| lack.why)
    }

    #[test]
    fn it_opens_in_a_network_that_is_captured_and_in_no_other() {
        let kept = || {
            // As the launcher keeps them.
            std::mem::forget(network::set_up(&[])?);
            Ok(())
        };
        assert_eq!(said(kept), Ok(()));
        assert!(said(|| Ok(())).is_err(), "a network that leads nowhere");
        // One in which every address is local, and nothing is captured.
        let local =
            || network::make_everything_local(&crate::netlink::Netlink::routes().at(Step::Gate)?).at(Step::Gate);
        assert!(said(local).is_err_and(|why| why.contains("does not reach the proxy")));
    }

    #[test]
    fn behind_it_no_connection_is_tried_twice() {
        let tried = in_child(|| {
            enter_namespaces()?;
            std::mem::forget(network::set_up(&[])?);
            network().at(Step::Gate)?;
            let counts = std::fs::read_to_string("/proc/self/net/snmp").at(Step::Gate)?;
            let lines: Vec<Vec<_>> =
                counts.lines().filter(|line| line.starts_with("Tcp:")).map(|line| line.split(' ').collect()).collect();
            let sent_again = lines[0].iter().position(|name| *name == "RetransSegs").map(|at| lines[1][at].to_owned());
            if sent_again.as_deref() == Some("0") {
                Ok(())
            } else {
                Err(io::Error::other(format!("{sent_again:?}"))).at(Step::Gate)
            }
        });
        assert_eq!(tried, Ok(()));
    }

    #[test]
    fn it_stays_shut_without_the_doors() {
        let tried = in_child(|| doors(false).at(Step::Gate));
        assert!(tried.unwrap_err().why.contains("a namespace of one's own: it succeeds"));
    }

    #[test]
    fn it_is_told_by_what_arrives() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let _client = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        assert!(arrived(&listener).unwrap_err().to_string().starts_with("the first connection is to 127.0.0.1"));
    }
}
