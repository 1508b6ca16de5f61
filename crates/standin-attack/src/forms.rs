//! The forms in which careless services repeat a secret.

use base64::Engine;

/// As it is, in Base64 without its end, in hexadecimal, percent-encoded.
pub(crate) fn of(secret: &str) -> [String; 4] {
    let each = |prefix: &str| {
        let digits = secret
            .bytes()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)]));
        digits.enumerate().fold(String::new(), |mut text, (n, digit)| {
            if n % 2 == 0 {
                text.push_str(prefix);
            }
            text.push(digit);
            text
        })
    };
    let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
    [secret.to_owned(), base64, each("").to_ascii_lowercase(), each("%")]
}
