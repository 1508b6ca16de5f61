//! Formats of secret files: what the crate's own tests ask of some texts is asked of all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_secretfiles::{Format, Found, MIN_REPEATED, entries, find, rewrite};

#[path = "../../crates/standin-secretfiles/src/tests/invariants.rs"]
mod invariants;

fuzz_target!(|data: &[u8]| {
    let Some((which, text)) = data.split_first() else { return };
    invariants::hold(invariants::FORMATS[usize::from(*which) % invariants::FORMATS.len()], text);
});
