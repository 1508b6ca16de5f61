//! What patterns begin with. Most places of a text are no pattern's beginning, and two bytes tell.
//!
//! For short texts and the ends of chunks this is far quicker than an automaton, whose vector scan stops wherever one byte
//! fits.

/// A set of pairs of bytes: one bit for each.
struct Pairs(Box<[u64; 1024]>);

/// The beginnings of patterns.
pub(super) struct Beginnings {
    /// Pairs that a pattern may begin with.
    pairs: Pairs,
    /// Pairs in a pattern, before its last byte: a text that ends with none of them ends with no more of a pattern than one byte.
    inner: Pairs,
    /// The length of the longest pattern with this first byte.
    reach: [usize; 256],
    /// Patterns by their first byte.
    by_first: Vec<Vec<u32>>,
    /// The length of the shortest pattern.
    shortest: usize,
}

impl Beginnings {
    /// Of these patterns, none of which is empty.
    pub(super) fn of(patterns: &[Vec<u8>]) -> Self {
        let shortest = patterns.iter().map(Vec::len).min().unwrap_or_default();
        let (pairs, inner) = (Pairs::none(), Pairs::none());
        let mut all = Self { pairs, inner, reach: [0; 256], by_first: vec![Vec::new(); 256], shortest };
        for (number, pattern) in (0u32..).zip(patterns) {
            let first = usize::from(pattern[0]);
            all.by_first[first].push(number);
            all.reach[first] = all.reach[first].max(pattern.len());
            let seconds = pattern.get(1).map_or(0..=u8::MAX, |second| *second..=*second);
            for second in seconds {
                all.pairs.add([pattern[0], second]);
            }
            for pair in pattern[..pattern.len() - 1].windows(2) {
                all.inner.add([pair[0], pair[1]]);
            }
        }
        all
    }

    /// Where in a text a whole pattern may begin, and with what; nowhere else does one.
    pub(super) fn whole<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, &'a [u32])> + 'a {
        let places = (text.len() + 1).saturating_sub(self.shortest);
        let last = text.last().filter(|_| places == text.len()).map(|last| (text.len() - 1, *last)); // of one byte
        let marked = text
            .windows(2)
            .take(places)
            .enumerate()
            .filter_map(|(at, pair)| self.pairs.have([pair[0], pair[1]]).then_some((at, pair[0])));
        marked.chain(last).map(|(at, first)| (at, self.with(first)))
    }

    /// Where in a text a pattern may begin that goes on behind its end, and with what; nowhere else does one. Most texts end
    /// with what no pattern goes on behind, and their last two bytes tell.
    pub(super) fn open<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, &'a [u32])> + 'a {
        let from = match text {
            [.., a, b] if self.inner.have([*a, *b]) => 0,
            _ => text.len().saturating_sub(1),
        };
        let places = text[from..].iter().enumerate().map(move |(at, first)| (from + at, *first));
        let far = places.filter(|(at, first)| self.reach[usize::from(*first)] > text.len() - at);
        far.map(|(at, first)| (at, self.with(first)))
    }

    /// The patterns with this first byte.
    fn with(&self, first: u8) -> &[u32] {
        &self.by_first[usize::from(first)]
    }
}

impl Pairs {
    fn none() -> Self {
        Self(Box::new([0; 1024]))
    }

    fn add(&mut self, pair: [u8; 2]) {
        let (word, bit) = Self::place(pair);
        self.0[word] |= bit;
    }

    fn have(&self, pair: [u8; 2]) -> bool {
        let (word, bit) = Self::place(pair);
        self.0[word] & bit != 0
    }

    fn place(pair: [u8; 2]) -> (usize, u64) {
        let number = u16::from_be_bytes(pair);
        (usize::from(number / 64), 1 << (number % 64))
    }
}
