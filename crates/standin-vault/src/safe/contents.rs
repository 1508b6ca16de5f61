//! What is in a safe: a line for each secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use standin_secret::Secret;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Says what it is, and in which version.
const HEAD: &str = "standin secrets 1";
/// Longest name of a secret, in bytes.
pub const MAX_NAME: usize = 128;

/// Secrets by their names.
#[derive(Default)]
pub(super) struct Contents(BTreeMap<String, Secret>);

impl Contents {
    /// Reads what [`Contents::text`] wrote; nothing if it is something else.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next() != Some(HEAD) {
            return None;
        }
        let secrets = lines.map(|line| {
            let (name, value) = line.split_once(' ').filter(|(name, _)| is_name(name))?;
            let value = Zeroizing::new(STANDARD.decode(value).ok()?);
            Some((name.to_owned(), Secret::copy_of(&value)))
        });
        secrets.collect::<Option<_>>().map(Self)
    }

    pub(super) fn text(&self) -> Zeroizing<Vec<u8>> {
        let length = |(name, value): (&String, &Secret)| name.len() + 2 + value.len().div_ceil(3) * 4;
        let room = HEAD.len() + 1 + self.0.iter().map(length).sum::<usize>();
        // With room at once it need not grow, which would leave its former places behind.
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        text.extend_from_slice(HEAD.as_bytes());
        text.push(b'\n');
        for (name, value) in &self.0 {
            text.extend_from_slice(name.as_bytes());
            text.push(b' ');
            text.extend_from_slice(Zeroizing::new(STANDARD.encode(value.expose())).as_bytes());
            text.push(b'\n');
        }
        text
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<Secret> {
        self.0.get(name).map(|value| Secret::copy_of(value.expose()))
    }

    /// Whether there was one of this name.
    pub(super) fn set(&mut self, name: &str, value: &Secret) -> bool {
        self.0.insert(name.to_owned(), Secret::copy_of(value.expose())).is_some()
    }

    /// Whether there was one of this name.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }
}

/// Whether a secret may be called so: names stand in lines, in `age:NAME`, and before the `@` of `--secret`.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('-') && name.bytes().all(plain)
}
