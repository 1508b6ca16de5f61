//! What a request says beyond where it goes, for policy.
//!
//! One reader for the proxy, which reads a body only as far as policy asks, and for whoever asks policy without a session.

use crate::body::{self, Kind};
use crate::git::{Push, read_push};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use standin_model::{Commands, Evidence, Fact, Place, Wanted};

/// What has been read of a body.
#[derive(Debug)]
pub enum Seen {
    /// Nothing: nobody asks for it.
    Unread,
    /// There is none.
    Empty,
    /// The whole of it.
    Values(Kind, Bytes),
    /// What it pushes.
    Push(Commands),
    /// Somebody asks for it, and it cannot be told.
    Unreadable(&'static str),
}

/// A request with what has been read of it.
pub struct Known<'a> {
    headers: &'a HeaderMap,
    query: Option<&'a str>,
    seen: &'a Seen,
}

impl Seen {
    /// Of a body that is here as a whole.
    pub fn of(headers: &HeaderMap, body: Bytes, wanted: Wanted) -> Self {
        match () {
            () if !wanted.any() => Self::Unread,
            () if body.is_empty() => Self::Empty,
            () if is_coded(headers) => Self::CODED,
            () if wanted.push => Self::of_push(&body),
            () => kind(headers).map_or_else(Self::Unreadable, |kind| Self::Values(kind, body)),
        }
    }

    /// A body in a content coding.
    pub const CODED: Self = Self::Unreadable("it is in a content coding");

    /// Of the beginning of a push.
    pub fn of_push(begun: &[u8]) -> Self {
        match read_push(begun) {
            Push::Asked(commands) => Self::Push(commands),
            Push::Unfinished => Self::Unreadable("it names too many refs, or ends before it has named all"),
            Push::Unreadable => Self::Unreadable("its refs are not plainly named, or it is signed"),
        }
    }

    /// Why something that policy asks for cannot be told.
    pub fn unreadable(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable(why) => Some(why),
            _ => None,
        }
    }
}

/// The kind of a body, by its type; otherwise why there is none that values are read from.
pub fn kind(headers: &HeaderMap) -> Result<Kind, &'static str> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    match (types.next().and_then(|content_type| Kind::of(content_type.as_bytes())), types.next()) {
        (Some(Ok(kind)), None) => Ok(kind),
        (_, Some(_)) => Err("it has two types"),
        _ => Err("it is neither JSON nor a form"),
    }
}

/// Whether a body is in a content coding.
pub fn is_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

impl<'a> Known<'a> {
    /// Puts the two together.
    pub fn new(headers: &'a HeaderMap, query: Option<&'a str>, seen: &'a Seen) -> Self {
        Self { headers, query, seen }
    }
}

impl Evidence for Known<'_> {
    fn value(&self, place: &Place) -> Fact {
        match (place, self.seen) {
            (Place::Query(name), _) => body::parameter(self.query, name),
            (Place::Header(name), _) => field(self.headers, name),
            (Place::Form(_) | Place::Json(_), Seen::Values(kind, data)) => body::value(kind, data, place),
            (Place::Form(_) | Place::Json(_), Seen::Empty) => Fact::Absent,
            _ => Fact::Unknown,
        }
    }

    fn push(&self) -> Option<Commands> {
        match self.seen {
            Seen::Push(commands) => Some(commands.clone()),
            Seen::Empty => Some(Commands::default()),
            _ => None,
        }
    }
}

/// What a field of the head says. One that is there twice says nothing plainly; nor does one with an underscore in its name
/// that servers of the CGI tradition take for this one.
fn field(headers: &HeaderMap, name: &str) -> Fact {
    let alike =
        |other: &HeaderName| other.as_str() != name && other.as_str().replace('_', "-") == name.replace('_', "-");
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        _ if headers.keys().any(alike) => Fact::Unknown,
        (None, _) => Fact::Absent,
        (Some(value), None) => value.to_str().map_or(Fact::Unknown, |text| Fact::Text(text.to_owned())),
        (Some(_), Some(_)) => Fact::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use standin_model::JsonPointer;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn fields() {
        let value = |list: &[(&'static str, &'static str)]| field(&headers(list), "x-org");
        assert_eq!(value(&[]), Fact::Absent);
        assert_eq!(value(&[("x-org", "acme")]), Fact::Text("acme".to_owned()));
        assert_eq!(value(&[("x-org", "acme"), ("x-org", "acme")]), Fact::Unknown);
        assert_eq!(value(&[("x-org", "acme"), ("x_org", "other")]), Fact::Unknown);
        assert_eq!(value(&[("x_org", "other")]), Fact::Unknown);
        assert_eq!(value(&[("x-org", "acm\u{e9}")]), Fact::Unknown);
    }

    /// A body is what it says it is, or it says nothing.
    #[test]
    fn bodies() {
        let place = Place::Json(JsonPointer::parse("/a").unwrap());
        let wanted = Wanted { values: true, push: false };
        let value = |list: &[(&'static str, &'static str)], body: &'static [u8]| {
            let headers = headers(list);
            let seen = Seen::of(&headers, Bytes::from_static(body), wanted);
            Known::new(&headers, None, &seen).value(&place)
        };
        let json = ("content-type", "application/json");
        assert_eq!(value(&[json], b"{\"a\":1}"), Fact::Number(1.0));
        assert_eq!(value(&[], b""), Fact::Absent);
        for (list, body) in [
            (&[] as &[_], b"{\"a\":1}" as &[u8]),
            (&[("content-type", "text/plain")], b"{\"a\":1}"),
            (&[("content-type", "application/x-www-form-urlencoded")], b"{\"a\":1}"),
            (&[json, json], b"{\"a\":1}"),
            (&[json, ("content-encoding", "gzip")], b"{\"a\":1}"),
            (&[json], b"{\"a\":1"),
        ] {
            assert_eq!(value(list, body), Fact::Unknown, "{list:?}");
        }
    }
}
