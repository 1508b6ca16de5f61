use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::HashSet;

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

proptest! {
    /// A short text is searched by beginnings, a long one by automata.
    #[test]
    fn a_short_text_is_searched_as_a_long_one(
        secrets in prop::collection::vec("[ab]{1,6}", 1..5),
        text in "[abc]{0,40}",
    ) {
        let pairs: Vec<_> = secrets.iter().map(|s| (s.as_str(), "X")).collect();
        let scrubber = scrubber(&pairs);
        let table = scrubber.0.as_ref().unwrap();
        let place = |found: Found| (found.start, found.end, found.pattern);
        prop_assert_eq!(table.find(text.as_bytes()).map(place), table.automata.find(text.as_bytes()).map(place));
    }
}

proptest! {
    /// What may be a value's beginning is told by the last two bytes first.
    #[test]
    fn the_open_tail_is_the_longest_beginning(
        secrets in prop::collection::vec("[ab]{1,6}", 1..5),
        text in "[abc]{0,40}",
    ) {
        let pairs: Vec<_> = secrets.iter().map(|s| (s.as_str(), "X")).collect();
        let scrubber = scrubber(&pairs);
        let table = scrubber.0.as_ref().unwrap();
        let begins = |tail: &[u8]| table.patterns.iter().any(|pattern| pattern.len() > tail.len() && pattern.starts_with(tail));
        let longest = (0..=text.len()).find(|at| begins(&text.as_bytes()[*at..]));
        prop_assert_eq!(table.open_tail(text.as_bytes(), 0), longest.unwrap());
    }
}

/// What leftmost-longest means, in so many words: where values stand in `text`, and which.
fn matches(table: &Table, text: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let here = (0..table.patterns.len()).filter(|number| text[at..].starts_with(&table.patterns[*number]));
        match here.max_by_key(|number| table.patterns[*number].len()) {
            Some(number) => {
                found.push((at, number));
                at += table.patterns[number].len();
            }
            None => at += 1,
        }
    }
    found
}

fn may_show(pattern: &[u8], replacement: &[u8]) -> usize {
    let mut shared = 0;
    while shared < pattern.len() && pattern[shared] == replacement[shared] {
        shared += 1;
    }
    shared + 7.min((pattern.len() - shared) / 4)
}

/// The output is the input with every value replaced, but for so much of a value's beginning as may show.
fn assert_little_shows(table: &Table, text: &[u8], out: &[u8]) {
    let mut expected = text.to_vec();
    for (at, number) in matches(table, text) {
        let (pattern, replacement) = (&table.patterns[number], &table.replacements[number]);
        let shown = out[at..].iter().zip(pattern).take_while(|(a, b)| a == b).count();
        let shown = shown.min(may_show(pattern, replacement));
        expected[at + shown..at + pattern.len()].copy_from_slice(&replacement[shown..]);
    }
    assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

/// A tail that was not let go is justified: more of some value than may show stands there, or a whole one.
fn assert_waits_with_reason(table: &Table, text: &[u8], out: usize) {
    let holds_value = |part: &[u8]| (0..part.len()).any(|at| table.patterns.iter().any(|p| part[at..].starts_with(p)));
    let justified = (0..text.len()).any(|start| {
        let part = &text[start..];
        table.patterns.iter().zip(&table.replacements).any(|(pattern, replacement)| {
            let may_be = part.len() < pattern.len() && pattern.starts_with(part);
            may_be && (part.len() > may_show(pattern, replacement) || holds_value(part))
        })
    });
    assert!(out == text.len() || justified, "{} waits for nothing", text[out..].escape_ascii());
}

/// Feeds the pieces, flushing after those that say so, and checks what may be seen and what may wait.
fn check_flushes(scrubber: &Scrubber, pieces: &[(&[u8], bool)]) {
    let table = scrubber.0.as_ref().unwrap();
    let mut stream = scrubber.stream();
    let (mut text, mut out) = (Vec::new(), Vec::new());
    for (piece, flushed) in pieces {
        text.extend_from_slice(piece);
        stream.push(Bytes::copy_from_slice(piece), |b| out.extend_from_slice(&b));
        if *flushed {
            stream.flush(|b| out.extend_from_slice(&b));
            assert_waits_with_reason(table, &text, out.len());
            assert_eq!(stream.holds_back(), out.len() < text.len());
        }
    }
    stream.finish(|b| out.extend_from_slice(&b));
    assert_little_shows(table, &text, &out);
}

#[test]
fn a_value_in_flushed_pieces_shows_little() {
    let (real, fake) = ("sk-real0123456789abcdefghijklmnopqrstuvwxyz", "sk-FAKEZYXWVUTSRQPONMLKJIHGFEDCBA_987654321");
    let scrubber = scrubber(&[(real, fake)]);
    for size in 1..=real.len() {
        let pieces: Vec<_> = real.as_bytes().chunks(size).map(|piece| (piece, true)).collect();
        check_flushes(&scrubber, &pieces);
        let mut stream = scrubber.stream();
        let mut out = Vec::new();
        for (piece, _) in pieces {
            stream.push(Bytes::copy_from_slice(piece), |b| out.extend_from_slice(&b));
            stream.flush(|b| out.extend_from_slice(&b));
        }
        let shown = if size > 10 { 3 } else { 10 / size * size };
        assert_eq!(String::from_utf8(out).unwrap(), format!("{}{}", &real[..shown], &fake[shown..]), "by {size}");
    }
}

#[test]
fn a_short_value_shows_less() {
    for (real, fake, shown) in [("hunter2", "XXXXXXX", 1), ("abc", "XYZ", 0), ("correct-horse", "XXXXXXXXXXXXX", 3)] {
        let scrubber = scrubber(&[(real, fake)]);
        let mut stream = scrubber.stream();
        let mut out = Vec::new();
        for byte in real.bytes() {
            stream.push(Bytes::copy_from_slice(&[byte]), |b| out.extend_from_slice(&b));
            stream.flush(|b| out.extend_from_slice(&b));
        }
        assert_eq!(String::from_utf8(out).unwrap(), format!("{}{}", &real[..shown], &fake[shown..]));
    }
}

proptest! {
    /// Patterns over a tiny alphabet, with stand-ins that share some of their beginning, cut and flushed anywhere.
    #[test]
    fn flushing_shows_little_and_holds_up_nothing(
        secrets in prop::collection::vec(("[ab]{1,60}", 0usize..5), 1..12),
        text in prop::collection::vec(prop_oneof![Just(None), (0usize..12, 1usize..61).prop_map(Some)], 0..12),
        filler in "[abc]{12}",
        cuts in prop::collection::vec((0usize..200, any::<bool>()), 0..20),
    ) {
        let pairs: Vec<_> = secrets
            .iter()
            .map(|(secret, shared)| {
                let shared = (*shared).min(secret.len());
                (secret.clone(), format!("{}{}", &secret[..shared], "X".repeat(secret.len() - shared)))
            })
            .collect();
        let scrubber = Scrubber::new(pairs.iter().map(|(a, b)| (a.as_bytes(), b.as_bytes())));
        // Beginnings of secrets, whole ones among them, between other characters.
        let mut whole = String::new();
        for (number, part) in text.iter().enumerate() {
            match part {
                Some((secret, length)) => {
                    let secret = &secrets[secret % secrets.len()].0;
                    whole.push_str(&secret[..(*length).min(secret.len())]);
                }
                None => whole.push_str(&filler[number..=number]),
            }
        }
        let mut cuts: Vec<_> = cuts.into_iter().map(|(cut, flushed)| (cut.min(whole.len()), flushed)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut at = 0;
        for (cut, flushed) in cuts {
            pieces.push((&whole.as_bytes()[at..cut], flushed));
            at = cut;
        }
        pieces.push((&whole.as_bytes()[at..], true));
        check_flushes(&scrubber, &pieces);
    }
}

/// The numbers of the values that a stream in these pieces is found to hold, after each piece.
fn looked(tripwire: &Tripwire, pieces: &[&[u8]]) -> Vec<HashSet<usize>> {
    let mut seam = Seam::default();
    let mut found = HashSet::new();
    pieces
        .iter()
        .map(|piece| {
            let noted = tripwire.look(&mut seam, piece, |number| {
                found.insert(number);
                Ok::<_, std::convert::Infallible>(())
            });
            noted.unwrap();
            found.clone()
        })
        .collect()
}

#[test]
fn a_value_is_found_when_its_last_byte_comes() {
    use base64::Engine;
    let value = "sk-fake/0123456789+x";
    let tripwire = Tripwire::new([value.as_bytes()].into_iter());
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("xy{value}"));
    let reversed: String = value.chars().rev().collect();
    for (text, end) in [(value.to_owned(), value.len()), (reversed, value.len()), (encoded, 29)] {
        for cut in 0..=text.len() {
            let (a, b) = text.as_bytes().split_at(cut);
            let found: Vec<_> = looked(&tripwire, &[a, b]).iter().map(|found| !found.is_empty()).collect();
            assert_eq!(found, [cut >= end, true], "{text} cut at {cut}");
        }
        let bytes: Vec<_> = text.as_bytes().chunks(1).collect();
        let first = looked(&tripwire, &bytes).iter().position(|found| !found.is_empty());
        assert_eq!(first, Some(end - 1), "{text}");
    }
}

#[test]
fn little_is_remembered() {
    let tripwire = Tripwire::new([b"sk-fake-0123456789".as_slice()].into_iter());
    let mut seam = Seam::default();
    for (piece, kept) in [(vec![b'.'; 100_000], 0), (b"..sk-fa".to_vec(), 5), (b"ke".to_vec(), 7), (b"!".to_vec(), 0)] {
        tripwire.look(&mut seam, &piece, |_| Err(())).unwrap();
        assert_eq!(seam.0.len(), kept);
    }
}

proptest! {
    /// Whatever pieces a text comes in, the values found are those that stand in the whole of it, and none is found before
    /// its end has come.
    #[test]
    fn pieces_hide_no_value(
        values in prop::collection::vec("[ab]{3,9}", 1..4),
        text in "[abc]{0,60}",
        cuts in prop::collection::vec(0usize..60, 0..6),
    ) {
        let tripwire = Tripwire::new(values.iter().map(String::as_bytes));
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.sort_unstable();
        cuts.push(text.len());
        let mut at = 0;
        let pieces: Vec<_> = cuts.iter().map(|cut| &text.as_bytes()[std::mem::replace(&mut at, *cut)..*cut]).collect();
        let reversed: Vec<String> = values.iter().map(|value| value.chars().rev().collect()).collect();
        for (found, end) in looked(&tripwire, &pieces).iter().zip(&cuts) {
            let so_far = &text[..*end];
            let stands = |number: usize| {
                // Only as long as eight characters is a value looked for backwards.
                so_far.contains(&values[number]) || (values[number].len() >= 8 && so_far.contains(&reversed[number]))
            };
            prop_assert!(found.iter().all(|number| stands(*number)), "{found:?}");
            // Of values that overlap one is enough.
            prop_assert_eq!(found.is_empty(), !(0..values.len()).any(stands));
        }
    }
}
