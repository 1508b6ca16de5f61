//! Finds many values in many encodings, in one pass, in a stream cut anywhere.
//!
//! [`Scrubber`] replaces (secret by stand-in, on the way back); [`Tripwire`] finds (stand-ins, on the way
//! out). A [`Stream`] passes chunks through without copying unless something is replaced, and holds back
//! only a tail that may be the beginning of a value: never a byte more. [`Tripwire::look`] holds back nothing.
//!
//! The automaton holds the secrets it looks for; it lives as long as the session and is not overwritten on
//! drop (the aho-corasick crate gives no access), which SPECIFICATION.md says.

mod automata;
mod beginnings;
mod look;
mod stream;

pub use look::Seam;
pub use stream::Stream;

use crate::encodings::forms;
use automata::{Automata, Found};
use beginnings::Beginnings;
use std::sync::Arc;

/// Longest text in which values are looked for by their beginnings, in bytes: most fields of a head. The automata, which have a
/// start-up of their own, take the same time for every byte whatever it is.
const SHORT: usize = 1024;

/// Replaces values by others.
#[derive(Clone)]
pub struct Scrubber(Option<Arc<Table>>);

/// Finds values.
pub struct Tripwire(Option<Table>);

struct Table {
    automata: Automata,
    patterns: Vec<Vec<u8>>,
    replacements: Vec<Vec<u8>>,
    /// How much of a pattern may pass at the end of a chunk that nothing follows for now.
    let_go: Vec<usize>,
    /// Which value a pattern is a form of.
    owner: Vec<usize>,
    longest: usize,
    /// The values themselves.
    plain: Vec<(Vec<u8>, usize)>,
    beginnings: Beginnings,
}

impl Scrubber {
    /// Replaces the first of each pair by the second, in every encoding.
    pub fn new<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        Self(Table::build(pairs).map(Arc::new))
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a body keeps its length whatever is found in it.
    pub fn preserves_length(&self) -> bool {
        self.0.as_ref().is_none_or(|t| t.patterns.iter().zip(&t.replacements).all(|(p, r)| p.len() == r.len()))
    }

    /// Whether the name of a field holds a value. Names have no case (RFC 9110 §5.1), so a value is found in any.
    pub fn is_in_name(&self, name: &str) -> bool {
        self.0.as_ref().is_some_and(|table| table.in_name(name).is_some())
    }

    /// The clean form of a header value; `None` if it is clean already.
    pub fn scrub_header(&self, value: &[u8]) -> Option<Vec<u8>> {
        let table = self.0.as_ref()?;
        table.find(value)?; // in most there is nothing, and nothing is copied
        let mut clean = Vec::with_capacity(value.len());
        let mut at = 0;
        for found in table.automata.find_iter(value) {
            clean.extend_from_slice(&value[at..found.start]);
            clean.extend_from_slice(&table.replacements[found.pattern]);
            at = found.end;
        }
        clean.extend_from_slice(&value[at..]);
        Some(clean)
    }
}

impl Tripwire {
    /// Looks for these values, in every encoding.
    pub fn new<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        Self(Table::build(values.map(|value| (value, value))))
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The number of the first value found.
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        let table = self.0.as_ref()?;
        table.find(text).map(|found| table.owner[found.pattern])
    }

    /// The number of a value that a field holds: in its content, or in its name in any case.
    pub fn find_in_field(&self, name: &str, value: &[u8]) -> Option<usize> {
        self.find(value).or_else(|| self.0.as_ref()?.in_name(name))
    }
}

impl Table {
    fn build<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Self> {
        let (mut patterns, mut replacements, mut owner) = (Vec::new(), Vec::new(), Vec::new());
        let mut plain = Vec::new();
        for (number, (value, replacement)) in pairs.enumerate() {
            if !value.is_empty() {
                plain.push((value.to_vec(), number));
            }
            for (pattern, replacement) in forms(value).into_iter().zip(forms(replacement)) {
                if !pattern.is_empty() && !patterns.contains(&pattern) {
                    patterns.push(pattern);
                    replacements.push(replacement);
                    owner.push(number);
                }
            }
        }
        if patterns.is_empty() {
            return None;
        }
        let automata = Automata::new(&patterns);
        let let_go = patterns.iter().zip(&replacements).map(|(p, r)| stream::let_go(p, r)).collect();
        let longest = patterns.iter().map(Vec::len).max().unwrap_or_default();
        let beginnings = Beginnings::of(&patterns);
        Some(Self { automata, patterns, replacements, let_go, owner, longest, plain, beginnings })
    }

    /// The first pattern in a text, and of those that begin there the longest.
    fn find(&self, text: &[u8]) -> Option<Found> {
        if text.len() > SHORT {
            return self.automata.find(text);
        }
        self.beginnings.whole(text).find_map(|(start, patterns)| {
            let rest = &text[start..];
            let here = patterns.iter().filter(|number| rest.starts_with(self.pattern(**number)));
            let longest = *here.max_by_key(|number| self.pattern(**number).len())?;
            Some(Found { pattern: longest as usize, start, end: start + self.pattern(longest).len() })
        })
    }

    fn in_name(&self, name: &str) -> Option<usize> {
        // Only the plain form: whoever encodes a value for a field's name loses its case, and with it the value.
        let holds =
            |value: &[u8]| name.as_bytes().windows(value.len()).any(|window| window.eq_ignore_ascii_case(value));
        self.plain.iter().find_map(|(value, number)| holds(value).then_some(*number))
    }

    /// Where the longest tail of `text[from..]` begins that is a proper prefix of a pattern; the end if none is.
    fn open_tail(&self, text: &[u8], from: usize) -> usize {
        let earliest = text.len().saturating_sub(self.longest - 1).max(from);
        let tail = &text[earliest..];
        let begins = |(at, patterns): (usize, &[u32])| self.beginning_with(&tail[at..], patterns).next().map(|_| at);
        self.beginnings.open(tail).find_map(begins).map_or(text.len(), |at| earliest + at)
    }

    /// Those of these patterns of which `part` is a proper prefix.
    fn beginning_with<'a>(&'a self, part: &'a [u8], patterns: &'a [u32]) -> impl Iterator<Item = usize> + 'a {
        let begins = |pattern: &[u8]| pattern.len() > part.len() && pattern.starts_with(part);
        patterns.iter().filter(move |number| begins(self.pattern(**number))).map(|number| *number as usize)
    }

    fn pattern(&self, number: u32) -> &[u8] {
        &self.patterns[number as usize]
    }
}

#[cfg(test)]
mod tests;
