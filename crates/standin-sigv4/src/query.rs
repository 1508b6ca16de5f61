//! A query as both sides read it: pairs, each escaped in one way.

use crate::Error;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// All but unreserved characters (RFC 3986 §2.3), as AWS escapes.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in a path that may be escaped already.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/').remove(b'%');

/// Name and value of each pair, decoded, with the pair as it is written.
pub(crate) type Pair<'a> = (String, String, &'a str);

/// The pairs of a query. A `+` is a blank to some and a plus to others; bytes that are no UTF-8 are replaced by some; an
/// empty pair counts for some.
pub(crate) fn pairs(query: &str) -> Result<Vec<Pair<'_>>, Error> {
    if query.is_empty() {
        return Ok(Vec::new());
    }
    query
        .split('&')
        .map(|pair| {
            if pair.is_empty() {
                return Err(Error::Target("its query has an empty pair"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?, pair))
        })
        .collect()
}

fn decoded(text: &str) -> Result<String, Error> {
    let escapes = text.match_indices('%').all(|(at, _)| {
        text.as_bytes().get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if text.contains('+') || !escapes {
        return Err(Error::Target("its query has a `+` or a broken escape: write %20, %2B or %25"));
    }
    let text = percent_decode_str(text).decode_utf8();
    text.map(std::borrow::Cow::into_owned).map_err(|_| Error::Target("its query has escapes that are not UTF-8"))
}

/// A name or value, escaped.
pub(crate) fn escaped(text: &str) -> String {
    percent_encode(text.as_bytes(), RESERVED).to_string()
}

/// A path in which everything is escaped that AWS escapes, and what was escaped still is, once.
pub(crate) fn escaped_path(path: &str) -> String {
    percent_encode(path.as_bytes(), RESERVED_IN_PATH).to_string()
}
