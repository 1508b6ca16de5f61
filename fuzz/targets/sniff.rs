//! The first bytes of a connection: a verdict never changes with more bytes, and sixteen are enough.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_wire::sniff::{Sniff, classify};

fuzz_target!(|data: &[u8]| {
    let mut known = None;
    for length in 0..=data.len().min(64) {
        let verdict = classify(&data[..length]);
        match known {
            Some(before) => assert_eq!(verdict, before),
            None if verdict == Sniff::NeedMore => assert!(length < 16, "still undecided"),
            None => known = Some(verdict),
        }
    }
});
