//! The rewriter: for every chunking the same bytes come out as from the whole text at once.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use standin_wire::scrub::Scrubber;
use std::sync::LazyLock;

/// Values that overlap each other and themselves, over few letters, so that the fuzzer meets them.
const PAIRS: &[(&[u8], &[u8])] = &[(b"abab/cab", b"ABAB/CAB"), (b"babab", b"BABAB"), (b"cccccccc", b"C")];

static SCRUBBER: LazyLock<Scrubber> = LazyLock::new(|| Scrubber::new(PAIRS.iter().copied()));

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (text, cuts) = input;
    let whole = SCRUBBER.scrub_header(&text).unwrap_or_else(|| text.clone());
    let (mut stream, mut out, mut rest) = (SCRUBBER.stream(), Vec::new(), text.as_slice());
    for cut in cuts {
        let (chunk, after) = rest.split_at(usize::from(cut).min(rest.len()));
        stream.push(Bytes::copy_from_slice(chunk), |clean| out.extend_from_slice(&clean));
        rest = after;
    }
    stream.push(Bytes::copy_from_slice(rest), |clean| out.extend_from_slice(&clean));
    stream.finish(|clean| out.extend_from_slice(&clean));
    assert_eq!(out, whole);
});
