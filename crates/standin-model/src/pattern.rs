//! Patterns for hosts, paths and other texts, as they stand in a configuration.

use crate::host::{Host, Name};
use crate::spelling::Spellings;
use std::fmt;
use std::sync::OnceLock;

/// A pattern for hosts.
///
/// | written | matches |
/// |---|---|
/// | `example.com` | that name alone |
/// | `*.example.com` | one label more: `a.example.com`, not `a.b.example.com`, not the apex |
/// | `**.example.com` | one label or more: `a.example.com`, `a.b.example.com`, not the apex |
/// | `192.0.2.1`, `[2001:db8::1]` | that address literal alone |
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HostPattern(Kind);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kind {
    Exact(Host),
    OneLabel(Name),
    AnyDepth(Name),
}

/// A pattern for paths: `*` is one segment (or a part of one), `**` any number of segments.
#[derive(Clone, PartialEq, Eq)]
pub struct PathPattern(TextPattern);

/// A pattern for texts, of which some are made of segments, as names of refs and models are: `*` is one segment (or a part of
/// one), `**` any number of segments.
#[derive(Clone)]
pub struct TextPattern {
    text: Box<str>,
    /// Compiled when first asked: a catalogue has hundreds of patterns, a session needs a few, and start-up is short.
    matcher: OnceLock<Option<globset::GlobMatcher>>,
    caseless: OnceLock<Option<globset::GlobMatcher>>,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The part after the wildcard, or the whole, is not a host.
    #[error("{0}")]
    Host(#[from] crate::host::HostError),
    /// A wildcard in another place than the leftmost label.
    #[error("a wildcard may only be the whole leftmost label: `*.example.com` or `**.example.com`")]
    Wildcard,
    /// A wildcard over a whole top-level domain, or over everything.
    #[error("a wildcard needs at least two labels after it")]
    TooWide,
    /// A path that does not begin with `/`.
    #[error("a path pattern begins with `/`")]
    NotAbsolute,
    /// Not a glob.
    #[error("not a pattern: {0}")]
    Glob(String),
}

impl HostPattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (kind, rest): (fn(Name) -> Kind, &str) = if let Some(rest) = text.strip_prefix("**.") {
            (Kind::AnyDepth, rest)
        } else if let Some(rest) = text.strip_prefix("*.") {
            (Kind::OneLabel, rest)
        } else if text.contains('*') {
            return Err(PatternError::Wildcard);
        } else {
            return Ok(Self(Kind::Exact(Host::parse(text)?)));
        };
        if rest.contains('*') {
            return Err(PatternError::Wildcard);
        }
        match Host::parse(rest)? {
            Host::Name(name) if name.labels().count() >= 2 => Ok(Self(kind(name))),
            _ => Err(PatternError::TooWide),
        }
    }

    /// The pattern that matches this host and no other.
    pub fn exact(host: Host) -> Self {
        Self(Kind::Exact(host))
    }

    /// Whether `host` is one of those meant. Compared label by label, so `evilgood.com` is not `*.good.com`.
    pub fn matches(&self, host: &Host) -> bool {
        match (&self.0, host) {
            (Kind::Exact(want), _) => want == host,
            (Kind::OneLabel(suffix), Host::Name(name)) => {
                name.as_str().split_once('.').is_some_and(|(_, parent)| parent == suffix.as_str())
            }
            (Kind::AnyDepth(suffix), Host::Name(name)) => {
                name.as_str().strip_suffix(suffix.as_str()).is_some_and(|head| head.ends_with('.'))
            }
            (_, Host::Ip(_)) => false,
        }
    }

    /// Whether every host that `other` means is meant.
    pub fn covers(&self, other: &Self) -> bool {
        let is_below = |name: &Name, suffix: &Name| {
            name == suffix || name.as_str().strip_suffix(suffix.as_str()).is_some_and(|head| head.ends_with('.'))
        };
        match (&self.0, &other.0) {
            (_, Kind::Exact(host)) => self.matches(host),
            (Kind::OneLabel(mine), Kind::OneLabel(other)) => mine == other,
            (Kind::AnyDepth(mine), Kind::OneLabel(other) | Kind::AnyDepth(other)) => is_below(other, mine),
            (Kind::Exact(_) | Kind::OneLabel(_), _) => false,
        }
    }

    /// The host, if the pattern means exactly one: what an index is keyed by.
    pub fn as_exact(&self) -> Option<&Host> {
        match &self.0 {
            Kind::Exact(host) => Some(host),
            _ => None,
        }
    }

    /// The name below which a wildcard matches: what an index of wildcards is keyed by.
    pub fn wildcard_parent(&self) -> Option<&Name> {
        match &self.0 {
            Kind::Exact(_) => None,
            Kind::OneLabel(name) | Kind::AnyDepth(name) => Some(name),
        }
    }
}

impl PathPattern {
    /// Compiles a pattern. It is matched against the normalised path without the query.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if !text.starts_with('/') {
            return Err(PatternError::NotAbsolute);
        }
        TextPattern::parse(text).map(Self)
    }

    /// A pattern of ours, of which a test says that it parses.
    pub fn compiled_in(text: &str) -> Self {
        Self(TextPattern::compiled_in(text))
    }

    /// Whether the normalised `path` is one of those meant.
    pub fn matches(&self, path: &str) -> bool {
        self.0.matches(path)
    }

    /// Whether a path is one of those meant, in any spelling that some server takes for it: for rules that deny.
    pub fn means(&self, path: &Spellings<'_>) -> bool {
        self.matches(path.written()) || path.careless().any(|path| self.0.matches_in_any_case(path))
    }

    /// Whether more of its segments are words than are wildcards, and none is any number of segments.
    pub fn is_mostly_words(&self) -> bool {
        let segments: Vec<_> = self.as_str().split('/').filter(|segment| !segment.is_empty()).collect();
        let wild = segments.iter().filter(|segment| segment.contains(['*', '?', '[', '{'])).count();
        !self.as_str().contains("**") && 2 * wild < segments.len()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl TextPattern {
    /// Compiles a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        compile(text, false).map_err(|error| PatternError::Glob(error.kind().to_string()))?;
        Ok(Self::compiled_in(text))
    }

    /// A pattern of ours, of which a test says that it parses.
    pub fn compiled_in(text: &str) -> Self {
        Self { text: text.into(), matcher: OnceLock::new(), caseless: OnceLock::new() }
    }

    /// Whether the text is one of those meant.
    pub fn matches(&self, text: &str) -> bool {
        let matcher = self.matcher.get_or_init(|| Some(compile(&self.text, false).ok()?.compile_matcher()));
        matcher.as_ref().is_some_and(|matcher| matcher.is_match(text))
    }

    /// Whether the text is one of those meant, in any case: for rules that deny.
    pub fn matches_in_any_case(&self, text: &str) -> bool {
        let caseless = self.caseless.get_or_init(|| Some(compile(&self.text, true).ok()?.compile_matcher()));
        // One that does not compile is none that parses; if it were, denying would be the safe side, as is above not to allow.
        caseless.as_ref().is_none_or(|matcher| matcher.is_match(text))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn compile(text: &str, caseless: bool) -> Result<globset::Glob, globset::Error> {
    let mut builder = globset::GlobBuilder::new(text);
    builder.literal_separator(true).backslash_escape(true).case_insensitive(caseless).build()
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Exact(host) => host.fmt(f),
            Kind::OneLabel(name) => write!(f, "*.{name}"),
            Kind::AnyDepth(name) => write!(f, "**.{name}"),
        }
    }
}

impl fmt::Debug for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostPattern({self})")
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathPattern({})", self.as_str())
    }
}

impl fmt::Debug for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextPattern({})", self.as_str())
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TextPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(pattern: &str, hosts: &[&str]) -> Vec<String> {
        let pattern = HostPattern::parse(pattern).unwrap();
        hosts.iter().filter(|h| pattern.matches(&Host::parse(h).unwrap())).map(ToString::to_string).collect()
    }

    #[test]
    fn hosts_match_label_by_label() {
        let hosts = ["good.com", "a.good.com", "a.b.good.com", "evilgood.com", "good.com.evil.com", "10.0.0.1"];
        assert_eq!(matching("good.com", &hosts), ["good.com"]);
        assert_eq!(matching("*.good.com", &hosts), ["a.good.com"]);
        assert_eq!(matching("**.good.com", &hosts), ["a.good.com", "a.b.good.com"]);
        assert_eq!(matching("10.0.0.1", &hosts), ["10.0.0.1"]);
        assert_eq!(matching("0xa.1", &hosts), ["10.0.0.1"]);
    }

    #[test]
    fn wide_or_odd_wildcards_are_refused() {
        for (text, error) in [
            ("*", PatternError::Wildcard),
            ("*.com", PatternError::TooWide),
            ("**.com", PatternError::TooWide),
            ("a*.good.com", PatternError::Wildcard),
            ("*.*.good.com", PatternError::Wildcard),
            ("*.10.0.0.1", PatternError::TooWide),
        ] {
            assert_eq!(HostPattern::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn paths() {
        let matching = |pattern: &str, paths: &[&str]| -> Vec<String> {
            let pattern = PathPattern::parse(pattern).unwrap();
            paths.iter().filter(|p| pattern.matches(p)).map(ToString::to_string).collect()
        };
        let paths = ["/", "/v1", "/v1/", "/v1/a", "/v1/a/b", "/v10"];
        assert_eq!(matching("/v1/**", &paths), ["/v1/", "/v1/a", "/v1/a/b"]);
        assert_eq!(matching("/v1/*", &paths), ["/v1/", "/v1/a"]);
        assert_eq!(matching("/v1", &paths), ["/v1"]);
        assert_eq!(matching("/**", &paths), paths);
        assert_eq!(PathPattern::parse("v1"), Err(PatternError::NotAbsolute));
    }

    #[test]
    fn a_path_of_words_is_no_area() {
        for (pattern, words) in [
            ("/v1/organizations/users/*", true),
            ("/v1/organizations/me", true),
            ("/v1/organizations/**", false),
            ("/v1/organizations/users**", false),
            ("/v1/*/*", false),
            ("/v1/*", false),
            ("/{v1,v2}/users", false),
            ("/*", false),
            ("/", false),
            ("/**", false),
        ] {
            assert_eq!(PathPattern::parse(pattern).unwrap().is_mostly_words(), words, "{pattern}");
        }
    }
}
