//! Slots in a body: a field of a form in either of its types, a string in a JSON document.
//!
//! Where a slot is, and what stands in it, must be the same to whoever reads the body: a name that is there twice, in the
//! same spelling or in one that some server takes for the same, has no place. The body is judged whole, so that nothing
//! has gone out when that turns out.
//!
//! JSON is read by serde_json: [`RawValue`] borrows from the body, so where it lies is where it stands.

pub mod graphql;
mod multipart;
pub mod publish;
mod value;

pub use multipart::Delimiter;
pub use value::{parameter, value};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use standin_model::{JsonPointer, Slot};
use std::fmt;
use std::ops::Range;

/// The type of a form with parts.
const MULTIPART: &str = "multipart/form-data";

/// A kind of body that has slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `application/x-www-form-urlencoded` (WHATWG URL §5).
    Form,
    /// `multipart/form-data` (RFC 7578).
    Multipart(Delimiter),
    /// `application/json` (RFC 8259) and types that end in `+json` (RFC 6839 §3.1).
    Json,
}

/// What stands in a slot, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bytes to be replaced.
    pub range: Range<usize>,
    /// What they say.
    pub value: Value,
    /// Whether something else says how many they are.
    pub keeps_length: bool,
}

/// What stands in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, unescaped.
    Text(String),
    /// Nothing: an empty text or `null`.
    Nothing,
    /// A number, a list or an object.
    Other,
}

/// Why a body cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is not in UTF-8.
    #[error("it is not in UTF-8")]
    Charset,
    /// It is not what its type says.
    #[error("it is not JSON")]
    Json,
    /// It is not what its type says.
    #[error("it is not multipart/form-data as clients write it")]
    Multipart,
    /// A value that is escaped wrongly.
    #[error("the value has a broken escape")]
    Escape,
    /// The place would be in something that is no object, which some servers read in a way of their own.
    #[error("its name would be in what has no names")]
    Nameless,
    /// The name of the slot, or of something it lies in, stands there twice, or in another case.
    #[error("its name stands there twice, or in another spelling")]
    Doubled,
}

impl Kind {
    /// The kind of a body with this `Content-Type`, if it has slots; an error if it is in a charset that is not read.
    pub fn of(content_type: &[u8]) -> Option<Result<Self, BodyError>> {
        let text = String::from_utf8_lossy(content_type);
        if let Some((kind, parameters)) = text.split_once(';')
            && kind.trim().eq_ignore_ascii_case(MULTIPART)
        {
            return Some(Delimiter::of(parameters).map(Self::Multipart));
        }
        let text = text.to_ascii_lowercase();
        let mut parts = text.split(';').map(str::trim);
        let kind = match parts.next()? {
            "application/x-www-form-urlencoded" => Self::Form,
            MULTIPART => return Some(Err(BodyError::Multipart)), // without a boundary
            "application/json" => Self::Json,
            other if other.starts_with("application/") && other.ends_with("+json") => Self::Json,
            _ => return None,
        };
        let charset = |parameter: &str| {
            let (name, value) = parameter.split_once('=')?;
            // Others are read by some: `charset*0` (RFC 2231), or whatever ends so.
            name.contains("charset").then(|| match name.trim() {
                "charset" => value.trim().trim_matches('"').to_owned(),
                other => other.to_owned(),
            })
        };
        Some(if parts.filter_map(charset).all(|charset| is_read(&charset)) {
            Ok(kind)
        } else {
            Err(BodyError::Charset)
        })
    }

    /// Whether a slot is one of such a body.
    pub fn has(&self, slot: &Slot) -> bool {
        matches!((self, slot), (Self::Form | Self::Multipart(_), Slot::Form(_)) | (Self::Json, Slot::Json(_)))
    }

    /// A secret as it is written there. `None` if it cannot be.
    pub fn written(&self, secret: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Multipart(delimiter) => (!delimiter.is_in(secret)).then(|| secret.to_vec()),
            Self::Form => Some(percent_encode(secret, NON_ALPHANUMERIC).to_string().into_bytes()),
            Self::Json => serde_json::to_vec(std::str::from_utf8(secret).ok()?).ok(),
        }
    }
}

/// Whether a charset is UTF-8 or a part of it.
fn is_read(charset: &str) -> bool {
    matches!(charset, "utf-8" | "utf8" | "us-ascii")
}

/// What stands in a slot of a body of this kind; nothing if the slot is not there.
pub fn find(kind: &Kind, body: &[u8], slot: &Slot) -> Result<Option<Place>, BodyError> {
    let text = || std::str::from_utf8(body).map_err(|_| BodyError::Charset);
    match (kind, slot) {
        (Kind::Form, Slot::Form(name)) => field(text()?, name),
        (Kind::Multipart(delimiter), Slot::Form(name)) => multipart::field(body, delimiter, name),
        (Kind::Json, Slot::Json(pointer)) => find_in_json(body, pointer),
        _ => Ok(None),
    }
}

/// What stands at a place of a JSON document; nothing if that place is not there.
pub fn find_in_json(document: &[u8], pointer: &JsonPointer) -> Result<Option<Place>, BodyError> {
    match member(document, pointer) {
        Err(BodyError::Nameless) => Ok(None),
        found => found,
    }
}

/// A body with these ranges, of which none overlaps another, replaced.
pub fn splice(body: &[u8], mut edits: Vec<(Range<usize>, Vec<u8>)>) -> Vec<u8> {
    edits.sort_by_key(|(range, _)| range.start);
    let mut written = Vec::with_capacity(body.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut at = 0;
    for (range, new) in edits {
        written.extend_from_slice(&body[at..range.start]);
        written.extend_from_slice(&new);
        at = range.end;
    }
    written.extend_from_slice(&body[at..]);
    written
}

fn field(body: &str, name: &str) -> Result<Option<Place>, BodyError> {
    let name_of = |part: &str| decoded(part.split('=').next().unwrap_or_default());
    // Some servers take `;` for `&`.
    let meant = body.split(['&', ';']).filter(|part| is_variable(&name_of(part), name)).count();
    if meant == 0 {
        return Ok(None);
    }
    let mut start = 0;
    for part in body.split('&') {
        let end = start + part.len();
        if name_of(part) == name && meant == 1 {
            let value = part.split_once('=').map_or("", |(_, value)| value);
            if !escapes_are_whole(value) {
                return Err(BodyError::Escape);
            }
            let text = decoded(value);
            let value_of = if text.is_empty() { Value::Nothing } else { Value::Text(text) };
            return Ok(Some(Place { range: end - value.len()..end, value: value_of, keeps_length: false }));
        }
        start = end + 1;
    }
    Err(BodyError::Doubled)
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned()
}

fn escapes_are_whole(text: &str) -> bool {
    let whole = |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    text.split('%').skip(1).all(whole)
}

/// Whether some server takes one name for the other: Go's JSON and .NET's forms know no case, by Unicode's folding, and
/// what is written in C ends at a zero.
fn same(a: &str, b: &str) -> bool {
    fn folded(text: &str) -> impl Iterator<Item = char> {
        let text = text.split('\0').next().unwrap_or_default();
        text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
    }
    a == b || folded(a).eq(folded(b))
}

/// Whether some server takes the name of a field for a variable of the other name: PHP, which passes over spaces before it and takes
/// dots, spaces and an open bracket for `_`, or one of those that make lists (`key[]`).
pub(crate) fn is_variable(field: &str, name: &str) -> bool {
    let in_php = |text: &str| {
        let text = text.trim_start_matches([' ', '+']);
        let bracket = text.find('[').unwrap_or(text.len());
        let (plain, rest) = text.split_at(bracket);
        let rest = if rest.contains(']') { rest.to_owned() } else { rest.replacen('[', "_", 1) };
        plain.replace(['.', ' ', '+'], "_") + &rest
    };
    // Rack and qs (Express) pass over brackets at the beginning.
    let field = field.trim_start_matches([' ', '+', '[', ']']);
    let field = if field.contains('[') { field } else { field.trim_end_matches(']') };
    let (field, name) = (in_php(field), in_php(name));
    // No case makes a name four times as long. A field may be as long as its body.
    let mut brackets = field.match_indices('[').map(|(at, _)| at).take_while(|at| *at <= 4 * name.len());
    let list = brackets.any(|at| at > 0 && same(&field[..at], &name));
    list || same(&field, &name)
}

fn member(body: &[u8], pointer: &JsonPointer) -> Result<Option<Place>, BodyError> {
    let body = std::str::from_utf8(body).map_err(|_| BodyError::Charset)?;
    let mut at: &RawValue = serde_json::from_str(body).map_err(|_| BodyError::Json)?;
    for token in pointer.tokens() {
        let mut reader = serde_json::Deserializer::from_str(at.get());
        match reader.deserialize_any(Step(&token)).map_err(|_| BodyError::Json)? {
            Found::Nothing => return Ok(None),
            Found::One(next) => at = next,
            Found::Doubled => return Err(BodyError::Doubled),
            Found::Nameless => return Err(BodyError::Nameless),
        }
    }
    let text = at.get();
    let start = text.as_ptr().addr() - body.as_ptr().addr(); // it is borrowed from there
    let value = match text.as_bytes().first() {
        Some(b'"') => Value::Text(serde_json::from_str(text).map_err(|_| BodyError::Escape)?),
        Some(b'n') => Value::Nothing,
        _ => Value::Other,
    };
    let value = if value == Value::Text(String::new()) { Value::Nothing } else { value };
    Ok(Some(Place { range: start..start + text.len(), value, keeps_length: false }))
}

/// One step of a pointer.
struct Step<'t>(&'t str);

enum Found<'de> {
    Nothing,
    One(&'de RawValue),
    Doubled,
    Nameless,
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found::Nothing;
        while let Some(name) = map.next_key::<String>()? {
            if !same(&name, self.0) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value()?;
            found = match found {
                Found::Nothing if name == self.0 => Found::One(value),
                _ => Found::Doubled,
            };
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found<'de>, A::Error> {
        // Numbers without leading zeros (RFC 6901 §4).
        let wanted = self.0.parse::<usize>().ok().filter(|number| number.to_string() == self.0);
        let (mut number, mut found) = (0, if wanted.is_some() { Found::Nothing } else { Found::Nameless });
        loop {
            if Some(number) == wanted {
                let Some(value) = seq.next_element()? else { return Ok(found) };
                found = Found::One(value);
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            number += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<'de>, E> {
        Ok(Found::Nameless)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found<'de>, E> {
        Ok(Found::Nameless)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found<'de>, E> {
        Ok(Found::Nameless)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found<'de>, E> {
        Ok(Found::Nameless)
    }

    fn visit_str<E>(self, _: &str) -> Result<Found<'de>, E> {
        Ok(Found::Nameless)
    }

    fn visit_unit<E>(self) -> Result<Found<'de>, E> {
        Ok(Found::Nothing)
    }
}

#[cfg(test)]
mod tests;
