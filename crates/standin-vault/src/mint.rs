//! Minting: a value with the shape of a credential and none of its content.
//!
//! A stand-in is derived by HMAC-SHA-256 from the host's key, the workspace and the credential's name, not from
//! the secret: it stays the same when the secret is rotated, and tells nothing about it. The shape comes from
//! the secret (known prefix and marks kept, every other character replaced by one of its class) or from a
//! `like` pattern. Only unreserved URL characters are generated.

use crate::key::StandInKey;
use aws_lc_rs::hmac;
use regex_syntax::hir::{Class, Hir, HirKind};
use standin_model::CredentialName;
use standin_secret::{Secret, StandIn};
use std::path::Path;

/// What vendors put in front of their credentials. It says what a value is, clients look at it, and it is no secret.
const PREFIXES: &[&str] = &[
    "sk-ant-api03-",
    "sk-ant-oat01-",
    "sk-ant-ort01-",
    "sk-ant-admin01-",
    "sk-ant-",
    "sk-proj-",
    "sk-svcacct-",
    "sk-admin-",
    "sk-or-v1-",
    "sk-",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "glcbt-",
    "npm_",
    "pypi-AgEIcHlwaS5vcmc", // a macaroon for PyPI: its place is told in clear
    "pypi-",
    "rubygems_",
    "AIza",
    "ya29.",
    "hf_",
    "gsk_",
    "xai-",
    "pplx-",
    "r8_",
    "AKIA",
    "ASIA",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "whsec_",
    "SG.",
    "dop_v1_",
    "lin_api_",
    "ntn_",
    "secret_",
    "shpat_",
    "sntrys_",
    "sntryu_",
    "figd_",
    "dapi",
    "tok_",
    "rt_",
    "cio",
    "Bearer ",
];

/// Marks in the middle or at the end of a value that clients look for.
const MARKS: &[&str] = &["T3BlbkFJ"];

/// GitHub tokens whose last six characters are a checksum of the rest.
const GITHUB_CHECKSUM: &[&str] = &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"];

/// What AWS calls its keys: a prefix and sixteen digits of base 32 (RFC 4648 §6).
const AWS_IDS: &[&str] = &["AKIA", "ASIA"];
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Fewest generated characters: 16 of base 36 are 82 bits.
const MIN_GENERATED: usize = 16;
/// Most repetitions an open-ended `like` pattern (`+`, `*`) stands for.
const OPEN_REPEAT: u32 = 32;
/// Longest stand-in a `like` pattern may ask for.
const MAX_LENGTH: usize = 4096;

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Why a `like` pattern cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum LikeError {
    /// Not a regular expression.
    #[error("`{pattern}` is not a pattern")]
    Syntax {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        source: Box<regex_syntax::Error>,
    },
    /// Something no value can be made from, or a character that does not travel in URLs.
    #[error("`{0}` must be made of letters, digits, `-`, `.`, `_`, `~`, classes and counts")]
    Unsupported(String),
    /// Too few free characters.
    #[error("`{0}` leaves too few free characters to be unguessable; 16 are needed")]
    Guessable(String),
}

/// The stand-in for `secret`, shaped like it.
pub fn like_secret(key: &StandInKey, workspace: &Path, name: &CredentialName, secret: &Secret) -> StandIn {
    let mut random = Random::new(key, workspace, name);
    let value = secret.expose();
    let fixed = fixed_parts(value);
    let free = fixed.iter().filter(|kept| !**kept).count();
    let printable = value.iter().all(u8::is_ascii_graphic);
    if free < MIN_GENERATED || !printable {
        // Too short to be unguessable in its own shape (or not text at all): a longer one, in nobody's shape.
        let prefix = std::str::from_utf8(known_prefix(value)).unwrap_or_default();
        return StandIn::new(format!("{prefix}standin{}", random.text(32)));
    }
    let mut text: Vec<u8> =
        value.iter().zip(&fixed).map(|(b, kept)| if *kept { *b } else { random.same_class(*b) }).collect();
    if is_aws_id(value) {
        text[4..].fill_with(|| random.one_of(BASE32));
    }
    if GITHUB_CHECKSUM.iter().any(|prefix| value.starts_with(prefix.as_bytes())) && value.len() == 40 {
        let sum = base62_checksum(&text[..34]);
        text[34..].copy_from_slice(&sum);
    }
    StandIn::new(String::from_utf8(text).expect("graphic ASCII in, graphic ASCII out"))
}

/// What a stand-in shows of a value: the value with every character that is replaced written as one of its class. It makes
/// the same stand-in as the value.
pub(crate) fn shape(secret: &Secret) -> Vec<u8> {
    let value = secret.expose();
    let fixed = fixed_parts(value);
    if fixed.iter().filter(|kept| !**kept).count() < MIN_GENERATED || !value.iter().all(u8::is_ascii_graphic) {
        return known_prefix(value).to_vec();
    }
    let class = |byte: u8| match byte {
        b'0'..=b'9' => b'0',
        b'a'..=b'z' => b'a',
        _ => b'A',
    };
    value.iter().zip(&fixed).map(|(byte, kept)| if *kept { *byte } else { class(*byte) }).collect()
}

/// Made-up text of letters and digits, to go into a stand-in.
pub(crate) fn text(key: &StandInKey, workspace: &Path, name: &CredentialName, length: usize) -> String {
    Random::new(key, workspace, name).text(length)
}

/// The stand-in shaped by a `like` pattern.
pub fn like_pattern(
    key: &StandInKey,
    workspace: &Path,
    name: &CredentialName,
    pattern: &str,
) -> Result<StandIn, LikeError> {
    let hir = regex_syntax::Parser::new()
        .parse(pattern)
        .map_err(|source| LikeError::Syntax { pattern: pattern.to_owned(), source: Box::new(source) })?;
    let mut made = Made { text: String::new(), free: 0, random: Random::new(key, workspace, name) };
    made.follow(&hir).ok_or_else(|| LikeError::Unsupported(pattern.to_owned()))?;
    if made.free < MIN_GENERATED {
        return Err(LikeError::Guessable(pattern.to_owned()));
    }
    Ok(StandIn::new(made.text))
}

struct Made {
    text: String,
    free: usize,
    random: Random,
}

impl Made {
    fn follow(&mut self, hir: &Hir) -> Option<()> {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Some(()),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).ok()?;
                self.text.push_str(text.bytes().all(is_unreserved).then_some(text)?);
                Some(())
            }
            HirKind::Class(class) => {
                let choices = choices(class);
                self.text.push(char::from(*choices.get(self.random.below(choices.len())?)?));
                self.free += 1;
                Some(())
            }
            HirKind::Repetition(repetition) => {
                let times = repetition.max.unwrap_or(OPEN_REPEAT.max(repetition.min));
                for _ in 0..times {
                    if self.text.len() > MAX_LENGTH {
                        return None;
                    }
                    self.follow(&repetition.sub)?;
                }
                Some(())
            }
            HirKind::Capture(capture) => self.follow(&capture.sub),
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.follow(part)),
            HirKind::Alternation(parts) => self.follow(parts.first()?),
        }
    }
}

/// The unreserved characters of a class.
fn choices(class: &Class) -> Vec<u8> {
    let holds = |b: u8| match class {
        Class::Unicode(class) => {
            class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&char::from(b)))
        }
        Class::Bytes(class) => class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&b)),
    };
    (0x21..0x7f).filter(|b| is_unreserved(*b) && holds(*b)).collect()
}

/// Which characters of a value are its shape rather than its content.
fn fixed_parts(value: &[u8]) -> Vec<bool> {
    let mut fixed: Vec<bool> = value.iter().map(|b| !b.is_ascii_alphanumeric()).collect();
    let mut keep = |from: usize, to: usize| fixed[from..to].fill(true);
    keep(0, known_prefix(value).len());
    for mark in MARKS {
        if let Some(at) = value.windows(mark.len()).position(|w| w == mark.as_bytes()) {
            keep(at, at + mark.len());
        }
    }
    if value.starts_with(b"sk-ant-") && value.ends_with(b"AA") {
        keep(value.len() - 2, value.len());
    }
    if value.starts_with(b"eyJ") && value.split(|b| *b == b'.').count() == 3 {
        // A JWT (RFC 7519): its header says which algorithm, which is no secret.
        keep(0, value.iter().position(|b| *b == b'.').unwrap_or_default());
    }
    fixed
}

fn is_aws_id(value: &[u8]) -> bool {
    AWS_IDS.iter().any(|prefix| value.starts_with(prefix.as_bytes()))
        && value.len() == 20
        && value.iter().all(|b| BASE32.contains(b))
}

fn known_prefix(value: &[u8]) -> &[u8] {
    let longest =
        PREFIXES.iter().filter(|p| value.starts_with(p.as_bytes())).map(|p| p.len()).max().unwrap_or_default();
    &value[..longest]
}

fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

/// The checksum of GitHub's token format: CRC-32 in base 62, six digits.
fn base62_checksum(text: &[u8]) -> [u8; 6] {
    let mut rest = crc32fast::hash(text) as usize;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    digits
}

/// A deterministic stream of choices: HMAC-SHA-256 in counter mode.
struct Random {
    key: hmac::Key,
    context: Vec<u8>,
    block: Vec<u8>,
    counter: u64,
}

impl Random {
    fn new(key: &StandInKey, workspace: &Path, name: &CredentialName) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let workspace = workspace.as_os_str().as_bytes();
        // The length in front keeps two pairs of workspace and name apart that would read the same when joined.
        let mut context = (workspace.len() as u64).to_be_bytes().to_vec();
        context.extend_from_slice(workspace);
        context.extend_from_slice(name.as_str().as_bytes());
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.bytes()), context, block: Vec::new(), counter: 0 }
    }

    fn byte(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.block.pop() {
                return byte;
            }
            let mut context = hmac::Context::with_key(&self.key);
            context.update(&self.counter.to_be_bytes());
            context.update(&self.context);
            self.block = context.sign().as_ref().to_vec();
            self.counter += 1;
        }
    }

    /// A number below `bound` (at most 256), each equally likely.
    fn below(&mut self, bound: usize) -> Option<usize> {
        if bound == 0 || bound > 256 {
            return None;
        }
        let limit = 256 - 256 % bound;
        loop {
            let byte = usize::from(self.byte());
            if byte < limit {
                return Some(byte % bound);
            }
        }
    }

    /// One of at most 256 choices.
    fn one_of(&mut self, choices: &[u8]) -> u8 {
        choices[self.below(choices.len()).expect("there are choices, and at most 256")]
    }

    fn same_class(&mut self, b: u8) -> u8 {
        let (first, size) = match b {
            b'0'..=b'9' => (b'0', 10),
            b'a'..=b'z' => (b'a', 26),
            _ => (b'A', 26),
        };
        let step = self.below(size).expect("the sizes of classes are from 1 to 256");
        first + u8::try_from(step).expect("below 26")
    }

    fn text(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(self.one_of(BASE62))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mint(secret: &str) -> String {
        let key = StandInKey::ephemeral().unwrap();
        let name = CredentialName::new("test");
        like_secret(&key, Path::new("/w"), &name, &Secret::new(secret.into())).as_str().to_owned()
    }

    #[test]
    fn a_stand_in_has_its_vendors_shape() {
        let filler = |n: usize| "aB3".chars().cycle().take(n).collect::<String>();
        for (secret, shape) in [
            (format!("sk-ant-api03-{}AA", filler(93)), "^sk-ant-api03-[A-Za-z0-9_-]{93}AA$"),
            (
                format!("sk-proj-{}T3BlbkFJ{}", filler(74), filler(74)),
                "^sk-proj-[A-Za-z0-9_-]{74}T3BlbkFJ[A-Za-z0-9_-]{74}$",
            ),
            (format!("ghp_{}", filler(36)), "^ghp_[A-Za-z0-9]{36}$"),
            (format!("npm_{}", filler(36)), "^npm_[A-Za-z0-9]{36}$"),
            (format!("pypi-AgEIcHlwaS5vcmc{}", filler(160)), "^pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{160}$"),
            (format!("rubygems_{}", "0a1b".repeat(12)), "^rubygems_[0-9a-z]{48}$"),
            (format!("cio{}", filler(32)), "^cio[A-Za-z0-9]{32}$"),
            (format!("AIza{}", filler(35)), "^AIza[0-9A-Za-z_-]{35}$"),
            ("0123456789abcdef0123456789abcdef".to_owned(), "^[0-9a-z]{32}$"),
            ("AKIAIOSFODNN7EXAMPLE".to_owned(), "^AKIA[A-Z2-7]{16}$"),
            ("ASIAIOSFODNN7EXAMPLE".to_owned(), "^ASIA[A-Z2-7]{16}$"),
            ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(), "^[A-Za-z]{13}/[A-Z][0-9][A-Z]{5}\\+[A-Za-z]{18}$"),
            (
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlc2lnbmF0dXJl".to_owned(),
                r"^eyJhbGciOiJIUzI1NiJ9\.[A-Za-z0-9]{27}\.[A-Za-z0-9]{24}$",
            ),
        ] {
            let made = mint(&secret);
            assert!(regex_lite::Regex::new(shape).unwrap().is_match(&made), "{made} is not {shape}");
            assert_ne!(made, secret);
            assert_eq!(made.len(), secret.len());
        }
    }

    #[test]
    fn github_checksums_hold() {
        let made = mint(&format!("ghp_{}", "a1".repeat(18)));
        assert_eq!(made.as_bytes()[34..], base62_checksum(&made.as_bytes()[..34]));
    }

    #[test]
    fn stable_for_one_workspace_and_name_only() {
        let key = StandInKey::ephemeral().unwrap();
        let make = |workspace: &str, name: &str, secret: &str| {
            like_secret(&key, Path::new(workspace), &CredentialName::new(name), &Secret::new(secret.into()))
        };
        let (old, new) = ("ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ghp_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
        assert_eq!(make("/w", "a", old), make("/w", "a", new));
        assert_ne!(make("/w", "a", old), make("/v", "a", old));
        assert_ne!(make("/w", "a", old), make("/w", "b", old));
    }

    #[test]
    fn short_secrets_get_long_stand_ins() {
        assert!(mint("hunter2").len() > 32);
        assert!(mint("sk-abc").starts_with("sk-standin"));
    }

    #[test]
    fn like_patterns() {
        let key = StandInKey::ephemeral().unwrap();
        let make = |pattern: &str| like_pattern(&key, Path::new("/w"), &CredentialName::new("a"), pattern);
        for pattern in ["tok_[A-Za-z0-9]{32}", "(a|b)[0-9a-f]{20,24}", "x-\\w+"] {
            let made = make(pattern).unwrap();
            let regex = regex_lite::Regex::new(&format!("^(?:{pattern})$")).unwrap();
            assert!(regex.is_match(made.as_str()), "{} is not {pattern}", made.as_str());
        }
        assert!(matches!(make("tok_[0-9]{4}"), Err(LikeError::Guessable(_))));
        assert!(matches!(make("tok_[0-9"), Err(LikeError::Syntax { .. })));
        assert!(matches!(make("tok [0-9]{32}"), Err(LikeError::Unsupported(_))));
        assert!(matches!(make("[0-9]{9000}"), Err(LikeError::Unsupported(_))));
    }

    proptest! {
        /// A shape stands for the value it is of, and for itself.
        #[test]
        fn a_shape_makes_the_same_stand_in(secret in "(sk-|ghp_|AKIA|eyJhbGc|dapi|)[ -~]{0,80}") {
            let shape = shape(&Secret::new(secret.clone().into_bytes()));
            let text = String::from_utf8(shape.clone()).unwrap();
            let key = StandInKey::ephemeral().unwrap();
            let name = CredentialName::new("test");
            let make = |value: &str| like_secret(&key, Path::new("/w"), &name, &Secret::new(value.into()));
            prop_assert_eq!(make(&secret), make(&text));
            prop_assert_eq!(super::shape(&Secret::new(shape.clone())), shape);
        }

        /// Nothing of the secret beyond its known prefix and marks shows: no window of eight characters survives.
        #[test]
        fn nothing_of_the_secret_shows(secret in "[A-Za-z0-9]{24,80}") {
            let made = mint(&secret);
            let prefix = known_prefix(secret.as_bytes()).len();
            for (a, b) in secret.as_bytes()[prefix..].windows(8).zip(made.as_bytes()[prefix..].windows(8)) {
                prop_assert_ne!(a, b);
            }
        }
    }
}
