//! What one process hands to the next: several texts in a file in memory, never on disk.

use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

/// Each part after its length.
pub(crate) fn pack<'a>(parts: impl IntoIterator<Item = &'a Vec<u8>>) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("standin-parcel", MemfdFlags::CLOEXEC)?);
    for part in parts {
        file.write_all(&(part.len() as u64).to_le_bytes())?;
        file.write_all(part)?;
    }
    seek(&file, SeekFrom::Start(0))?;
    Ok(file.into())
}

/// The parts again.
pub(crate) fn unpack(parcel: OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut file = File::from(parcel);
    let mut left = file.metadata()?.len();
    let mut parts = Vec::new();
    while left > 0 {
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        left = left.checked_sub(8 + length).ok_or(io::ErrorKind::UnexpectedEof)?;
        // Each straight to its place: a copy of all of them would be a tenth of a start.
        let mut part = vec![0; usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?];
        file.read_exact(&mut part)?;
        parts.push(part);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        for parts in [vec![], vec![b"one".to_vec()], vec![vec![], b"two".to_vec(), vec![7; 100_000]]] {
            assert_eq!(unpack(pack(&parts).unwrap()).unwrap(), parts);
        }
    }
}
