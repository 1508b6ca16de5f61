//! The forms in which careless services repeat a secret.

use base64::Engine;

/// As it is, in Base64 without its end, in hexadecimal, percent-encoded.
pub(crate) fn of(secret: &str) -> [String; 4] {
    let each = |prefix: &str| secret.bytes().fold(String::new(), |text, byte| text + prefix + &format!("{byte:02X}"));
    let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
    [secret.to_owned(), base64, each("").to_ascii_lowercase(), each("%")]
}
