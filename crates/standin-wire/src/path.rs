//! One normal form of a request target (RFC 3986 §6.2.2), so that what policy judges is what the origin gets.
//!
//! Two spellings of one path are a way around a path rule (THREATS 33). Dot segments are resolved, empty
//! segments dropped, needless escapes decoded, the rest put in upper case. What servers are known to read
//! differently is refused: backslashes, doubly encoded separators, dot segments behind `%2F` or `;`.
//! `%2F` itself stays, as an octet of its segment: scoped npm packages and GitLab projects need it.

use std::fmt;

/// A request target in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The path, beginning with `/` (or `*` for `OPTIONS`).
    pub path: String,
    /// What follows the `?`, as it came.
    pub query: Option<String>,
}

/// Why a target has no normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not beginning with `/`.
    #[error("it does not begin with a slash")]
    NotAbsolute,
    /// A control byte, blank, backslash, `#` or a byte beyond ASCII.
    #[error("it has a forbidden byte")]
    Forbidden,
    /// `%` without two hexadecimal digits, or an escaped control byte or backslash.
    #[error("it has a forbidden escape")]
    Escape,
    /// An escape of an escape that would make a separator or a dot.
    #[error("it is escaped twice")]
    Double,
    /// Dot segments that climb over the root, or hide behind `%2F` or `;`.
    #[error("its dot segments are ambiguous")]
    Dots,
}

/// Brings a target into normal form.
pub fn normalise(target: &str) -> Result<Target, PathError> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    if !target.bytes().all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'#') {
        return Err(PathError::Forbidden);
    }
    let path = if path == "*" { path.to_owned() } else { normalise_path(path)? };
    Ok(Target { path, query: query.map(str::to_owned) })
}

fn normalise_path(path: &str) -> Result<String, PathError> {
    let rest = path.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
    if !path.bytes().any(|b| matches!(b, b'%' | b';')) && !path.contains("//") && !path.contains("/.") {
        return Ok(path.to_owned());
    }
    let mut kept: Vec<String> = Vec::new();
    let mut ends_open = false;
    for segment in rest.split('/') {
        let segment = decode_segment(segment)?;
        ends_open = matches!(segment.as_str(), "" | "." | "..");
        match segment.as_str() {
            "" | "." => {}
            ".." => drop(kept.pop().ok_or(PathError::Dots)?),
            _ => kept.push(segment),
        }
    }
    let mut normal = String::with_capacity(path.len());
    for segment in &kept {
        normal.push('/');
        normal.push_str(segment);
    }
    if ends_open || normal.is_empty() {
        normal.push('/');
    }
    Ok(normal)
}

/// Decodes escapes of unreserved characters (RFC 3986 §2.3), keeps the others in upper case.
fn decode_segment(segment: &str) -> Result<String, PathError> {
    let bytes = segment.as_bytes();
    let mut out = String::with_capacity(segment.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            out.push(char::from(bytes[at]));
            at += 1;
            continue;
        }
        let byte = escape_at(bytes, at).ok_or(PathError::Escape)?;
        match byte {
            0..=0x1f | 0x7f | b'\\' => return Err(PathError::Escape),
            b if is_unreserved(b) => out.push(char::from(b)),
            b => out.extend(format!("%{b:02X}").chars()),
        }
        at += 3;
    }
    // Looked for in what is sent: `%25%32%66` becomes `%252f` only here.
    if out.match_indices("%25").any(|(at, escape)| hides_separator(&out.as_bytes()[at + escape.len()..])) {
        return Err(PathError::Double);
    }
    let hidden = |part: &str| matches!(part, "" | "." | "..");
    let before_parameters = out.split(';').next().unwrap_or_default();
    if (out.contains(';') && matches!(before_parameters, "." | ".."))
        || (out.contains("%2F") && out.split("%2F").any(hidden))
    {
        return Err(PathError::Dots);
    }
    Ok(out)
}

fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
    u8::try_from(digit(at + 1)? * 16 + digit(at + 2)?).ok()
}

/// Whether the text after `%25` would, decoded once more, be a separator, a dot, a percent or a control byte.
fn hides_separator(rest: &[u8]) -> bool {
    let digit = |i: usize| rest.get(i).and_then(|b| char::from(*b).to_digit(16));
    match (digit(0), digit(1)) {
        (Some(high), Some(low)) => {
            let byte = high * 16 + low;
            byte < 0x20 || matches!(byte, 0x25 | 0x2e | 0x2f | 0x3b | 0x5c | 0x7f)
        }
        _ => false,
    }
}

fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.query {
            Some(query) => write!(f, "{}?{query}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        let got = match normalise(input) {
            Ok(target) => target.to_string(),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, expected, "input {input:?}");
    }

    #[test]
    fn one_normal_form() {
        check("/", "/");
        check("/v1/messages?beta=true", "/v1/messages?beta=true");
        check("/a/./b/../c", "/a/c");
        check("/a/..", "/");
        check("/a/b/.", "/a/b/");
        check("/a//b", "/a/b");
        check("//evil.example/x", "/evil.example/x");
        check("/%61%2D%7e", "/a-~");
        check("/%2e%2e/%2e", "error: its dot segments are ambiguous");
        check("/a/%2E%2e/b", "/b");
        check("/a%3ab%c3%a9", "/a%3Ab%C3%A9");
        check("/@scope%2fname", "/@scope%2Fname");
        check("/100%25", "/100%25");
        check("/.well-known/x", "/.well-known/x");
        check("/...", "/...");
        check("*", "*");
        check("/a;v=1/b", "/a;v=1/b");
        check("/a?x=/../y", "/a?x=/../y");
    }

    #[test]
    fn ambiguous_targets_are_refused() {
        check("", "error: it does not begin with a slash");
        check("a", "error: it does not begin with a slash");
        check("/..", "error: its dot segments are ambiguous");
        check("/a/../../user", "error: its dot segments are ambiguous");
        check("/a/..;/b", "error: its dot segments are ambiguous");
        check("/a%2f..%2fb", "error: its dot segments are ambiguous");
        check("/a%2f%2fb", "error: its dot segments are ambiguous");
        check("/a\\b", "error: it has a forbidden byte");
        check("/a b", "error: it has a forbidden byte");
        check("/a#b", "error: it has a forbidden byte");
        check("/é", "error: it has a forbidden byte");
        check("/a%5cb", "error: it has a forbidden escape");
        check("/a%00", "error: it has a forbidden escape");
        check("/a%0d%0a", "error: it has a forbidden escape");
        check("/a%2", "error: it has a forbidden escape");
        check("/a%zz", "error: it has a forbidden escape");
        check("/a%252fb", "error: it is escaped twice");
        check("/%252e%252e/b", "error: it is escaped twice");
        check("/a%25%32%66b", "error: it is escaped twice");
        check("/a%252%65b", "error: it is escaped twice");
        check("/a%25%31%62b", "error: it is escaped twice");
    }

    proptest::proptest! {
        #[test]
        fn normalising_is_idempotent(path in "/[a-c./%;2eEfF5]{0,24}") {
            if let Ok(target) = normalise(&path) {
                proptest::prop_assert_eq!(normalise(&target.path), Ok(target));
            }
        }

        #[test]
        fn no_dot_segment_survives(path in "/[ab./%2eE;]{0,24}") {
            if let Ok(target) = normalise(&path) {
                proptest::prop_assert!(!target.path.split('/').any(|s| s == "." || s == ".."), "{}", target.path);
            }
        }
    }
}
