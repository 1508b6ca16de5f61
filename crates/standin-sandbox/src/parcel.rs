//! What one process hands to the next: several texts in a file in memory, never on disk.

use rustix::fs::{MemfdFlags, memfd_create, sendfile};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// Each part after its length.
pub(crate) fn pack<'a>(parts: impl IntoIterator<Item = &'a Vec<u8>>) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("standin-parcel", MemfdFlags::CLOEXEC)?);
    for part in parts {
        file.write_all(&(part.len() as u64).to_le_bytes())?;
        file.write_all(part)?;
    }
    Ok(file.into())
}

/// What was packed. It stays where it is: to read the bundles of certificates would be a tenth of a start.
#[derive(Debug)]
pub(crate) struct Parcel {
    file: File,
    parts: Vec<Range<u64>>,
}

impl Parcel {
    /// Finds the parts.
    pub(crate) fn open(parcel: OwnedFd) -> io::Result<Self> {
        let file = File::from(parcel);
        let end = file.metadata()?.len();
        let (mut at, mut parts) = (0, Vec::new());
        while at < end {
            let mut length = [0; 8];
            file.read_exact_at(&mut length, at)?;
            let begin = at + 8;
            at = begin
                .checked_add(u64::from_le_bytes(length))
                .filter(|at| *at <= end)
                .ok_or(io::ErrorKind::InvalidData)?;
            parts.push(begin..at);
        }
        Ok(Self { file, parts })
    }

    fn part(&self, number: usize) -> io::Result<Range<u64>> {
        self.parts.get(number).cloned().ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// The part with that number.
    pub(crate) fn read(&self, number: usize) -> io::Result<Vec<u8>> {
        let Range { start, end } = self.part(number)?;
        let mut part = vec![0; usize::try_from(end - start).map_err(|_| io::ErrorKind::InvalidData)?];
        self.file.read_exact_at(&mut part, start)?;
        Ok(part)
    }

    /// Writes the part with that number to the end of a file, within the kernel.
    pub(crate) fn write(&self, number: usize, to: impl AsFd) -> io::Result<()> {
        let Range { start: mut at, end } = self.part(number)?;
        while at < end {
            let left = usize::try_from(end - at).map_err(|_| io::ErrorKind::InvalidData)?;
            if sendfile(&to, &self.file, Some(&mut at), left)? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_packed_is_unpacked() {
        for parts in [vec![], vec![b"one".to_vec()], vec![vec![], b"two".to_vec(), vec![7; 100_000]]] {
            let parcel = Parcel::open(pack(&parts).unwrap()).unwrap();
            for (number, part) in parts.iter().enumerate() {
                assert_eq!(parcel.read(number).unwrap(), *part);
                let mut file = tempfile::tempfile().unwrap();
                parcel.write(number, &file).unwrap();
                let mut written = Vec::new();
                std::io::Seek::rewind(&mut file).unwrap();
                file.read_to_end(&mut written).unwrap();
                assert_eq!(written, *part);
            }
            assert!(parcel.read(parts.len()).is_err());
        }
    }

    #[test]
    fn a_part_ends_within_the_parcel() {
        for length in [3, u64::MAX] {
            let mut file = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
            file.write_all(&length.to_le_bytes()).unwrap();
            file.write_all(b"ab").unwrap();
            assert_eq!(Parcel::open(file.into()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
