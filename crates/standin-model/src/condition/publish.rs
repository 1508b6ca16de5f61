//! Which package a request publishes, at registries that take a package in one request.

use super::Evidence;
use crate::pattern::TextPattern;
use crate::spelling::Spellings;
use serde::Deserialize;
use std::fmt;

/// Which packages may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Where; it says how a request is read.
    pub registry: Registry,
    /// Their names.
    pub packages: Vec<TextPattern>,
    /// Their versions; an empty list means all of them.
    pub versions: Vec<TextPattern>,
    /// What they are called besides (npm's dist-tags); an empty list means anything.
    pub tags: Vec<TextPattern>,
}

/// A kind of registry.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Registry {
    /// npm's, and those that speak as it does.
    Npm,
    /// The Python Package Index, likewise.
    PyPi,
}

/// What a request publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The package's name.
    pub name: String,
    /// Its versions in the request.
    pub versions: Vec<String>,
    /// What they are called besides.
    pub tags: Vec<String>,
}

impl Registry {
    /// The method that publishes there.
    pub fn method(self) -> &'static str {
        match self {
            Self::Npm => "PUT",
            Self::PyPi => "POST",
        }
    }
}

impl Publish {
    pub(super) fn surely_holds(&self, path: &Spellings<'_>, evidence: &dyn Evidence) -> bool {
        let one = |patterns: &[TextPattern], text: &str| patterns.iter().any(|pattern| pattern.matches(text));
        let all = |patterns: &[TextPattern], texts: &[String]| {
            patterns.is_empty() || texts.iter().all(|text| one(patterns, text))
        };
        evidence.publish(self.registry, path.written()).is_some_and(|published| {
            one(&self.packages, &published.name)
                && !published.versions.is_empty()
                && all(&self.versions, &published.versions)
                && all(&self.tags, &published.tags)
                // What is not called anything is called `latest` by some registries.
                && (self.tags.is_empty() || !published.tags.is_empty())
        })
    }

    pub(super) fn may_hold(&self, path: &Spellings<'_>, evidence: &dyn Evidence) -> bool {
        let any = |patterns: &[TextPattern], texts: &[String]| {
            let meant = |text: &String| patterns.iter().any(|pattern| pattern.matches_in_any_case(text));
            patterns.is_empty() || texts.iter().any(meant)
        };
        let usual = ["latest".to_owned()];
        evidence.publish(self.registry, path.written()).is_none_or(|published| {
            any(&self.packages, std::slice::from_ref(&published.name))
                && any(&self.versions, &published.versions)
                && any(&self.tags, if published.tags.is_empty() { &usual } else { &published.tags })
        })
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |patterns: &[TextPattern]| {
            patterns.iter().map(|pattern| format!("`{}`", pattern.as_str())).collect::<Vec<_>>().join(" or ")
        };
        write!(f, "{} package {} only", self.registry, list(&self.packages))?;
        if !self.versions.is_empty() {
            write!(f, ", version {}", list(&self.versions))?;
        }
        if !self.tags.is_empty() {
            write!(f, ", tag {}", list(&self.tags))?;
        }
        Ok(())
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "package {:?}, version {}", self.name, self.versions.join(", "))?;
        if self.tags.is_empty() { Ok(()) } else { write!(f, ", tag {}", self.tags.join(", ")) }
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Npm => "npm",
            Self::PyPi => "pypi",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::{Fact, Place};

    struct Told(Option<Published>);

    impl Evidence for Told {
        fn value(&self, _: &Place) -> Fact {
            Fact::Unknown
        }

        fn publish(&self, _: Registry, _: &str) -> Option<Published> {
            self.0.clone()
        }
    }

    /// The package, every version and every tag are meant by what allows; one of each is enough for what denies.
    #[test]
    fn package_versions_and_tags_count() {
        let list = |texts: &[&str]| texts.iter().map(|text| TextPattern::parse(text).unwrap()).collect::<Vec<_>>();
        let publish = Publish {
            registry: Registry::Npm,
            packages: list(&["@acme/*"]),
            versions: list(&["1.*"]),
            tags: list(&["next"]),
        };
        let told = |name: &str, versions: &[&str], tags: &[&str]| {
            let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
            Some(Published { name: name.to_owned(), versions: texts(versions), tags: texts(tags) })
        };
        for (published, allows, denies) in [
            (told("@acme/widget", &["1.2.0"], &["next"]), true, true),
            (told("@acme/widget", &["1.2.0"], &[]), false, false),
            (told("@ACME/widget", &["1.2.0"], &["next"]), false, true),
            (told("@acme/a/b", &["1.2.0"], &["next"]), false, false),
            (told("left-pad", &["1.2.0"], &["next"]), false, false),
            (told("@acme/widget", &["2.0.0"], &["next"]), false, false),
            (told("@acme/widget", &["1.2.0", "2.0.0"], &["next"]), false, true),
            (told("@acme/widget", &["1.2.0"], &["next", "latest"]), false, true),
            (told("@acme/widget", &[], &[]), false, false),
            (None, false, true),
        ] {
            let (evidence, path) = (Told(published), Spellings::of("/@acme%2Fwidget"));
            let verdict = (publish.surely_holds(&path, &evidence), publish.may_hold(&path, &evidence));
            assert_eq!(verdict, (allows, denies), "{:?}", evidence.0);
        }
        // What has no tag is what everybody installs, at some registries.
        let latest = Publish { tags: list(&["latest"]), ..publish };
        let (untagged, path) = (Told(told("@acme/widget", &["1.2.0"], &[])), Spellings::of("/@acme%2Fwidget"));
        assert!(!latest.surely_holds(&path, &untagged) && latest.may_hold(&path, &untagged));
    }
}
