//! Netlink messages (RFC 3549): a header, a fixed structure, attributes. Enough of it for two namespaces.

use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::os::fd::OwnedFd;

/// Asks for an acknowledgement.
pub(crate) const ACK: u16 = 0x4;
/// Makes what must not exist.
pub(crate) const CREATE: u16 = 0x400 | 0x200;
const REQUEST: u16 = 0x1;
const NESTED: u16 = 0x8000;
const HEADER: usize = 16;
/// The type of an acknowledgement or error.
const ERROR: u16 = 2;
/// The type of the end of a list.
const DONE: u16 = 3;
/// Asks for a list.
pub(crate) const DUMP: u16 = 0x300;

/// A netlink socket. It belongs to the network namespace in which it was opened.
pub(crate) struct Netlink(OwnedFd);

/// A message being written.
pub(crate) struct Message(Vec<u8>);

impl Netlink {
    /// For links, addresses and routes (`NETLINK_ROUTE`).
    pub(crate) fn routes() -> io::Result<Self> {
        // The protocol zero, which is the default.
        Self::open(None)
    }

    /// For nftables (`NETLINK_NETFILTER`).
    pub(crate) fn netfilter() -> io::Result<Self> {
        Self::open(Some(net::netlink::NETFILTER))
    }

    /// For sockets (`NETLINK_SOCK_DIAG`).
    pub(crate) fn sockets() -> io::Result<Self> {
        Self::open(Some(net::netlink::SOCK_DIAG))
    }

    /// Asks for all there are, and calls `each` for every one, with what follows the header.
    pub(crate) fn dump(&self, message: &Message, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        net::send(&self.0, &message.0, SendFlags::empty())?;
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            let (length, _) = net::recv(&self.0, buffer.as_mut_slice(), RecvFlags::empty())?;
            let mut rest = &buffer[..length];
            while let Some(header) = rest.first_chunk::<HEADER>() {
                let size = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
                match u16::from_ne_bytes([header[4], header[5]]) {
                    DONE => return Ok(()),
                    ERROR => return Err(io::ErrorKind::Unsupported.into()),
                    _ => each(rest.get(HEADER..size).ok_or(io::ErrorKind::InvalidData)?),
                }
                rest = rest.get(size.next_multiple_of(4).max(HEADER)..).unwrap_or_default();
            }
        }
    }

    fn open(protocol: Option<net::Protocol>) -> io::Result<Self> {
        let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        Ok(Self(socket))
    }

    /// Sends messages together and waits for as many acknowledgements as were asked for.
    pub(crate) fn request(&self, messages: &[Message]) -> io::Result<()> {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| message.0.iter().copied()).collect();
        net::send(&self.0, &bytes, SendFlags::empty())?;
        let mut expected = messages.iter().filter(|message| message.0[6] & 0x4 != 0).count();
        let mut buffer = vec![0u8; 16 * 1024];
        while expected > 0 {
            let (length, _) = net::recv(&self.0, buffer.as_mut_slice(), RecvFlags::empty())?;
            let mut rest = &buffer[..length];
            while let Some(header) = rest.first_chunk::<HEADER>() {
                let size = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
                if u16::from_ne_bytes([header[4], header[5]]) == ERROR {
                    let code = rest.get(HEADER..HEADER + 4).ok_or(io::ErrorKind::InvalidData)?;
                    let code = i32::from_ne_bytes([code[0], code[1], code[2], code[3]]);
                    if code != 0 {
                        return Err(io::Error::from_raw_os_error(-code));
                    }
                    expected = expected.saturating_sub(1);
                }
                rest = rest.get(size.next_multiple_of(4).max(HEADER)..).unwrap_or_default();
            }
        }
        Ok(())
    }
}

impl Message {
    /// Begins a message with its fixed structure.
    pub(crate) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fixed);
        let mut message = Self(bytes);
        message.close(0);
        message
    }

    /// Adds an attribute.
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        put(&mut self.0, kind, value);
        self.close(0);
        self
    }

    /// Adds an attribute that ends with a zero byte.
    pub(crate) fn with_text(self, kind: u16, value: &str) -> Self {
        self.with(kind, &[value.as_bytes(), &[0]].concat())
    }

    fn close(&mut self, at: usize) {
        let length = u32::try_from(self.0.len()).expect("our messages are short");
        self.0[at..at + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// An attribute on its own, to be nested.
pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, kind, value);
    bytes
}

/// An attribute that holds attributes.
pub(crate) fn nested(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &parts.concat())
}

fn put(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).expect("our attributes are short");
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
