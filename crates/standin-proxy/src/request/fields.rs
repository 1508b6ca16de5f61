//! Taking fields out of a message's head.

use http::HeaderMap;

/// Removes the fields with such names (which are in lower case). In most messages there are none: then the names have
/// been looked at once, and nothing else has happened.
pub(super) fn remove(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    while let Some(name) = headers.keys().find(|name| unwanted(name.as_str())).cloned() {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn every_line_of_every_such_field_goes() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("d", "5")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        remove(&mut headers, |name| matches!(name, "a" | "c"));
        let mut left: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(left, [("b", "2"), ("d", "5")]);
    }
}
