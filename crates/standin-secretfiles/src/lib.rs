//! Which files hold secrets, by their names, and where in them, by their formats.
//!
//! Bytes in, places out: nothing here reads a file, and secrets are borrowed ranges of what was handed in (a value that the
//! format escapes is decoded into memory that is overwritten). [`format_of`] tells a secret file by its path, [`find`] tells
//! its secrets, [`rewrite`] puts something else in their places and keeps every other byte; [`shape`] judges one value by its
//! name and looks. What a format does not explain is [`Found::NotUnderstood`], so that the file is hidden and not shown.

mod names;
mod scan;
pub mod shape;
mod url;
mod writing;

pub use names::{format_for_selector, format_of, is_passed_over, may_hold_secrets};
pub use url::Part;
pub use writing::Writing;

use memchr::memmem;
use std::collections::HashSet;
use std::ops::Range;
use zeroize::Zeroizing;

/// Longest file that is looked into. Credentials are small; what is larger is hidden.
pub const MAX_FILE_BYTES: usize = 256 * 1024;
/// Most secrets of one file. A file with more is hidden.
pub const MAX_SECRETS: usize = 256;
/// A mark of how a value is written, not a part of it.
const SCHEME: &[u8] = b"base64:";
/// From this length on a secret is looked for in the rest of its file, too; shorter ones are in other words.
pub const MIN_REPEATED: usize = 8;

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `NAME=value` lines, as shells and dotenv libraries read them.
    Dotenv,
    /// Sections and `key = value` lines, which git, AWS, Python and others write.
    Ini,
    /// npm's: keys with colons in them.
    Npmrc,
    /// TOML.
    Toml,
    /// `machine … login … password …`
    Netrc,
    /// JSON, comments allowed.
    Json,
    /// YAML, as far as it is written in lines: kubeconfig and the like.
    Yaml,
    /// A URL a line: git's store of credentials.
    Urls,
    /// PostgreSQL's: the password is what follows the last colon.
    Pgpass,
    /// Hidden if it holds a private key; else it is no secret file.
    Pem,
    /// The whole file is one secret.
    Whole,
    /// Always hidden.
    Opaque,
}

/// A value in a file.
pub struct Entry {
    /// What selects it: the variable, `section.key`, a JSON pointer, `host`.
    pub name: String,
    /// Where it stands, without quotes.
    pub range: Range<usize>,
    /// The value, decoded.
    pub value: Zeroizing<Vec<u8>>,
    /// How a value is written there.
    pub writing: Writing,
    /// The host it is for, where the file says so.
    pub host: Option<String>,
    /// Whether the format itself says that this is a credential.
    pub certain: bool,
}

/// What a file holds.
pub enum Found {
    /// No secret: it can be shown as it is.
    Nothing,
    /// These, in the order in which they stand, none over another.
    Secrets(Vec<Entry>),
    /// It cannot be told, so the file is to be hidden.
    NotUnderstood,
}

/// The secrets of a file.
pub fn find(format: Format, text: &[u8]) -> Found {
    match format {
        Format::Opaque => return Found::NotUnderstood,
        Format::Pem => return if holds_private_key(text) { Found::NotUnderstood } else { Found::Nothing },
        _ => {}
    }
    let Some(entries) = entries(format, text) else {
        return if text.trim_ascii().is_empty() { Found::Nothing } else { Found::NotUnderstood };
    };
    let mut secrets: Vec<Entry> = entries.into_iter().flat_map(|entry| judged(entry, text)).collect();
    sweep(text, &mut secrets);
    // Before each of them is looked for in the whole file.
    if secrets.len() > MAX_SECRETS {
        return Found::NotUnderstood;
    }
    repeated(text, &mut secrets);
    secrets.sort_by_key(|secret| secret.range.start);
    let apart = secrets.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start);
    if !apart || secrets.len() > MAX_SECRETS || hides_more(text, &secrets) {
        return Found::NotUnderstood;
    }
    if secrets.is_empty() { Found::Nothing } else { Found::Secrets(secrets) }
}

/// Every value of a file, secret or not; nothing if the file is not of this format.
pub fn entries(format: Format, text: &[u8]) -> Option<Vec<Entry>> {
    if text.len() > MAX_FILE_BYTES || text.contains(&0) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    scan::entries(format, text)
}

/// The one value that `selector` names, and of a URL the one credential in it. Nothing if there is none; where there are
/// several, the last, as programs that read such files have it.
pub fn select(format: Format, text: &[u8], selector: &str) -> Option<Zeroizing<Vec<u8>>> {
    let found = entries(format, text)?.into_iter().rfind(|entry| entry.name == selector)?;
    let whole = found.value.clone();
    let mut parts = judged(found, text).into_iter();
    match (parts.next(), parts.next()) {
        (Some(only), None) => Some(only.value),
        _ => Some(whole),
    }
}

/// The file with something else in the place of each secret, and every other byte as it was.
pub fn rewrite(text: &[u8], secrets: &[Entry], mut instead: impl FnMut(&Entry) -> String) -> Vec<u8> {
    let mut written = Vec::with_capacity(text.len());
    let mut at = 0;
    for secret in secrets {
        written.extend_from_slice(&text[at..secret.range.start]);
        written.extend_from_slice(secret.writing.write(&instead(secret)).as_bytes());
        at = secret.range.end;
    }
    written.extend_from_slice(&text[at..]);
    written
}

/// Whether a text holds a private key in PEM (RFC 7468 and its relatives).
pub fn holds_private_key(text: &[u8]) -> bool {
    memmem::find(text, b"PRIVATE KEY-----").is_some() || text.starts_with(b"PuTTY-User-Key-File-")
}

/// The secret parts of an entry: the whole of it, or what is secret in a URL.
fn judged(mut entry: Entry, text: &[u8]) -> Vec<Entry> {
    // What Laravel and others write before a key says how it is written, and is kept.
    if text[entry.range.clone()].starts_with(SCHEME) && entry.value.starts_with(SCHEME) {
        entry.range.start += SCHEME.len();
        entry.value.drain(..SCHEME.len());
    }
    let Ok(value) = std::str::from_utf8(&entry.value) else { return vec![entry] };
    let raw = &text[entry.range.clone()];
    if entry.certain {
        return if shape::is_reference(value) || value.is_empty() { vec![] } else { vec![entry] };
    }
    match shape::judge(shape::last_part(&entry.name), value) {
        shape::Verdict::Plain => vec![],
        shape::Verdict::Secret => vec![entry],
        // Where the value is escaped, its parts have no places of their own.
        shape::Verdict::Parts(_) if raw != value.as_bytes() => vec![entry],
        shape::Verdict::Parts(parts) => parts
            .into_iter()
            .map(|part| Entry {
                name: entry.name.clone(),
                range: entry.range.start + part.range.start..entry.range.start + part.range.end,
                value: writing::percent_decoded(&value[part.range]),
                writing: Writing::Percent,
                host: part.host,
                certain: false,
            })
            .collect(),
    }
}

/// Credentials that show by their vendor's mark, wherever they stand: in comments, in keys. With too many there is no need to go
/// on.
fn sweep(text: &[u8], secrets: &mut Vec<Entry>) {
    let mut at = 0;
    for word in text.split(|byte| !shape::in_token(*byte)) {
        if secrets.len() > MAX_SECRETS {
            return;
        }
        let range = at..at + word.len();
        at = range.end + 1;
        let marked = std::str::from_utf8(word).is_ok_and(shape::is_marked);
        if marked && !secrets.iter().any(|known| overlap(&known.range, &range)) {
            let value = Zeroizing::new(word.to_vec());
            let name = format!("byte {}", range.start);
            secrets.push(Entry { name, range, value, writing: Writing::Plain, host: None, certain: false });
        }
    }
}

/// The same secrets in other places of the file. With too many there is no need to go on.
fn repeated(text: &[u8], secrets: &mut Vec<Entry>) {
    let mut more: Vec<Entry> = Vec::new();
    let mut sought = HashSet::new();
    let sought = secrets.iter().filter(|it| it.value.len() >= MIN_REPEATED && sought.insert(it.value.as_slice()));
    let places = sought.flat_map(|secret| {
        let starts = memmem::find_iter(text, secret.value.as_slice());
        starts.map(move |start| (secret, start..start + secret.value.len()))
    });
    for (secret, range) in places {
        if more.len() > MAX_SECRETS {
            break;
        }
        if !secrets.iter().chain(&more).any(|known| overlap(&known.range, &range)) {
            let (name, host, value) = (secret.name.clone(), secret.host.clone(), secret.value.clone());
            more.push(Entry { name, range, value, writing: Writing::Plain, host, certain: false });
        }
    }
    secrets.append(&mut more);
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// Whether what is left of a file still holds a private key, or a part of one: what no entry covers as a whole.
fn hides_more(text: &[u8], secrets: &[Entry]) -> bool {
    let whole = |secret: &Entry| {
        let count = |mark: &[u8]| memmem::find_iter(&text[secret.range.clone()], mark).count();
        count(b"-----BEGIN") == count(b"-----END")
    };
    if !secrets.iter().all(whole) {
        return true;
    }
    let starts = std::iter::once(0).chain(secrets.iter().map(|secret| secret.range.end));
    let ends = secrets.iter().map(|secret| secret.range.start).chain([text.len()]);
    starts.zip(ends).any(|(start, end)| holds_private_key(&text[start..end]))
}

#[cfg(test)]
mod tests;
