//! What a request says beyond where it goes, for policy.
//!
//! One reader for the proxy, which reads a body only as far as policy asks, and for whoever asks policy without a session.

use crate::body::{self, Kind, graphql, publish};
use crate::git::{Push, read_push};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use standin_model::{Commands, Evidence, Fact, Operations, Place, Published, Registry, Wanted};
use std::sync::OnceLock;

/// What has been read of a body.
#[derive(Debug)]
pub enum Seen {
    /// Nothing: nobody asks for it.
    Unread,
    /// There is none.
    Empty,
    /// The whole of it.
    Values(Kind, Bytes),
    /// The whole of it, which is GraphQL and nothing else.
    Document(Bytes),
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
    /// What it runs in GraphQL, once somebody has asked.
    operations: OnceLock<Result<Operations, &'static str>>,
    /// What it publishes, likewise.
    published: OnceLock<(Registry, Option<Published>)>,
}

/// A type of bodies that are read.
pub enum Type {
    /// Values have their places in it.
    Values(Kind),
    /// `application/graphql`: a document, as it is.
    Document,
}

impl Type {
    /// What a body of this type is.
    pub fn seen(self, body: Bytes) -> Seen {
        match self {
            Self::Values(kind) => Seen::Values(kind, body),
            Self::Document => Seen::Document(body),
        }
    }
}

impl Seen {
    /// Of a body that is here as a whole.
    pub fn of(headers: &HeaderMap, body: Bytes, wanted: Wanted) -> Self {
        match () {
            () if !wanted.any() => Self::Unread,
            () if body.is_empty() => Self::Empty,
            () if is_coded(headers) => Self::CODED,
            () if wanted.push => read_push(&body).into(),
            () if body.len() > wanted.most() => Self::Unreadable("it is too large"),
            () => content(headers).map_or_else(Self::Unreadable, |content| content.seen(body)),
        }
    }

    /// A body in a content coding.
    pub const CODED: Self = Self::Unreadable("it is in a content coding");

    /// Why something that policy asks for cannot be told.
    pub fn unreadable(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable(why) => Some(why),
            _ => None,
        }
    }
}

impl From<Push> for Seen {
    fn from(push: Push) -> Self {
        match push {
            Push::Asked(commands) => Self::Push(commands),
            Push::Unfinished => Self::Unreadable("it names too many refs, or ends before it has named all"),
            Push::Unreadable => Self::Unreadable("its refs are not plainly named, or it is signed, or has options"),
        }
    }
}

/// What a body is, by its type; otherwise why nothing is read from it.
pub fn content(headers: &HeaderMap) -> Result<Type, &'static str> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    if headers.keys().any(|name| is_alike(name, header::CONTENT_TYPE.as_str())) {
        return Err("it has two types");
    }
    match (types.next(), types.next()) {
        (Some(_), Some(_)) => Err("it has two types"),
        (Some(one), None) if is_graphql(one.as_bytes()) => Ok(Type::Document),
        (one, _) => match one.and_then(|one| Kind::of(one.as_bytes())) {
            Some(Ok(kind)) => Ok(Type::Values(kind)),
            _ => Err("it is neither JSON nor a form"),
        },
    }
}

/// Whether a type is that of a document of GraphQL, in UTF-8.
fn is_graphql(content_type: &[u8]) -> bool {
    let plain: Vec<_> = content_type.iter().filter(|byte| !b" \"".contains(byte)).map(u8::to_ascii_lowercase).collect();
    matches!(plain.as_slice(), b"application/graphql" | b"application/graphql;charset=utf-8")
}

/// Whether a body is in a content coding.
pub fn is_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

impl<'a> Known<'a> {
    /// Puts the two together.
    pub fn new(headers: &'a HeaderMap, query: Option<&'a str>, seen: &'a Seen) -> Self {
        Self { headers, query, seen, operations: OnceLock::new(), published: OnceLock::new() }
    }

    /// Why something that policy asked for could not be told.
    pub fn unreadable(&self) -> Option<&'static str> {
        self.seen.unreadable().or_else(|| self.operations.get().and_then(|read| read.as_ref().err().copied()))
    }

    /// What it publishes at a registry of this kind. A query may say more, and is in none that clients send.
    fn published(&self, registry: Registry, path: &str) -> Option<Published> {
        match (registry, self.seen) {
            _ if self.query.is_some() => None,
            (Registry::Npm, Seen::Values(Kind::Json, data)) => publish::npm(path, data),
            (Registry::PyPi, Seen::Values(kind, data)) => publish::pypi(kind, data),
            _ => None,
        }
    }

    /// What it runs in GraphQL. Some servers read the query beside a body, some before it, so it is in one of the two.
    fn operations(&self) -> Result<Operations, &'static str> {
        let query = self.query.unwrap_or_default();
        match self.seen {
            Seen::Empty => graphql::parameters(query),
            _ if !query.is_empty() => Err("it has a query beside its body"),
            Seen::Values(Kind::Json, data) => graphql::json(data),
            Seen::Values(Kind::Form, _) => {
                Err("GraphQL in it is sent as a form (send `content-type: application/json`)")
            }
            Seen::Document(data) => std::str::from_utf8(data).map_err(|_| NO_TEXT).and_then(graphql::document),
            Seen::Unreadable(why) => Err(why),
            Seen::Unread | Seen::Push(_) | Seen::Values(Kind::Multipart(_), _) => {
                Err("it is of a type that GraphQL is not read from")
            }
        }
    }
}

const NO_TEXT: &str = "it is not in UTF-8";

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

    fn graphql(&self) -> Option<Operations> {
        self.operations.get_or_init(|| self.operations()).clone().ok()
    }

    fn publish(&self, registry: Registry, path: &str) -> Option<Published> {
        let (of, published) = self.published.get_or_init(|| (registry, self.published(registry, path)));
        if *of == registry { published.clone() } else { self.published(registry, path) }
    }
}

/// What a field of the head says: one value, or a list where it has commas or several lines (RFC 9110 §5.3). One with an underscore
/// in its name that servers of the CGI tradition take for this one makes it unknown.
fn field(headers: &HeaderMap, name: &str) -> Fact {
    if headers.keys().any(|other| is_alike(other, name)) {
        return Fact::Unknown;
    }
    let Ok(lines) = headers.get_all(name).iter().map(|value| value.to_str()).collect::<Result<Vec<_>, _>>() else {
        return Fact::Unknown;
    };
    let elements: Vec<_> = lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect();
    match (lines.as_slice(), elements.as_slice()) {
        ([], _) => Fact::Absent,
        ([line], [_]) => Fact::Text((*line).to_owned()),
        _ => Fact::List(elements.into_iter().map(str::to_owned).collect(), lines.join(", ")),
    }
}

/// Whether servers of the CGI tradition take another name for this one.
fn is_alike(other: &HeaderName, name: &str) -> bool {
    other.as_str() != name && other.as_str().replace('_', "-") == name.replace('_', "-")
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
        let list = Fact::List(vec!["acme".to_owned(), "b".to_owned()], "acme, b".to_owned());
        assert_eq!(value(&[("x-org", "acme"), ("x-org", "b")]), list);
        assert_eq!(value(&[("x-org", "acme, b")]), list);
        assert_eq!(value(&[("x-org", "acme"), ("x_org", "other")]), Fact::Unknown);
        assert_eq!(value(&[("x_org", "other")]), Fact::Unknown);
        assert_eq!(value(&[("x-org", "acm\u{e9}")]), Fact::Unknown);
    }

    /// A body is what it says it is, or it says nothing.
    #[test]
    fn bodies() {
        let place = Place::Json(JsonPointer::parse("/a").unwrap());
        let wanted = Wanted { values: true, ..Wanted::default() };
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
            (&[json, ("content_type", "text/xml")], b"{\"a\":1}"),
            (&[("content-type", "application/json; charset*0=utf-7")], b"{\"a\":1}"),
            (&[("content-type", "application/json; xcharset=Shift_JIS")], b"{\"a\":1}"),
            (&[json, ("content-encoding", "gzip")], b"{\"a\":1}"),
            (&[json], b"{\"a\":1"),
        ] {
            assert_eq!(value(list, body), Fact::Unknown, "{list:?}");
        }
    }
}
