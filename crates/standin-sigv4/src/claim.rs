//! The signature of a request: what it says, read in one way or not at all.

use crate::query::{Pair, pairs};
use crate::{Error, MAX_EXPIRES, MAX_SKEW, Message, UNSIGNED};
use http::{HeaderMap, HeaderName, header};
use std::time::{Duration, SystemTime};
use time::{Date, Month, PrimitiveDateTime, Time};

const HMAC: &str = "AWS4-HMAC-SHA256";
const ECDSA: &str = "AWS4-ECDSA-P256-SHA256";
pub(crate) const DATE: HeaderName = HeaderName::from_static("x-amz-date");
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
pub(crate) const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// The parameters of a presigned URL, as they are written; in another case nobody knows what AWS takes them for.
const PARAMETERS: &[&str] = &[
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
];

/// Fields that the crate does not sign in a URL.
const NEVER_IN_QUERY: &[&str] = &["x-amz-user-agent", "x-amz-checksum-mode"];

/// What a signature says of itself. Nothing of it is proven before [`Claim::verify`].
#[derive(Clone, Debug)]
pub struct Claim {
    pub(crate) place: Place,
    pub(crate) key: String,
    pub(crate) scope: Scope,
    pub(crate) time: SystemTime,
    pub(crate) signed: Vec<HeaderName>,
    pub(crate) signature: String,
    pub(crate) token: Option<String>,
    content: Option<String>,
}

/// Where a signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Header,
    /// In a presigned URL, which is good so many seconds.
    Query(u64),
}

/// What a signature is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The day, `YYYYMMDD`.
    pub date: String,
    /// The region.
    pub region: String,
    /// The service.
    pub service: String,
}

/// How the body is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// As a whole, by this hash.
    Hash(String),
    /// As a whole, by a hash that is not told.
    Untold,
    /// Not at all.
    Unsigned,
    /// Not at all, and it is in chunks with a trailer.
    UnsignedChunks,
    /// Piece by piece.
    Chunks {
        /// With a trailer that is signed, too.
        trailer: bool,
    },
}

impl Claim {
    /// The signature of a request, if it has one of this family.
    pub fn read(message: &Message<'_>) -> Result<Option<Self>, Error> {
        let lines: Vec<_> =
            message.headers.get_all(header::AUTHORIZATION).iter().map(http::HeaderValue::as_bytes).collect();
        let in_header = lines.iter().any(|line| line.starts_with(b"AWS4-"));
        // In a query of which nobody says that it is signed any bytes may stand.
        let in_query = message.query.is_some_and(mentions);
        if !in_header && !in_query {
            return Ok(None);
        }
        if (in_header && in_query) || lines.len() > usize::from(in_header) {
            return Err(Error::Ambiguous("signature".to_owned()));
        }
        let pairs = pairs(message.query.unwrap_or_default())?;
        let claim = if in_header { Self::in_header(lines[0], message.headers)? } else { Self::in_query(&pairs)? };
        let claim = claim.with_content(message.headers, &pairs)?;
        claim.covers(message.headers)?;
        Ok(Some(claim))
    }

    /// The key's name.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it is good for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether the signature is good now, by its time.
    pub fn is_fresh(&self, now: SystemTime) -> Result<(), Error> {
        let ahead = self.time.duration_since(now).unwrap_or_default();
        let behind = now.duration_since(self.time).unwrap_or_default();
        let good = match self.place {
            Place::Header => MAX_SKEW,
            Place::Query(seconds) => Duration::from_secs(seconds),
        };
        if ahead > MAX_SKEW || behind > good { Err(Error::Time) } else { Ok(()) }
    }

    /// How the body is signed. `objects` are those of S3, where a URL says nothing of the body.
    pub fn payload(&self, objects: bool) -> Result<Payload, Error> {
        let Some(content) = self.content.as_deref() else {
            return match self.place {
                Place::Query(_) if objects => Ok(Payload::Unsigned),
                Place::Header if objects => Err(Error::Malformed("x-amz-content-sha256")),
                _ => Ok(Payload::Untold),
            };
        };
        match content {
            UNSIGNED => Ok(Payload::Unsigned),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" if objects => Ok(Payload::UnsignedChunks),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" if objects => Ok(Payload::Chunks { trailer: false }),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" if objects => Ok(Payload::Chunks { trailer: true }),
            hash if is_hash(hash) => Ok(Payload::Hash(hash.to_owned())),
            other if other.starts_with("STREAMING-AWS4-ECDSA") => Err(Error::Asymmetric),
            other => Err(Error::Payload(other.chars().take(80).collect())),
        }
    }

    /// What is named as the body's hash where the hash is told.
    pub fn content(&self) -> Option<&str> {
        self.content.as_deref()
    }

    /// Whether this field is signed.
    pub fn signs(&self, name: &HeaderName) -> bool {
        self.signed.contains(name)
    }

    fn in_header(line: &[u8], headers: &HeaderMap) -> Result<Self, Error> {
        let line = std::str::from_utf8(line).map_err(|_| Error::Malformed("Authorization"))?;
        let (scheme, rest) = line.split_once(' ').ok_or(Error::Malformed("Authorization"))?;
        is_ours(scheme)?;
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) = part.trim_matches(' ').split_once('=').ok_or(Error::Malformed("Authorization"))?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed,
                "Signature" => &mut signature,
                _ => return Err(Error::Malformed("Authorization")),
            };
            if place.replace(value).is_some() {
                return Err(Error::Ambiguous(name.to_owned()));
            }
        }
        let stamp = single(headers, &DATE)?.ok_or(Error::Malformed("x-amz-date"))?;
        let token = single(headers, &TOKEN)?.map(str::to_owned);
        Self::of(Place::Header, credential, stamp, signed, signature, token)
    }

    fn in_query(pairs: &[Pair<'_>]) -> Result<Self, Error> {
        let value = |wanted: &str| {
            let mut found = pairs.iter().filter(|(name, ..)| name.eq_ignore_ascii_case(wanted));
            match (found.next(), found.next()) {
                (Some((name, value, _)), None) if name == wanted => Ok(Some(value.as_str())),
                (None, _) => Ok(None),
                _ => Err(Error::Ambiguous(wanted.to_owned())),
            }
        };
        is_ours(value("X-Amz-Algorithm")?.ok_or(Error::Malformed("X-Amz-Algorithm"))?)?;
        let expires =
            value("X-Amz-Expires")?.and_then(|text| text.parse().ok().filter(|n: &u64| n.to_string() == text));
        let expires = expires.filter(|n| (1..=MAX_EXPIRES).contains(n)).ok_or(Error::Malformed("X-Amz-Expires"))?;
        let stamp = value("X-Amz-Date")?.ok_or(Error::Malformed("X-Amz-Date"))?;
        let token = value("X-Amz-Security-Token")?.map(str::to_owned);
        let (credential, signed) = (value("X-Amz-Credential")?, value("X-Amz-SignedHeaders")?);
        Self::of(Place::Query(expires), credential, stamp, signed, value("X-Amz-Signature")?, token)
    }

    fn of(
        place: Place,
        credential: Option<&str>,
        stamp: &str,
        signed: Option<&str>,
        signature: Option<&str>,
        token: Option<String>,
    ) -> Result<Self, Error> {
        let credential: Vec<&str> = credential.unwrap_or_default().split('/').collect();
        let [key, date, region, service, "aws4_request"] = credential[..] else {
            return Err(Error::Malformed("Credential"));
        };
        let is_word =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if ![key, date, region, service].iter().all(|part| is_word(part)) {
            return Err(Error::Malformed("Credential"));
        }
        let (time, day) = time_of(stamp).ok_or(Error::Malformed("date"))?;
        if day != date {
            return Err(Error::Malformed("date"));
        }
        let signature = signature.filter(|text| is_hash(text)).ok_or(Error::Malformed("Signature"))?.to_owned();
        let signed = signed_headers(signed.unwrap_or_default())?;
        let scope = Scope { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() };
        Ok(Self { place, key: key.to_owned(), scope, time, signed, signature, token, content: None })
    }

    fn with_content(mut self, headers: &HeaderMap, pairs: &[Pair<'_>]) -> Result<Self, Error> {
        let in_query: Vec<_> = pairs.iter().filter(|(name, ..)| name.eq_ignore_ascii_case(CONTENT.as_str())).collect();
        self.content = match (single(headers, &CONTENT)?, in_query.as_slice()) {
            (content, []) => content.map(str::to_owned),
            (None, [(_, content, _)]) if self.place != Place::Header => Some(content.clone()),
            _ => return Err(Error::Ambiguous(CONTENT.to_string())),
        };
        Ok(self)
    }

    /// Whether everything is signed that tells AWS what to do, and everything is there that is signed.
    fn covers(&self, headers: &HeaderMap) -> Result<(), Error> {
        if !self.signs(&header::HOST) {
            return Err(Error::Unsigned("host".to_owned()));
        }
        if self.place == Place::Header && !self.signs(&DATE) {
            return Err(Error::Unsigned(DATE.to_string()));
        }
        for name in headers.keys() {
            // A server that takes `_` for `-` would take another field for this one.
            let text = name.as_str().replace('_', "-");
            if text.starts_with("x-amz-") && !self.signs(name) {
                return Err(Error::Unsigned(name.to_string()));
            }
            if text.starts_with("x-amz-") && headers.get_all(name).iter().count() > 1 {
                return Err(Error::Ambiguous(format!("field {name}")));
            }
        }
        for name in self.signed.iter().filter(|name| **name != header::HOST) {
            let mut lines = headers.get_all(name).iter();
            if !headers.contains_key(name) || lines.any(|line| line.to_str().is_err()) {
                return Err(Error::Missing(name.to_string()));
            }
            if self.place != Place::Header && NEVER_IN_QUERY.contains(&name.as_str()) {
                return Err(Error::Malformed("X-Amz-SignedHeaders"));
            }
        }
        Ok(())
    }
}

/// Whether a parameter is one of a signature.
pub(crate) fn is_parameter(name: &str) -> bool {
    PARAMETERS.contains(&name)
}

/// Whether a query has a parameter of a signature in it, however it is escaped.
fn mentions(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
        let name = percent_encoding::percent_decode_str(&name).decode_utf8_lossy();
        PARAMETERS.iter().any(|known| known.eq_ignore_ascii_case(&name))
    })
}

fn is_ours(scheme: &str) -> Result<(), Error> {
    match scheme {
        HMAC => Ok(()),
        ECDSA => Err(Error::Asymmetric),
        other => Err(Error::Scheme(other.chars().take(40).collect())),
    }
}

/// 64 hexadecimal digits in lower case.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The value of a field that may be there once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Error> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => line.to_str().map(Some).map_err(|_| Error::Missing(name.to_string())),
        _ => Err(Error::Ambiguous(format!("field {name}"))),
    }
}

/// The names, in lower case, each once and in order, as they are signed.
fn signed_headers(text: &str) -> Result<Vec<HeaderName>, Error> {
    let malformed = Error::Malformed("SignedHeaders");
    let names: Vec<&str> = text.split(';').collect();
    if !names.windows(2).all(|pair| pair[0] < pair[1]) || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(malformed);
    }
    names.into_iter().map(|name| HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed.clone())).collect()
}

/// `YYYYMMDDTHHMMSSZ`, and its day.
fn time_of(text: &str) -> Option<(SystemTime, &str)> {
    let (day, clock) = text.strip_suffix('Z')?.split_once('T')?;
    if day.len() != 8 || clock.len() != 6 || !day.bytes().chain(clock.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let two = |text: &str, at: usize| text[at..at + 2].parse::<u8>().ok();
    let month = Month::try_from(two(day, 4)?).ok()?;
    let date = Date::from_calendar_date(day[..4].parse().ok()?, month, two(day, 6)?).ok()?;
    let time = Time::from_hms(two(clock, 0)?, two(clock, 2)?, two(clock, 4)?).ok()?;
    Some((PrimitiveDateTime::new(date, time).assume_utc().into(), day))
}
