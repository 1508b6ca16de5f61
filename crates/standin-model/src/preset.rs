//! The use of a preset, as people write it: `github:single-repo{owner=acme, repo=app}`.

use std::collections::BTreeMap;
use std::fmt;

/// Longest value of a parameter.
const MAX_VALUE: usize = 128;

/// A preset of a service, with its parameters' values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresetUse {
    /// The service's identifier.
    pub service: String,
    /// The preset's.
    pub preset: String,
    /// What its parameters are. They become part of patterns for paths and refs.
    pub values: BTreeMap<String, String>,
}

/// Why a text is not the use of a preset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresetError {
    /// Not of its form.
    #[error("write `service:preset`, or `service:preset{{name=value, name=value}}`")]
    Form,
    /// A value that is neither a name nor a pattern for names.
    #[error("`{0}` is given what is neither a name (letters, digits, `.`, `_`, `-`) nor a pattern (`agent/*`)")]
    Value(String),
    /// One parameter, two values.
    #[error("`{0}` is given twice")]
    Twice(String),
}

impl PresetUse {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, PresetError> {
        let (name, values) = match text.split_once('{') {
            Some((name, rest)) => (name, rest.strip_suffix('}').ok_or(PresetError::Form)?),
            None => (text, ""),
        };
        let (service, preset) = name.trim_end().split_once(':').ok_or(PresetError::Form)?;
        if !is_word(service) || !is_word(preset) {
            return Err(PresetError::Form);
        }
        let mut read = BTreeMap::new();
        for pair in values.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(PresetError::Form)?;
            let (name, value) = (name.trim_end(), value.trim_start());
            if !is_word(name) {
                return Err(PresetError::Form);
            }
            if !is_pattern(value) {
                return Err(PresetError::Value(name.to_owned()));
            }
            if read.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(PresetError::Twice(name.to_owned()));
            }
        }
        Ok(Self { service: service.to_owned(), preset: preset.to_owned(), values: read })
    }

    /// Whether what a parameter is given is a name, and no pattern.
    pub fn is_name(&self, parameter: &str) -> bool {
        self.values.get(parameter).is_some_and(|value| is_plain(value))
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// One segment of a path, that means itself in a pattern.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_VALUE).contains(&text.len()) && text.bytes().all(plain) && !text.bytes().all(|byte| byte == b'.')
}

/// Segments that mean themselves or have wildcards.
fn is_pattern(text: &str) -> bool {
    text.len() <= MAX_VALUE && text.split('/').all(|part| is_plain(&part.replace('*', "x")))
}

impl fmt::Display for PresetUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, preset, values } = self;
        write!(f, "{service}:{preset}")?;
        if values.is_empty() {
            return Ok(());
        }
        let pairs: Vec<_> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write!(f, "{{{}}}", pairs.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["npm:install-only", "github:single-repo{owner=acme, repo=app.js}"] {
            assert_eq!(PresetUse::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(PresetUse::parse("a:b { x = 1 ,}").unwrap().to_string(), "a:b{x=1}");
    }

    /// A value that leads to another path, or is a pattern where a name is asked for, would make a preset mean more than it says.
    #[test]
    fn a_value_is_a_name_or_a_pattern_for_names() {
        for value in ["", "/a", "a/", "a//b", "a/../b", "..", ".", "a%2fb", "{a", "[a]", "?", "a\\b", "ü"] {
            let text = format!("github:single-repo{{owner={value}}}");
            assert_eq!(PresetUse::parse(&text), Err(PresetError::Value("owner".into())), "{text}");
        }
        for (value, is_name) in
            [("a", true), ("a.b", true), ("*", false), ("a*", false), ("a/b", false), ("a/**", false)]
        {
            let usage = PresetUse::parse(&format!("github:single-repo{{owner={value}}}")).unwrap();
            assert_eq!(usage.is_name("owner"), is_name, "{value}");
        }
        assert_eq!(PresetUse::parse("a:b{x=1, x=2}"), Err(PresetError::Twice("x".into())));
        for wrong in ["", "github", ":x", "a:", "a:b{x}", "a:b{x=1", "a:b}", "A:b", "a:b{X=1}"] {
            assert_eq!(PresetUse::parse(wrong), Err(PresetError::Form), "{wrong}");
        }
    }
}
