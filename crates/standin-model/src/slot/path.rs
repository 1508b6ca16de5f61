//! A place in a path, by what comes before it.

use std::ops::Range;

/// How the place of the credential is written.
const PLACE: &str = "{}";

/// The beginning of a path, up to the credential: `/bot{}` is the rest of a first segment that begins with `bot`,
/// `/hooks/*/{}` the third segment of a path whose first is `hooks`. What follows the segment is free, so one slot serves
/// every method of an API. A path has at most one place for a slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathSlot(String);

impl PathSlot {
    /// Parses it. Every segment is one that a path in normal form can have, or `*`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let before = text.strip_prefix('/')?.strip_suffix(PLACE)?;
        let (segments, prefix) = before.rsplit_once('/').map_or((None, before), |(all, last)| (Some(all), last));
        let literal = |text: &str| text.bytes().all(is_literal);
        let whole = |segment: &str| segment == "*" || (!matches!(segment, "" | "." | "..") && literal(segment));
        (segments.is_none_or(|all| all.split('/').all(whole)) && literal(prefix)).then(|| Self(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the credential stands in a path in normal form.
    pub fn find(&self, path: &str) -> Option<Range<usize>> {
        let mut start = path.starts_with('/').then_some(1)?;
        for wanted in self.0.split('/').skip(1) {
            let end = path[start..].find('/').map_or(path.len(), |at| start + at);
            let segment = &path[start..end];
            if let Some(prefix) = wanted.strip_suffix(PLACE) {
                let value = segment.strip_prefix(prefix).filter(|value| !value.is_empty())?;
                return Some(end - value.len()..end);
            }
            if (wanted != "*" && wanted != segment) || end == path.len() {
                return None;
            }
            start = end + 1;
        }
        None
    }
}

/// What stands unescaped in a segment (RFC 3986 §3.3), but for what has a meaning here or to some servers.
fn is_literal(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~!$&'()+,=:@".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_one_place() {
        for (slot, path, value) in [
            ("/bot{}", "/bot123:AB/getMe", Some("123:AB")),
            ("/bot{}", "/bot123:AB", Some("123:AB")),
            ("/bot{}", "/bot/getMe", None),
            ("/bot{}", "/file/bot123:AB/x", None),
            ("/bot{}", "/Bot123:AB/x", None),
            ("/file/bot{}", "/file/bot123:AB/x", Some("123:AB")),
            ("/{}", "/a/b", Some("a")),
            ("/{}", "/", None),
            ("/{}", "*", None),
            ("/hooks/*/{}", "/hooks/1/abc/messages", Some("abc")),
            ("/hooks/*/{}", "/hooks/1", None),
            ("/hooks/*/{}", "/hooks/1/", None),
            ("/hooks/*/v-{}", "/hooks/1/v-abc", Some("abc")),
        ] {
            let found = PathSlot::parse(slot).unwrap().find(path).map(|range| &path[range]);
            assert_eq!(found, value, "{slot} in {path}");
        }
    }

    #[test]
    fn odd_slots_are_refused() {
        for text in [
            "", "/", "{}", "/{}/x", "/{}{}", "/a//{}", "/./{}", "/../{}", "/a*/{}", "/**/{}", "/*{}", "/a%2F{}",
            "/a?{}", "/é{}",
        ] {
            assert_eq!(PathSlot::parse(text), None, "{text}");
        }
    }
}
