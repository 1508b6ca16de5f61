//! How a memory is written: its directories in the order in which they lie in each other, each with how deep it is.

use super::{Found, Kind, Known, Listing, Recalled, Stamp};
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

const MAGIC: &[u8] = b"standin searched 1\n";

/// A directory.
pub(super) struct Record {
    pub(super) depth: u16,
    /// None if it is looked through whatever it is.
    pub(super) stamp: Option<Stamp>,
    name: Range<usize>,
    found: Range<usize>,
}

impl Record {
    /// Its name; the first one's is empty.
    pub(super) fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.name.clone()]
    }
}

/// The directories of a memory, if it is whole, this program's and of this workspace.
pub(super) fn read(bytes: &[u8], program: Stamp, root: &Path) -> Option<Vec<Record>> {
    let (body, checksum) = bytes.split_last_chunk()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let mut reader = Reader { bytes: body, at: 0 };
    if reader.take(MAGIC.len())? != MAGIC || reader.stamp()? != program {
        return None;
    }
    let length = usize::try_from(reader.number::<4>()?).ok()?;
    if reader.take(length)? != root.as_os_str().as_bytes() {
        return None;
    }
    let mut records: Vec<Record> = Vec::new();
    while reader.at < body.len() {
        let record = reader.record()?;
        let is_placed = match records.last() {
            None => record.depth == 0 && record.name.is_empty(),
            Some(last) => (1..=last.depth + 1).contains(&record.depth) && is_name(record.name(bytes)),
        };
        records.push(Some(record).filter(|_| is_placed)?);
    }
    (!records.is_empty()).then_some(records)
}

fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// What lies in a directory.
pub(super) fn found(bytes: &[u8], record: &Record) -> Vec<Found> {
    let mut reader = Reader { bytes: &bytes[..record.found.end], at: record.found.start };
    std::iter::from_fn(|| reader.found()).collect()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    /// A number of so many bytes.
    fn number<const N: usize>(&mut self) -> Option<u64> {
        let mut all = [0; 8];
        all[..N].copy_from_slice(self.take(N)?);
        Some(u64::from_le_bytes(all))
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number::<4>()?).ok()
    }

    /// One that is none has no number.
    fn stamp(&mut self) -> Option<Stamp> {
        let device = (self.small()?, self.small()?);
        let inode = self.number::<8>()?;
        let changed = (self.number::<8>()?.cast_signed(), self.small()?);
        Some(Stamp { device, inode, changed })
    }

    fn record(&mut self) -> Option<Record> {
        let depth = u16::try_from(self.number::<2>()?).ok().filter(|depth| *depth < u16::MAX)?;
        let stamp = Some(self.stamp()?).filter(|stamp| stamp.inode != 0);
        let length = usize::try_from(self.number::<1>()?).ok()?;
        let name = self.at..self.at + length;
        self.take(length)?;
        let count = self.number::<2>()?;
        let begin = self.at;
        for _ in 0..count {
            self.found()?;
        }
        Some(Record { depth, stamp, name, found: begin..self.at })
    }

    fn found(&mut self) -> Option<Found> {
        let kind = [Kind::Named, Kind::Link, Kind::Socket].get(usize::try_from(self.number::<1>()?).ok()?).copied()?;
        let length = usize::try_from(self.number::<2>()?).ok()?;
        Some(Found { name: OsString::from_vec(self.take(length)?.to_vec()), kind })
    }
}

/// One to be written: the path below the root, the stamp, what was found.
type Entry = (Vec<u8>, Option<Stamp>, Vec<Found>);

/// What is remembered from now on: what was listed, and what was the same in the old one.
pub(super) fn write(program: Stamp, root: &Path, known: Option<&Recalled>, listed: Vec<Listing>) -> Vec<u8> {
    let mut entries: Vec<Entry> = Vec::new();
    if let Some(known) = known {
        same_below(known.root(), root, root, &mut entries);
    }
    for listing in listed {
        if let Some(known) = known {
            for number in &listing.kept {
                let child = Known { memory: known, number: *number };
                let at = listing.at.join(OsStr::from_bytes(known.records[*number].name(&known.bytes)));
                same_below(child, &at, root, &mut entries);
            }
        }
        entries.push((relative(&listing.at, root), listing.stamp, listing.found));
    }
    // Parents before what is below them, which comes before what lies beside them.
    let order = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    entries.sort_unstable_by(|(a, ..), (b, ..)| a.iter().map(order).cmp(b.iter().map(order)));
    let mut bytes = MAGIC.to_vec();
    put_stamp(&mut bytes, Some(program));
    let path = root.as_os_str().as_bytes();
    bytes.extend(u32::try_from(path.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(path);
    for entry in entries {
        put(&mut bytes, entry);
    }
    let checksum = crc32fast::hash(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

fn same_below(known: Known<'_>, at: &Path, root: &Path, entries: &mut Vec<Entry>) {
    let each = |path: &Path, stamp, found| entries.push((relative(path, root), stamp, found));
    known.descend(at, each, |_, _| {});
}

fn relative(path: &Path, root: &Path) -> Vec<u8> {
    path.strip_prefix(root).unwrap_or(path).as_os_str().as_bytes().to_vec()
}

fn put(bytes: &mut Vec<u8>, (path, stamp, mut found): Entry) {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let depth = if path.is_empty() { 0 } else { path.split(|byte| *byte == b'/').count() };
    // More than can be written is looked for again.
    let stamp = stamp.filter(|_| u16::try_from(found.len()).is_ok());
    if stamp.is_none() {
        found.clear();
    }
    bytes.extend(u16::try_from(depth).unwrap_or(u16::MAX).to_le_bytes());
    put_stamp(bytes, stamp);
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.extend(name);
    bytes.extend(u16::try_from(found.len()).unwrap_or_default().to_le_bytes());
    for Found { name, kind } in found {
        bytes.push(kind as u8);
        bytes.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend(name.as_bytes());
    }
}

fn put_stamp(bytes: &mut Vec<u8>, stamp: Option<Stamp>) {
    let Stamp { device, inode, changed } = stamp.unwrap_or(Stamp { device: (0, 0), inode: 0, changed: (0, 0) });
    bytes.extend(device.0.to_le_bytes());
    bytes.extend(device.1.to_le_bytes());
    bytes.extend(inode.to_le_bytes());
    bytes.extend(changed.0.to_le_bytes());
    bytes.extend(changed.1.to_le_bytes());
}
