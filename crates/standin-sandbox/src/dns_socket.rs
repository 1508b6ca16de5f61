//! The gateway's UDP socket on port 53: queries to any resolver arrive here and are answered from its address.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

/// Room for one `IPV6_PKTINFO` control message.
const CONTROL: usize = 64;

/// A datagram socket that tells and chooses its own side's address.
pub struct DnsSocket(OwnedFd);

/// Who asked, and whom.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The asker.
    pub from: SocketAddrV6,
    /// The resolver it meant (IPv4 as a mapped address).
    pub to: Ipv6Addr,
}

impl DnsSocket {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// The same socket, to be told by a runtime when there is something to receive.
    pub fn readiness(&self) -> io::Result<std::net::UdpSocket> {
        Ok(self.0.try_clone()?.into())
    }

    /// Receives a datagram; `WouldBlock` if there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Asked)> {
        let mut control = [0u64; CONTROL / 8];
        let mut from = MaybeUninit::<libc::sockaddr_in6>::zeroed();
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: all-zero is a valid `msghdr`.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = from.as_mut_ptr().cast();
        message.msg_namelen = socklen(size_of::<libc::sockaddr_in6>());
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        // SAFETY: every pointer in the message leads to a live buffer of the length beside it.
        let length = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, 0) };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        // SAFETY: zeroed above, and the kernel wrote an address of the socket's family over it.
        let from = unsafe { from.assume_init() };
        let to = destination(&message).ok_or(io::ErrorKind::InvalidData)?;
        let from = SocketAddrV6::new(Ipv6Addr::from(from.sin6_addr.s6_addr), u16::from_be(from.sin6_port), 0, 0);
        Ok((length, Asked { from, to }))
    }

    /// Sends an answer from the address that was asked.
    pub fn answer(&self, bytes: &[u8], asked: &Asked) -> io::Result<()> {
        let mut control = [0u64; CONTROL / 8];
        // SAFETY: all-zero is a valid address.
        let mut to: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
        to.sin6_family = libc::sa_family_t::try_from(libc::AF_INET6).expect("a small number");
        to.sin6_port = asked.from.port().to_be();
        to.sin6_addr.s6_addr = asked.from.ip().octets();
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: asked.to.octets() }, ipi6_ifindex: 0 };
        let size = u32::try_from(size_of_val(&info)).expect("a small structure");
        // SAFETY: all-zero is a valid `msghdr`.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = (&raw mut to).cast();
        message.msg_namelen = socklen(size_of_val(&to));
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: computes a length.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(size) } as usize;
        // SAFETY: the control buffer is larger than one header, so there is a first one.
        let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        // SAFETY: computes a length.
        let filled = unsafe { libc::CMSG_LEN(size) } as usize;
        let first = libc::cmsghdr { cmsg_len: filled, cmsg_level: libc::IPPROTO_IPV6, cmsg_type: libc::IPV6_PKTINFO };
        // SAFETY: `header` leads to the aligned, live control buffer.
        unsafe { header.write(first) };
        // SAFETY: the data of the first header lies within the control buffer.
        let data = unsafe { libc::CMSG_DATA(header) };
        // SAFETY: the buffer has room for the structure; the write need not be aligned.
        unsafe { data.cast::<libc::in6_pktinfo>().write_unaligned(info) };
        // SAFETY: every pointer in the message leads to a live buffer of the length beside it.
        let sent = unsafe { libc::sendmsg(self.0.as_raw_fd(), &raw const message, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// The address to which a datagram was sent, from its `IPV6_PKTINFO`.
fn destination(message: &libc::msghdr) -> Option<Ipv6Addr> {
    // SAFETY: the kernel filled the control buffer and its length.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: not null, so it leads to a header within the control buffer.
        let found = unsafe { header.read() };
        if (found.cmsg_level, found.cmsg_type) == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
            // SAFETY: the data follows its header.
            let data = unsafe { libc::CMSG_DATA(header) };
            // SAFETY: this type of message carries this structure; the read need not be aligned.
            let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
            return Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
        }
        // SAFETY: steps to the next header within the control buffer, or null.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

fn socklen(size: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(size).expect("addresses are small")
}
