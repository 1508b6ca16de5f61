//! A body on its way: what is certain goes through, a tail that may be the beginning of a value waits.
//!
//! A tail that waits must not hold up two sides that speak in turns, so [`Stream::flush`] lets a short one go. What
//! went is remembered: when it turns out to have been a value's beginning, the rest of the stand-in follows it.

use super::{Scrubber, Table};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// Most characters of a value, beyond those it shares with its replacement, that may pass before it is known to be one.
const LET_GO: usize = 7;

/// One body on its way.
pub struct Stream {
    table: Option<Arc<Table>>,
    /// The longest tail that may be the beginning of a value.
    held: Bytes,
    /// How much of it has been given out all the same.
    gone: usize,
    found: bool,
}

/// What has become of a text.
struct Rewritten {
    /// Where the part begins that must wait for more.
    kept: usize,
    /// Whether a value stood in the rest.
    found: bool,
}

impl Scrubber {
    /// Begins with a new body.
    pub fn stream(&self) -> Stream {
        Stream { table: self.0.clone(), held: Bytes::new(), gone: 0, found: false }
    }
}

impl Stream {
    /// Takes the next chunk, gives out what is certain.
    pub fn push(&mut self, chunk: Bytes, mut out: impl FnMut(Bytes)) {
        let Some(table) = &self.table else {
            return out(chunk);
        };
        let text = if self.held.is_empty() {
            chunk
        } else {
            let mut joined = BytesMut::with_capacity(self.held.len() + chunk.len());
            joined.extend_from_slice(&self.held);
            joined.extend_from_slice(&chunk);
            joined.freeze()
        };
        let Rewritten { kept, found } = table.rewrite(&text, self.gone, false, &mut out);
        self.found |= found;
        self.gone = self.gone.saturating_sub(kept);
        self.held = text.slice(kept..);
    }

    /// Nothing more comes for now: gives out what is held back, if it is so short that little of a value would show.
    ///
    /// Of no form of a value do more than [`LET_GO`] characters pass so, nor more than a quarter of it, not counting
    /// those that it shares with its replacement. A longer tail waits on.
    pub fn flush(&mut self, mut out: impl FnMut(Bytes)) {
        if let Some(table) = &self.table
            && self.holds_back()
            && table.may_go(&self.held)
        {
            out(self.held.slice(self.gone..));
            self.gone = self.held.len();
        }
    }

    /// The body is over: gives out what was held back.
    pub fn finish(&mut self, mut out: impl FnMut(Bytes)) {
        let held = std::mem::take(&mut self.held);
        let gone = std::mem::take(&mut self.gone);
        if let Some(table) = &self.table
            && !held.is_empty()
        {
            self.found |= table.rewrite(&held, gone, true, &mut out).found;
        }
    }

    /// Whether a value has been replaced in this body.
    pub fn found(&self) -> bool {
        self.found
    }

    /// Whether something is held back.
    pub fn holds_back(&self) -> bool {
        self.gone < self.held.len()
    }
}

impl Table {
    /// Gives out the clean form of `text`, the first `gone` bytes of which have been given out as they are.
    fn rewrite(&self, text: &Bytes, gone: usize, last: bool, out: &mut impl FnMut(Bytes)) -> Rewritten {
        let emit = |from: usize, to: usize, out: &mut dyn FnMut(Bytes)| {
            let from = from.max(gone);
            if from < to {
                out(text.slice(from..to));
            }
        };
        let mut search = self.automata.search(text);
        let mut at = 0;
        loop {
            let open = if last { text.len() } else { self.open_tail(text, at) };
            // A match that begins before the open tail is certain; one at or behind its beginning may yet
            // turn out to be a part of a longer or earlier one.
            let Some(found) = search.from(at).filter(|found| found.start < open) else {
                emit(at, open, out);
                return Rewritten { kept: open, found: at > 0 };
            };
            emit(at, found.start, out);
            let replacement = &self.replacements[found.pattern];
            // What has gone stands for the same part of the replacement, character for character.
            let rest = replacement.get(gone.saturating_sub(found.start)..).unwrap_or_default();
            if !rest.is_empty() {
                out(Bytes::copy_from_slice(rest));
            }
            at = found.end;
        }
    }

    /// Whether so little of any value stands at the end of `tail` that it may pass. A whole value in it, which waits
    /// because a longer one begins alike, may not.
    fn may_go(&self, tail: &[u8]) -> bool {
        let little = |(start, patterns): (usize, &[u32])| {
            let part = &tail[start..];
            self.beginning_with(part, patterns).all(|number| part.len() <= self.let_go[number])
        };
        self.beginnings.open(tail).all(little) && self.find(tail).is_none()
    }
}

/// How many characters of a value may pass before it is known to be one.
pub(super) fn let_go(value: &[u8], replacement: &[u8]) -> usize {
    let shared = value.iter().zip(replacement).take_while(|(a, b)| a == b).count();
    shared + LET_GO.min((value.len() - shared) / 4)
}
