//! A SOCKS5 client's messages: whatever comes, a message that is whole stays the same with more bytes behind it, one that is
//! refused stays refused, and none takes more than the stated length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_wire::socks::{self, MAX_MESSAGE, Parsed};

fn steady<T: PartialEq + std::fmt::Debug>(parse: impl Fn(&[u8]) -> Parsed<T>, data: &[u8]) {
    let mut known = None;
    for length in 0..=data.len().min(MAX_MESSAGE + 8) {
        let parsed = parse(&data[..length]);
        match &known {
            Some(before) => assert_eq!(&parsed, before),
            None if matches!(parsed, Ok(None)) => assert!(length < MAX_MESSAGE, "still undecided"),
            None => known = Some(parsed),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    steady(socks::greeting, data);
    steady(socks::password, data);
    steady(socks::request, data);
});
