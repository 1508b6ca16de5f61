//! Adds a trusted certificate to a Java keystore (JKS), the format of Debian's `/etc/ssl/certs/java/cacerts`.
//!
//! The format is the one of OpenJDK's `sun.security.provider.JavaKeyStore`: a magic number, a version, a count,
//! entries, and a SHA-1 over the password, the words "Mighty Aphrodite" and all that precedes.

use aws_lc_rs::digest;
use std::ops::Range;

const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const VERSION: [u8; 4] = 2u32.to_be_bytes();
/// Where the number of entries stands.
const COUNT: Range<usize> = 8..12;
const DIGEST: usize = 20;
/// A trusted certificate, as opposed to a private key (1).
const TRUSTED: u32 = 2;
/// The password of every system trust store since Java 1.2. It guards integrity, not secrecy.
const PASSWORD: &str = "changeit";

/// The keystore with one more certificate, or a new one if `keystore` is none of version 2. It is changed where it is: a copy
/// of 150 certificates would be a hundredth of a start.
pub(crate) fn with_trusted(keystore: Vec<u8>, alias: &str, certificate: &[u8], now_ms: u64) -> Vec<u8> {
    let (count, mut out) = match count(&keystore) {
        Some(count) => (count, keystore),
        None => (0, [&MAGIC[..], &VERSION, &[0; 4 + DIGEST]].concat()),
    };
    out.truncate(out.len() - DIGEST);
    out[COUNT].copy_from_slice(&(count + 1).to_be_bytes());
    out.extend_from_slice(&TRUSTED.to_be_bytes());
    put_text(&mut out, alias);
    out.extend_from_slice(&now_ms.to_be_bytes());
    put_text(&mut out, "X.509");
    out.extend_from_slice(&u32::try_from(certificate.len()).expect("a certificate is small").to_be_bytes());
    out.extend_from_slice(certificate);
    let sum = checksum(&out);
    out.extend_from_slice(sum.as_ref());
    out
}

/// How many entries it has, if it is one.
fn count(keystore: &[u8]) -> Option<u32> {
    let whole = keystore.len() >= COUNT.end + DIGEST;
    let count = keystore.strip_prefix(&MAGIC)?.strip_prefix(&VERSION)?.first_chunk()?;
    whole.then_some(u32::from_be_bytes(*count))
}

/// Java's modified UTF-8, which is ASCII for ASCII.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&u16::try_from(text.len()).expect("our texts are short").to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn checksum(content: &[u8]) -> digest::Digest {
    let mut sum = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    for unit in PASSWORD.encode_utf16() {
        sum.update(&unit.to_be_bytes());
    }
    sum.update(b"Mighty Aphrodite");
    sum.update(content);
    sum.finish()
}
