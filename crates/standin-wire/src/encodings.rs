//! The encodings in which a value is looked for.
//!
//! A stand-in and its secret are put through the same encoder, so a replacement reads like the original, and
//! has its length whenever the two values have.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shortest encoded form that is looked for, in bytes: shorter ones would match by chance.
const MIN_ENCODED: usize = 8;

/// Every form of `value`, in a fixed order. Forms of a value too short for the encoding are empty.
///
/// Encoders that escape only some characters are followed in their choice; one that escapes characters at random, or
/// only some letters, is not.
pub(crate) fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec()];
    for offset in 0..3 {
        forms.push(base64_core(&STANDARD_NO_PAD, value, offset));
        forms.push(base64_core(&URL_SAFE_NO_PAD, value, offset));
    }
    for digits in [LOWER, UPPER] {
        forms.push(hex(value, digits));
        forms.push(escaped(value, |b| !b.is_ascii_alphanumeric(), |b| percent(b, digits)));
        // As form encoders write it: unreserved characters stay (RFC 3986 §2.3).
        forms.push(escaped(value, |b| !is_unreserved(b), |b| percent(b, digits)));
        forms.push(escaped(value, |_| true, |b| percent(b, digits)));
        // As paths are written (RFC 3986 §3.3), by us and by browsers; and as forms are (WHATWG URL §5.2).
        forms.push(escaped(value, |b| !is_pchar(b) || b == b';', |b| percent(b, digits)));
        forms.push(escaped(value, |b| !is_pchar(b), |b| percent(b, digits)));
        let plus = |b| if b == b' ' { vec![b'+'] } else { percent(b, digits) };
        forms.push(escaped(value, |b| !b.is_ascii_alphanumeric() && !b"*-._".contains(&b), plus));
        forms.push(escaped(value, |_| true, |b| json_code(b, digits)));
        // As JSON for the inside of a page is written: what HTML would take for its own is a code.
        forms.push(escaped(value, |b| b"&<>'\"+`/".contains(&b), |b| json_code(b, digits)));
        forms.push(escaped(value, |b| b"&<>'\"+`".contains(&b), |b| json_code(b, digits)));
        forms.push(escaped(value, |b| b"&<>".contains(&b), |b| json_code(b, digits)));
    }
    // As careful JSON encoders write it (RFC 8259 §7), and as the others do.
    forms.push(escaped(value, |b| b"/\"\\".contains(&b), |b| vec![b'\\', b]));
    forms.push(escaped(value, |b| b < 0x20 || b"\"\\".contains(&b), json_short));
    for table in HTML {
        let replaced = |b| table.iter().find(|(from, _)| *from == b).map(|(_, to)| to.as_bytes().to_vec());
        forms.push(escaped(value, |b| replaced(b).is_some(), |b| replaced(b).unwrap_or_default()));
    }
    forms.push(value.iter().rev().copied().collect());
    for form in &mut forms[1..] {
        if form.len() < MIN_ENCODED {
            form.clear();
        }
    }
    forms
}

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// How the usual escapers write what HTML would take for its own.
const HTML: &[&[(u8, &str)]] = &[
    // PHP, Java, Ruby (ERB)
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;"), (b'"', "&quot;"), (b'\'', "&#39;")],
    // Python
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;"), (b'"', "&quot;"), (b'\'', "&#x27;")],
    // Go
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;"), (b'"', "&#34;"), (b'\'', "&#39;"), (b'+', "&#43;")],
    // OWASP
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;"), (b'"', "&quot;"), (b'\'', "&#x27;"), (b'/', "&#x2F;")],
    // Mustache, Handlebars
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&quot;"),
        (b'\'', "&#39;"),
        (b'/', "&#x2F;"),
        (b'`', "&#x60;"),
        (b'=', "&#x3D;"),
    ],
    // text alone
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;")],
];

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

fn escaped(value: &[u8], is: impl Fn(u8) -> bool, code: impl Fn(u8) -> Vec<u8>) -> Vec<u8> {
    value.iter().flat_map(|b| if is(*b) { code(*b) } else { vec![*b] }).collect()
}

fn percent(b: u8, digits: &[u8; 16]) -> Vec<u8> {
    vec![b'%', digits[usize::from(b >> 4)], digits[usize::from(b & 15)]]
}

fn json_code(b: u8, digits: &[u8; 16]) -> Vec<u8> {
    vec![b'\\', b'u', b'0', b'0', digits[usize::from(b >> 4)], digits[usize::from(b & 15)]]
}

fn json_short(b: u8) -> Vec<u8> {
    match b {
        b'"' | b'\\' => vec![b'\\', b],
        b'\n' => b"\\n".to_vec(),
        b'\r' => b"\\r".to_vec(),
        b'\t' => b"\\t".to_vec(),
        0x08 => b"\\b".to_vec(),
        0x0c => b"\\f".to_vec(),
        _ => json_code(b, LOWER),
    }
}

fn is_pchar(b: u8) -> bool {
    is_unreserved(b) || b"!$&'()*+,;=:@".contains(&b)
}

fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~".contains(&b)
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

    #[test]
    fn escapers_are_followed() {
        let forms: Vec<_> = forms(b"a-b+c/d=e&f'g\"h").into_iter().map(|f| String::from_utf8(f).unwrap()).collect();
        for expected in [
            r#"a-b+c/d=e&f'g"h"#,
            "a%2Db%2Bc%2Fd%3De%26f%27g%22h",
            "a%2db%2bc%2fd%3de%26f%27g%22h",
            "a-b%2Bc%2Fd%3De%26f%27g%22h",
            "%61%2d%62%2b%63%2f%64%3d%65%26%66%27%67%22%68",
            r"\u0061\u002D\u0062\u002B\u0063\u002F\u0064\u003D\u0065\u0026\u0066\u0027\u0067\u0022\u0068",
            r"\u0061\u002d\u0062\u002b\u0063\u002f\u0064\u003d\u0065\u0026\u0066\u0027\u0067\u0022\u0068",
            r"a-b\u002Bc/d=e\u0026f\u0027g\u0022h",
            r#"a-b+c/d=e\u0026f'g"h"#,
            r#"a-b+c\/d=e&f'g\"h"#,
            r#"a-b+c/d=e&f'g\"h"#,
            "a-b+c%2Fd=e&f'g%22h",
            "a-b+c/d=e&amp;f&#x27;g&quot;h",
            "a-b&#43;c/d=e&amp;f&#39;g&#34;h",
            "a-b+c&#x2F;d=e&amp;f&#x27;g&quot;h",
            "a-b+c&#x2F;d&#x3D;e&amp;f&#39;g&quot;h",
        ] {
            assert!(forms.iter().any(|form| form == expected), "{expected} in {forms:#?}");
        }
    }
}
