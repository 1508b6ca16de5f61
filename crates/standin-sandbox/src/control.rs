//! The socket between the launcher and the processes on the way in: messages with descriptors.

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors that come in one message at most: a process, those of the gateway, the door, and two for each local port.
const MOST_HANDED: usize = 1 + 2 + 1 + 2 * MAX_LOCAL_PORTS;
/// Most ports that may be reached on the host's loopback. A development machine runs a handful of servers; the kernel takes 253
/// descriptors in a message.
pub const MAX_LOCAL_PORTS: usize = 32;
/// Longest message: an error with the path that it is about.
const MESSAGE: usize = 8192;

/// Both ends.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends a message, which is not empty.
pub(crate) fn send(socket: impl AsFd, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_HANDED))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(socket, &[IoSlice::new(message)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next message; an empty one when the other end is closed.
pub(crate) fn receive(socket: impl AsFd) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut buffer = vec![0; MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_HANDED))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        match recvmsg(&socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            // Who ended without reading what was sent to it may have said something before.
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
            other => break other?,
        }
    };
    let rights = |message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    };
    let descriptors = ancillary.drain().filter_map(rights).flatten().collect();
    buffer.truncate(received.bytes);
    Ok((buffer, descriptors))
}

/// The one descriptor of the next message.
pub(crate) fn receive_one(socket: impl AsFd) -> io::Result<OwnedFd> {
    let (_, descriptors) = receive(socket)?;
    let [descriptor] = <[OwnedFd; 1]>::try_from(descriptors).map_err(|_| io::ErrorKind::UnexpectedEof)?;
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_heard() {
        let (ours, theirs) = pair().unwrap();
        send(&ours, b"what nobody reads", &[]).unwrap();
        send(&theirs, b"why", &[]).unwrap();
        drop(theirs);
        assert_eq!(receive(&ours).unwrap().0, b"why");
        assert_eq!(receive(&ours).unwrap().0, b"");
    }
}
