//! One reader for each format: every value with its place.

mod lines;
mod tree;
mod words;

use crate::writing::{Writing, basic, from_base64};
use crate::{Entry, Format};
use std::ops::Range;
use zeroize::Zeroizing;

pub(crate) fn entries(format: Format, text: &str) -> Option<Vec<Entry>> {
    match format {
        Format::Dotenv => lines::dotenv(text),
        Format::Ini => Some(lines::ini(text, &['=', ':'])),
        Format::Npmrc => Some(lines::ini(text, &['='])),
        Format::Yaml => lines::yaml(text),
        Format::Json => tree::json(text),
        Format::Toml => tree::toml(text),
        Format::Netrc => Some(words::netrc(text)),
        Format::Urls => Some(words::urls(text)),
        Format::Pgpass => Some(words::pgpass(text)),
        Format::Whole => Some(words::whole(text)),
        Format::Pem | Format::Opaque => None,
    }
}

/// An entry whose text is its value.
fn plain(name: String, text: &str, range: Range<usize>) -> Entry {
    let value = Zeroizing::new(text[range.clone()].as_bytes().to_vec());
    Entry { name, range, value, writing: Writing::Plain, host: None, certain: false }
}

/// Keys that hold `user:password` in base64 (Docker, npm).
const BASIC: &[&str] = &["auth", "_auth"];
/// Keys that hold a password in base64 (npm).
const BASE64: &[&str] = &["_password"];
/// Keys that are credentials in files that hold nothing else of that name.
const CERTAIN: &[&str] = &["identitytoken", "registrytoken", "_authtoken", "client-key-data", "oauth_token"];

/// What the key says of the value: credentials in base64 are found inside it, so that what stands there can still be read by
/// who decodes it.
fn told_by_key(mut entry: Entry, key: &str) -> Entry {
    let key = key.to_ascii_lowercase();
    // npm's keys are for a host: `//registry.example.com/:_authToken`.
    let (place, key) = key.rsplit_once(':').unwrap_or(("", &key));
    if let Some(rest) = place.strip_prefix("//") {
        entry.host = rest.split(['/', ':']).next().map(ToOwned::to_owned);
    }
    let text = String::from_utf8_lossy(&entry.value).into_owned();
    let text = Zeroizing::new(text);
    if let Some((user, password)) = BASIC.contains(&key).then(|| basic(&text)).flatten() {
        (entry.value, entry.writing, entry.certain) = (password, Writing::Basic(user), true);
    } else if let Some(password) = BASE64.contains(&key).then(|| from_base64(&text)).flatten() {
        (entry.value, entry.writing, entry.certain) = (password, Writing::Base64, true);
    } else if BASIC.contains(&key) || BASE64.contains(&key) || CERTAIN.contains(&key) {
        entry.certain = true;
    } else if key == "extraheader" || key.ends_with(".extraheader") {
        return told_by_header(entry, &text);
    }
    entry
}

/// git's `http.extraHeader`: `AUTHORIZATION: basic …`, as CI writes it into a repository's configuration.
fn told_by_header(entry: Entry, text: &str) -> Entry {
    let Some((name, value)) = text.split_once(':') else { return entry };
    if !name.trim().eq_ignore_ascii_case("authorization") || entry.range.len() != text.len() {
        return entry;
    }
    let value = value.trim_start();
    let secret = value.split_once(' ').map_or(value, |(_, secret)| secret).trim();
    let start = entry.range.end - text.len() + text.rfind(secret).unwrap_or_default();
    let (value, writing) = match basic(secret) {
        Some((user, password)) => (password, Writing::Basic(user)),
        None => (Zeroizing::new(secret.as_bytes().to_vec()), Writing::Plain),
    };
    Entry { range: start..start + secret.len(), value, writing, certain: true, ..entry }
}
