//! Reading what holds secrets: no more than there may be, and nothing of it is left behind.

use std::io::{self, Read};
use zeroize::Zeroizing;

/// Room for what does not tell its length, in bytes: most secrets are shorter.
const LEAST_ROOM: usize = 4096;

/// Reads one byte more than there may be, so that too much can be told from just enough. `length` is what the source says of
/// itself, or nothing: with room at once the buffer need not grow, which would leave its former places behind, not overwritten.
pub fn read_bounded(source: impl Read, length: u64, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let room = usize::try_from(length).unwrap_or(most).max(LEAST_ROOM).min(most) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    source.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
