//! Finds many values in many encodings, in one pass, in a stream cut anywhere.
//!
//! [`Scrubber`] replaces (secret by stand-in, on the way back); [`Tripwire`] finds (stand-ins, on the way
//! out). A [`Stream`] passes chunks through without copying unless something is replaced, and holds back
//! only a tail that may be the beginning of a value: never a byte more.
//!
//! The automaton holds the secrets it looks for; it lives as long as the session and is not overwritten on
//! drop (the aho-corasick crate gives no access), which SPECIFICATION.md says.

use crate::encodings::forms;
use aho_corasick::{AhoCorasick, AhoCorasickBuilder, Match, MatchKind};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// Replaces values by others.
#[derive(Clone)]
pub struct Scrubber(Option<Arc<Table>>);

/// Finds values.
pub struct Tripwire(Option<Table>);

/// One body on its way.
pub struct Stream {
    table: Option<Arc<Table>>,
    held: Bytes,
}

struct Table {
    automaton: AhoCorasick,
    patterns: Vec<Vec<u8>>,
    replacements: Vec<Vec<u8>>,
    /// Which value a pattern is a form of.
    owner: Vec<usize>,
    longest: usize,
    /// The values themselves.
    plain: Vec<Vec<u8>>,
    /// Patterns by their first byte.
    by_first: Vec<Vec<u32>>,
}

impl Scrubber {
    /// Replaces the first of each pair by the second, in every encoding.
    pub fn new<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        Self(Table::build(pairs).map(Arc::new))
    }

    /// Begins with a new body.
    pub fn stream(&self) -> Stream {
        Stream { table: self.0.clone(), held: Bytes::new() }
    }

    /// Whether a body keeps its length whatever is found in it.
    pub fn preserves_length(&self) -> bool {
        self.0.as_ref().is_none_or(|t| t.patterns.iter().zip(&t.replacements).all(|(p, r)| p.len() == r.len()))
    }

    /// Whether the name of a field holds a value. Names have no case (RFC 9110 §5.1), so a value is found in any.
    pub fn is_in_name(&self, name: &str) -> bool {
        self.0.as_ref().is_some_and(|table| table.in_name(name))
    }

    /// The clean form of a header value; `None` if it is clean already.
    pub fn scrub_header(&self, value: &[u8]) -> Option<Vec<u8>> {
        let table = self.0.as_ref()?;
        table.automaton.find(value)?;
        let mut clean = Vec::with_capacity(value.len());
        let mut at = 0;
        for found in table.automaton.find_iter(value) {
            clean.extend_from_slice(&value[at..found.start()]);
            clean.extend_from_slice(&table.replacements[found.pattern().as_usize()]);
            at = found.end();
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

    /// The number of the first value found.
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        let table = self.0.as_ref()?;
        table.automaton.find(text).map(|found| table.owner[found.pattern().as_usize()])
    }

    /// The numbers of the values found, in the order in which they stand.
    pub fn find_all<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let table = self.0.as_ref().into_iter();
        table
            .flat_map(move |table| table.automaton.find_iter(text).map(|found| table.owner[found.pattern().as_usize()]))
    }

    /// How many bytes of a stream must be looked at again with those that follow, so that no value is missed.
    pub fn overlap(&self) -> usize {
        self.0.as_ref().map_or(0, |table| table.longest - 1)
    }

    /// Whether a field holds a value: in its content, or in its name in any case.
    pub fn find_in_field(&self, name: &str, value: &[u8]) -> bool {
        self.find(value).is_some() || self.0.as_ref().is_some_and(|table| table.in_name(name))
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
        let kept = table.rewrite(&text, false, &mut out);
        self.held = text.slice(kept..);
    }

    /// The body is over: gives out what was held back.
    pub fn finish(&mut self, mut out: impl FnMut(Bytes)) {
        let held = std::mem::take(&mut self.held);
        if let Some(table) = &self.table
            && !held.is_empty()
        {
            table.rewrite(&held, true, &mut out);
        }
    }

    /// Whether something is held back.
    pub fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }
}

impl Table {
    fn build<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Self> {
        let (mut patterns, mut replacements, mut owner) = (Vec::new(), Vec::new(), Vec::new());
        let mut plain = Vec::new();
        for (number, (value, replacement)) in pairs.enumerate() {
            if !value.is_empty() {
                plain.push(value.to_vec());
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
        let automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns)
            .expect("a session's patterns are far below the automaton's 2^31 states");
        let longest = patterns.iter().map(Vec::len).max().unwrap_or_default();
        let mut by_first = vec![Vec::new(); 256];
        for (number, pattern) in (0u32..).zip(&patterns) {
            by_first[usize::from(pattern[0])].push(number);
        }
        Some(Self { automaton, patterns, replacements, owner, longest, plain, by_first })
    }

    fn in_name(&self, name: &str) -> bool {
        // Only the plain form: whoever encodes a value for a field's name loses its case, and with it the value.
        self.plain
            .iter()
            .any(|value| name.as_bytes().windows(value.len()).any(|window| window.eq_ignore_ascii_case(value)))
    }

    /// Gives out the clean form of `text` and returns where the part begins that must wait for more.
    fn rewrite(&self, text: &Bytes, last: bool, out: &mut impl FnMut(Bytes)) -> usize {
        let mut at = 0;
        loop {
            let open = if last { text.len() } else { self.open_tail(text, at) };
            // A match that begins before the open tail is certain; one at or behind its beginning may yet
            // turn out to be a part of a longer or earlier one.
            let Some(found) = self.find_at(text, at).filter(|found| found.start() < open) else {
                emit(text, at, open, out);
                return open;
            };
            emit(text, at, found.start(), out);
            let replacement = &self.replacements[found.pattern().as_usize()];
            if !replacement.is_empty() {
                out(Bytes::copy_from_slice(replacement));
            }
            at = found.end();
        }
    }

    fn find_at(&self, text: &[u8], at: usize) -> Option<Match> {
        self.automaton.find(aho_corasick::Input::new(text).range(at..))
    }

    /// Where the longest tail of `text[from..]` begins that is a proper prefix of a pattern; the end if none is.
    fn open_tail(&self, text: &[u8], from: usize) -> usize {
        let earliest = text.len().saturating_sub(self.longest - 1).max(from);
        (earliest..text.len())
            .find(|&start| {
                let tail = &text[start..];
                self.by_first[usize::from(tail[0])].iter().any(|&number| {
                    let pattern = &self.patterns[number as usize];
                    pattern.len() > tail.len() && pattern.starts_with(tail)
                })
            })
            .unwrap_or(text.len())
    }
}

fn emit(text: &Bytes, from: usize, to: usize, out: &mut impl FnMut(Bytes)) {
    if from < to {
        out(text.slice(from..to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(scrubber: &Scrubber, chunks: &[&[u8]]) -> Vec<u8> {
        let mut stream = scrubber.stream();
        let mut all = Vec::new();
        for chunk in chunks {
            stream.push(Bytes::copy_from_slice(chunk), |b| all.extend_from_slice(&b));
        }
        stream.finish(|b| all.extend_from_slice(&b));
        all
    }

    fn scrubber(pairs: &[(&str, &str)]) -> Scrubber {
        Scrubber::new(pairs.iter().map(|(a, b)| (a.as_bytes(), b.as_bytes())))
    }

    #[test]
    fn a_value_cut_anywhere_is_found() {
        let scrubber = scrubber(&[("sk-real-0123456789", "sk-fake-abcdefghij")]);
        let text = b"before sk-real-0123456789 after";
        for cut in 0..text.len() {
            let (a, b) = text.split_at(cut);
            assert_eq!(run(&scrubber, &[a, b]), b"before sk-fake-abcdefghij after");
        }
    }

    #[test]
    fn only_a_possible_beginning_is_held_back() {
        let scrubber = scrubber(&[("sk-real-0123456789", "sk-fake-abcdefghij")]);
        let mut stream = scrubber.stream();
        let mut all = Vec::new();
        stream.push(Bytes::from_static(b"data: hello\n\n"), |b| all.extend_from_slice(&b));
        assert_eq!(all, b"data: hello\n\n");
        assert!(!stream.holds_back());
        stream.push(Bytes::from_static(b"risk-rea"), |b| all.extend_from_slice(&b));
        assert_eq!(all, b"data: hello\n\nri");
        stream.push(Bytes::from_static(b"x"), |b| all.extend_from_slice(&b));
        assert_eq!(all, b"data: hello\n\nrisk-reax");
    }

    #[test]
    fn every_encoding_is_replaced_by_the_same_encoding() {
        use base64::Engine;
        let engine = base64::engine::general_purpose::STANDARD;
        let (real, fake) = ("sk-real/0123456789+x", "sk-fake/abcdefghij+y");
        let scrubber = scrubber(&[(real, fake)]);
        let text = |v: &str| format!("Basic {} {}", engine.encode(format!("abc{v}")), v.replace('/', "\\/"));
        let got = String::from_utf8(run(&scrubber, &[text(real).as_bytes()])).unwrap();
        assert_eq!(got[6..30], text(fake)[6..30]);
        assert!(got.ends_with(&fake.replace('/', "\\/")));
    }

    #[test]
    fn clean_chunks_are_not_copied() {
        let scrubber = scrubber(&[("sk-real-0123456789", "sk-fake-abcdefghij")]);
        let chunk = Bytes::from(vec![b'.'; 4096]);
        let mut out = Vec::new();
        scrubber.stream().push(chunk.clone(), |b| out.push(b));
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn an_empty_scrubber_passes_everything() {
        let scrubber = Scrubber::new(std::iter::empty());
        assert_eq!(run(&scrubber, &[b"a", b"b"]), b"ab");
        assert!(scrubber.preserves_length());
    }

    proptest! {
        /// Patterns over a tiny alphabet overlap in every way; the whole text at once is the reference.
        #[test]
        fn chunking_changes_nothing(
            secrets in prop::collection::vec("[ab]{3,9}", 1..4),
            text in "[abc]{0,60}",
            cuts in prop::collection::vec(0usize..60, 0..6),
        ) {
            let pairs: Vec<_> = secrets.iter().map(|s| (s.as_str(), "X")).collect();
            let scrubber = scrubber(&pairs);
            let whole = run(&scrubber, &[text.as_bytes()]);
            let mut cuts: Vec<_> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut at = 0;
            for cut in cuts {
                chunks.push(&text.as_bytes()[at..cut]);
                at = cut;
            }
            chunks.push(&text.as_bytes()[at..]);
            prop_assert_eq!(run(&scrubber, &chunks), whole);
        }
    }
}
