//! Which sockets with a path somebody listens at, or is about to, in this network namespace (sock_diag(7)).

use crate::netlink::{DUMP, Message, Netlink};
use std::collections::HashSet;
use std::io;

/// The type of a question by family.
const BY_FAMILY: u16 = 20;
/// Asks for the file of each, and the attribute in which it is told: its number and device, 32 bits each.
const SHOW_FILE: u32 = 0x2;
const FILE: u16 = 1;
/// What comes before the attributes: family, type, state, padding, number, cookie.
const FIXED: usize = 16;

/// The numbers of the files of all sockets that are bound to one: the lower 32 bits, which is what the kernel tells.
pub fn bound() -> io::Result<HashSet<u64>> {
    let family = u8::try_from(libc::AF_UNIX).map_err(io::Error::other)?;
    let [mut states, mut show] = [u32::MAX.to_ne_bytes(), SHOW_FILE.to_ne_bytes()].map(Vec::from);
    let mut question = vec![family, 0, 0, 0];
    question.append(&mut states);
    question.extend([0; 4]); // of any number
    question.append(&mut show);
    question.extend([0xff; 8]); // and any cookie
    let mut found = HashSet::new();
    Netlink::sockets()?.dump(&Message::new(BY_FAMILY, DUMP, &question), |told| {
        found.extend(told.get(FIXED..).and_then(file));
    })?;
    Ok(found)
}

/// The number in the attribute that tells the file.
fn file(mut attributes: &[u8]) -> Option<u64> {
    while let Some([a, b, c, d]) = attributes.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        if u16::from_ne_bytes([*c, *d]) == FILE {
            return Some(u32::from_ne_bytes(*attributes.get(4..)?.first_chunk()?).into());
        }
        attributes = attributes.get(length.next_multiple_of(4).max(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    #[test]
    fn who_listens_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let (listener, datagrams) = (UnixListener::bind(at("a")).unwrap(), UnixDatagram::bind(at("b")).unwrap());
        drop(UnixListener::bind(at("nobody")).unwrap());
        let number = |name| std::fs::symlink_metadata(at(name)).unwrap().ino();
        let found = bound().unwrap();
        assert!(found.contains(&number("a")) && found.contains(&number("b")) && !found.contains(&number("nobody")));
        drop((listener, datagrams));
        let found = bound().unwrap();
        assert!(!found.contains(&number("a")) && !found.contains(&number("b")));
    }
}
