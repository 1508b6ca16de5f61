//! Whether a value is a credential: by its name and its looks.
//!
//! A stand-in in the place of something harmless costs a look; a secret that is shown is lost. It errs towards secrets.

use crate::url::{self, Part};

/// Words in a name that make its value a credential.
const WORDS: &[&str] = &[
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CREDENTIALS",
    "AUTH",
    "PRIVATE",
    "DSN",
    "COOKIE",
    "PAT",
    "APIKEY",
    "PWD",
    "PASS",
    "SALT",
    "WEBHOOK",
];
/// Ends of words that say the same, written together: `dbpassword`.
const ENDS: &[&str] = &["PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "PASSPHRASE"];
/// Words beside them that take it back.
const PUBLIC: &[&str] = &["PUBLIC", "PUBLISHABLE"];
/// Names with such a word that hold none.
const INNOCENT: &[&str] = &["PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "GPG_AGENT_INFO", "COLORFGBG"];
/// How values begin that are credentials whatever their name.
const PREFIXES: &[&str] = &[
    "sk-",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "npm_",
    "pypi-",
    "AKIA",
    "ASIA",
    "AIza",
    "xox",
    "xapp-",
    "hf_",
    "gsk_",
    "xai-",
    "pplx-",
    "r8_",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "-----BEGIN",
    "eyJ",
    "SG.",
    "dop_v1_",
    "whsec_",
    "lin_api_",
    "ntn_",
    "shpat_",
    "sntrys_",
    "sntryu_",
    "figd_",
    "dapi",
    "ya29.",
];
/// Shortest word with such a beginning that is a credential wherever it stands.
const MIN_MARKED: usize = 20;
/// What stands where a credential is still to be put, or everybody has it.
const PLACEHOLDERS: &[&str] = &[
    "admin",
    "changeme",
    "change-me",
    "change_me",
    "default",
    "demo",
    "dev",
    "development",
    "example",
    "guest",
    "local",
    "localhost",
    "mysql",
    "null",
    "none",
    "password",
    "placeholder",
    "postgres",
    "production",
    "redis",
    "replace_me",
    "root",
    "sample",
    "secret",
    "staging",
    "test",
    "testing",
    "todo",
    "user",
    "username",
];
/// Plain words that settings take.
const SETTINGS: &[&str] = &[
    "",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "enabled",
    "disabled",
    "auto",
    "always",
    "never",
    "basic",
    "bearer",
    "oauth",
    "oauth2",
    "jwt",
    "md5",
    "scram-sha-256",
    "http",
    "https",
];
/// Names of passwords: only these may be numbers.
const NUMERIC: &[&str] = &["PASSWORD", "PASSWD", "PASSPHRASE", "PASS", "SECRET", "PWD", "PIN"];
/// Ends of names of values that look random and are none.
const IDENTIFIERS: &[&str] = &[
    "ID",
    "IDS",
    "SHA",
    "SHA1",
    "SHA256",
    "HASH",
    "COMMIT",
    "REVISION",
    "DIGEST",
    "CHECKSUM",
    "VERSION",
    "FINGERPRINT",
    "UUID",
];
/// Ends of names that say something about a credential and hold none: `SESSION_COOKIE_NAME`.
const ABOUT: &[&str] =
    &["ALG", "ALGORITHM", "AUDIENCE", "EXPIRES", "EXPIRY", "HEADER", "ISSUER", "LIFETIME", "NAME", "TTL", "TYPE"];
/// Shortest value that counts as random.
const MIN_RANDOM: usize = 24;
/// What a value is.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No credential.
    Plain,
    /// A credential, the whole of it.
    Secret,
    /// A URL, of which these parts are credentials.
    Parts(Vec<Part>),
}

/// Whether a variable looks like a credential.
pub fn looks_like_secret(name: &str, value: &str) -> bool {
    if value.is_empty() || INNOCENT.contains(&name) {
        return false;
    }
    words(name).any(|word| WORDS.contains(&word.as_str()))
        || PREFIXES.iter().any(|prefix| value.starts_with(prefix))
        || url::parts(value).is_some_and(|parts| !parts.is_empty())
}

/// What a value of a file is that holds secrets.
pub fn judge(name: &str, value: &str) -> Verdict {
    if is_marked(value) || value.starts_with("-----BEGIN") {
        return if is_public_pem(value) { Verdict::Plain } else { Verdict::Secret };
    }
    if is_plain(value) || INNOCENT.contains(&name) {
        return Verdict::Plain;
    }
    if let Some(parts) = url::parts(value) {
        return if parts.is_empty() { Verdict::Plain } else { Verdict::Parts(parts) };
    }
    let words: Vec<String> = words(name).collect();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return if has(NUMERIC) && !value.contains('.') { Verdict::Secret } else { Verdict::Plain };
    }
    if has(PUBLIC) {
        return Verdict::Plain;
    }
    let ends = |list: &[&str]| words.last().is_some_and(|word| list.contains(&word.as_str()));
    if is_secret_name(name) && !is_path(value) && !ends(ABOUT) {
        return Verdict::Secret;
    }
    let identifies = ends(IDENTIFIERS);
    if !identifies && is_random(value) { Verdict::Secret } else { Verdict::Plain }
}

/// Whether a name says that its value is a credential.
pub fn is_secret_name(name: &str) -> bool {
    words(name).any(|word| WORDS.contains(&word.as_str()) || ENDS.iter().any(|end| word.ends_with(end)))
}

/// Whether a word is a credential by its vendor's mark, wherever it stands.
pub fn is_marked(word: &str) -> bool {
    let prefix = PREFIXES.iter().filter(|prefix| word.starts_with(**prefix)).max_by_key(|prefix| prefix.len());
    prefix.is_some_and(|prefix| {
        let rest = &word[prefix.len()..];
        let digits = rest.bytes().filter(u8::is_ascii_digit).count();
        word.len() >= MIN_MARKED && digits > 0 && rest.bytes().all(in_token) && !is_placeholder(rest)
    })
}

/// Bytes that words of credentials are made of.
pub(crate) fn in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// The key that ends a selector's path: `section.key`, `/a/key`.
pub fn last_part(name: &str) -> &str {
    name.rsplit(['/', '.', ':']).next().unwrap_or(name)
}

/// A value that says where another one is.
pub(crate) fn is_reference(value: &str) -> bool {
    let value = value.trim();
    let braced = |open: &str, close: char| value.starts_with(open) && value.ends_with(close);
    let variable = value.strip_prefix('$').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    });
    let simple = |inside: &str| !inside.contains([':', '}']);
    variable
        || (braced("${", '}') && simple(&value[2..value.len() - 1]))
        || braced("$(", ')')
        || braced("{{", '}')
        || value.starts_with("op://")
}

/// A name's words, in upper case: `clientSecret`, `client-secret` and `CLIENT_SECRET` have the same.
fn words(name: &str) -> impl Iterator<Item = String> + '_ {
    name.split(|c: char| !c.is_ascii_alphanumeric()).flat_map(camel).filter(|word| !word.is_empty())
}

/// The words of one in camel case, and the whole, since `apiKey` and `apikey` are the same.
fn camel(part: &str) -> Vec<String> {
    let mut all = vec![part.to_ascii_uppercase()];
    let mut from = 0;
    let bytes = part.as_bytes();
    for at in 1..bytes.len() {
        if bytes[at].is_ascii_uppercase() && bytes[at - 1].is_ascii_lowercase() {
            all.push(part[from..at].to_ascii_uppercase());
            from = at;
        }
    }
    if from > 0 {
        all.push(part[from..].to_ascii_uppercase());
    }
    all
}

pub(crate) fn is_plain(value: &str) -> bool {
    let lower = value.trim().to_ascii_lowercase();
    SETTINGS.contains(&lower.as_str()) || is_placeholder(&lower) || is_reference(value) || is_public_pem(value)
}

/// Something to be filled in.
fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let fill = |text: &str| lower.contains(text);
    PLACEHOLDERS.contains(&lower.as_str())
        || (lower.starts_with('<') && lower.ends_with('>'))
        || fill("your-")
        || fill("your_")
        || fill("xxxxx")
        || fill("replace-")
        || (!lower.is_empty() && lower.bytes().all(|byte| matches!(byte, b'x' | b'*' | b'.' | b'-' | b'?')))
}

fn is_public_pem(value: &str) -> bool {
    let begins = |text: &str| value.trim_start().starts_with(text);
    // The first words of a certificate or public key, as they are and in base64.
    (begins("-----BEGIN CERT") || begins("-----BEGIN PUBLIC") || begins("LS0tLS1CRUdJTiBDRVJU"))
        && !value.contains("PRIVATE")
}

/// Where a file is, rather than what is in it.
fn is_path(value: &str) -> bool {
    let starts =
        value.starts_with('/') || value.starts_with("./") || value.starts_with("../") || value.starts_with("~/");
    starts
        && value.bytes().all(|byte| in_token(byte) || matches!(byte, b'/' | b'~' | b' ' | b'@'))
        && value.split('/').all(|part| !is_random(part))
}

/// Too long and mixed to have been thought of.
pub(crate) fn is_random(value: &str) -> bool {
    let count = |test: fn(&u8) -> bool| value.bytes().filter(test).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    let in_set =
        value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-'));
    let longest = value.split(['-', '_', '/']).map(str::len).max().unwrap_or_default();
    let is_uuid = value.len() == 36 && value.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    value.len() >= MIN_RANDOM && in_set && !is_uuid && letters > 0 && digits * 12 >= value.len() && longest >= 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_tell() {
        for (name, value, expected) in [
            ("MY_API_KEY", "x", true),
            ("DB_PASSWORD", "x", true),
            ("internal_token", "x", true),
            ("DATABASE_URL", "postgres://u:p@db/x", true),
            ("WHATEVER", "ghp_0123", true),
            ("PWD", "/home/u", false),
            ("SSH_AUTH_SOCK", "/tmp/x", false),
            ("EDITOR", "vi", false),
            ("HOMEPAGE", "https://example.com/a:b@c", false),
            ("KEYBOARD", "us", false),
            ("EMPTY_TOKEN", "", false),
            ("WHATEVER", "postgres://u:p/w@x@db/x", true),
        ] {
            assert_eq!(looks_like_secret(name, value), expected, "{name}");
        }
    }
}
