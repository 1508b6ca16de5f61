//! How what a program printed is read. Nothing of it gets into an error.

use standin_model::JsonPointer;
use standin_secret::{Fetched, Secret, SourceError, Value};
use standin_wire::body::{Value as Found, find_in_json};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

/// How it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As it is.
    Text,
    /// As JSON, of which one string is meant.
    Json,
    /// The same, and it may say when that expires.
    Expiring,
    /// As git's credential helpers write it: `password=…` and the like in lines (git-credential(1)).
    Git,
}

/// Names of a time of expiry, beside the value or at the top: AWS's `credential_process`, Kubernetes' ExecCredential, gcloud's
/// `config-helper`, az's `get-access-token`, and what others use.
const EXPIRY: &[&str] = &[
    "Expiration",
    "expirationTimestamp",
    "token_expiry",
    "expires_on",
    "expires_at",
    "expiresAt",
    "expires",
    "expiry",
    "expiration",
];
/// The same, in seconds from now (RFC 6749 §5.1).
const EXPIRES_IN: &str = "expires_in";
/// What AWS documents to be 1.
const AWS_VERSION: &str = "/Version";
/// A number larger than this is one of milliseconds: in seconds it were the year 5138.
const MOST_SECONDS: u64 = 100_000_000_000;

impl Reading {
    /// The value of this name.
    pub(super) fn value(self, fetched: &Fetched, member: &str, source: &str) -> Result<Value, SourceError> {
        let text = fetched.text.expose();
        let missing = || SourceError::NoMember { source_name: source.to_owned(), member: member.to_owned() };
        let odd = |what| SourceError::NotUnderstood { source_name: source.to_owned(), what };
        match self {
            Self::Text if member.is_empty() => Ok(Value { secret: Secret::copy_of(text), expires: fetched.expires }),
            Self::Text => Err(missing()),
            Self::Json | Self::Expiring => {
                let pointer = if member.starts_with('/') { member.to_owned() } else { format!("/{member}") };
                let parsed = JsonPointer::parse(&pointer).ok_or_else(missing)?;
                let found =
                    find_in_json(text, &parsed).map_err(|_| odd("it is no JSON, or a name stands there twice"))?;
                let secret = match found.map(|place| place.value) {
                    Some(Found::Text(value)) => Secret::new(value.into_bytes()),
                    _ => return Err(missing()),
                };
                let expires =
                    if self == Self::Expiring { json_expiry(text, &pointer, fetched.at).map_err(odd)? } else { None };
                Ok(Value { secret, expires: expires.or(fetched.expires) })
            }
            Self::Git => {
                let name = if member.is_empty() { "password" } else { member };
                let secret = line(text, name).filter(|value| !value.is_empty()).ok_or_else(missing)?;
                let expires = line(text, "password_expiry_utc").map(|value| {
                    let seconds = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                    seconds.map(since_epoch).ok_or_else(|| odd("its time of expiry is no number"))
                });
                Ok(Value { secret: Secret::copy_of(secret), expires: expires.transpose()? })
            }
        }
    }
}

/// The last line of this name counts, as git has it.
fn line<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines
        .rfind(|line| line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"=")))
        .map(|line| &line[name.len() + 1..])
}

fn json_expiry(text: &[u8], pointer: &str, now: SystemTime) -> Result<Option<SystemTime>, &'static str> {
    if raw(text, AWS_VERSION)?.is_some_and(|version| *version != "1") && raw(text, "/AccessKeyId")?.is_some() {
        return Err("its version is not 1");
    }
    let beside = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    for place in [beside, ""] {
        if let Some(seconds) = raw(text, &format!("{place}/{EXPIRES_IN}"))? {
            let seconds = seconds.trim_matches('"').parse().map_err(|_| "its time of expiry is not understood")?;
            return Ok(now.checked_add(Duration::from_secs(seconds)));
        }
        for name in EXPIRY {
            if let Some(found) = raw(text, &format!("{place}/{name}"))?.filter(|found| !is_nothing(found)) {
                return instant(&found).map(Some).ok_or("its time of expiry is not understood");
            }
        }
    }
    Ok(None)
}

fn is_nothing(raw: &str) -> bool {
    matches!(raw, "null" | "\"\"")
}

/// What stands at a place, as it is written.
fn raw(text: &[u8], pointer: &str) -> Result<Option<Zeroizing<String>>, &'static str> {
    let pointer = JsonPointer::parse(pointer).ok_or("a name in it has a broken escape")?;
    let place = find_in_json(text, &pointer).map_err(|_| "it is no JSON, or a name stands there twice")?;
    Ok(place.map(|place| Zeroizing::new(String::from_utf8_lossy(&text[place.range]).into_owned())))
}

/// RFC 3339, or seconds or milliseconds since 1970.
fn instant(raw: &str) -> Option<SystemTime> {
    let text = raw.trim_matches('"');
    if let Ok(number) = text.parse::<u64>() {
        return Some(if number > MOST_SECONDS {
            SystemTime::UNIX_EPOCH + Duration::from_millis(number)
        } else {
            since_epoch(number)
        });
    }
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

fn since_epoch(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}
