//! Looking for values in a stream that passes as it is: nothing is held back and nothing is copied but where two pieces meet.
//!
//! A value is known when its last byte comes, and whoever looks keeps that piece to himself: so no value passes whole,
//! and what only begins like one passes at once.

use super::{Table, Tripwire};

/// What is remembered of a stream between two pieces: an end that may be the beginning of a value.
#[derive(Default)]
pub struct Seam(pub(super) Vec<u8>);

impl Tripwire {
    /// Gives the number of every value that ends in this piece of a stream. A value may be given twice.
    pub fn look<E>(
        &self,
        seam: &mut Seam,
        piece: &[u8],
        mut each: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(table) = &self.0 else { return Ok(()) };
        let reach = piece.len().min(table.longest - 1); // as far as a value that began before can go on in it
        let mut joined = std::mem::take(&mut seam.0);
        if !joined.is_empty() {
            joined.extend_from_slice(&piece[..reach]);
            table.owners(&joined).try_for_each(&mut each)?;
        }
        table.owners(piece).try_for_each(each)?;
        seam.0 = if joined.is_empty() || reach < piece.len() {
            piece[table.open_tail(piece, 0)..].to_vec()
        } else {
            joined.split_off(table.open_tail(&joined, 0))
        };
        Ok(())
    }
}

impl Table {
    fn owners<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        self.automata.find_iter(text).map(|found| self.owner[found.pattern])
    }
}
