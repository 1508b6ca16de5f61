//! The encodings in which a value is looked for.
//!
//! A stand-in and its secret are put through the same encoder, so a replacement reads like the original, and
//! has its length whenever the two values have.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shortest encoded form that is looked for, in bytes: shorter ones would match by chance.
const MIN_ENCODED: usize = 8;

/// Every form of `value`, in a fixed order. Forms of a value too short for the encoding are empty.
pub(crate) fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec()];
    for offset in 0..3 {
        forms.push(base64_core(&STANDARD_NO_PAD, value, offset));
        forms.push(base64_core(&URL_SAFE_NO_PAD, value, offset));
    }
    forms.push(hex(value, b"0123456789abcdef"));
    forms.push(hex(value, b"0123456789ABCDEF"));
    forms.push(percent_encoding::percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string().into_bytes());
    forms.push(percent_reserved(value));
    forms.push(json_escaped(value));
    forms.push(value.iter().rev().copied().collect());
    for form in &mut forms[1..] {
        if form.len() < MIN_ENCODED {
            form.clear();
        }
    }
    forms
}

/// The characters of a base64 text that depend on `value` alone when it begins `offset` bytes into a group of three.
///
/// At either end up to four bits of the value share a character with their neighbours and stay.
fn base64_core(engine: &impl Engine, value: &[u8], offset: usize) -> Vec<u8> {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(value);
    let text = engine.encode(&padded).into_bytes();
    let first = (offset * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    text.get(first..last).unwrap_or_default().to_vec()
}

fn hex(value: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    value.iter().flat_map(|b| [digits[usize::from(b >> 4)], digits[usize::from(b & 15)]]).collect()
}

/// As form encoders write it: unreserved characters stay (RFC 3986 §2.3).
fn percent_reserved(value: &[u8]) -> Vec<u8> {
    const KEPT: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::percent_encode(value, &KEPT).to_string().into_bytes()
}

/// As careful JSON encoders write it (RFC 8259 §7): `/`, quotes and backslashes escaped.
fn json_escaped(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for b in value {
        if matches!(b, b'/' | b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*b);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_is_found_at_every_offset() {
        let value = b"sk-test-0123456789";
        for prefix in ["", "x", "xy", "xyz", "user:"] {
            let text = STANDARD_NO_PAD.encode([prefix.as_bytes(), value, b"tail"].concat());
            let found = forms(value)
                .iter()
                .skip(1)
                .any(|form| !form.is_empty() && text.as_bytes().windows(form.len()).any(|w| w == form.as_slice()));
            assert!(found, "prefix {prefix:?}");
        }
    }

    #[test]
    fn forms_of_equal_values_are_equally_long() {
        let (a, b) = (forms(b"abcdefghijklmnop"), forms(b"ABCDEFGHIJKLMN01"));
        assert_eq!(a.iter().map(Vec::len).collect::<Vec<_>>(), b.iter().map(Vec::len).collect::<Vec<_>>());
    }
}
