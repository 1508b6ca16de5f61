//! Presets: what is left of a service for one kind of work.

use super::{CatalogueError, Compiler, RawRule};
use serde::Deserialize;
use standin_model::{PresetUse, RequestRule};

/// One preset of a service. At the hosts where the service's credential is good, and at those that it names, it leaves what its
/// rules mean, and allows none of it by itself.
#[derive(Debug)]
pub struct Preset {
    /// What it is called: `single-repo`.
    pub id: String,
    /// What it leaves, for people.
    pub about: String,
    /// The names of its parameters.
    pub parameters: Vec<String>,
    /// Those of them that may be patterns.
    patterns: Vec<String>,
    rules: Vec<RawRule>,
}

/// Why a preset cannot be used so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresetUseError {
    /// A parameter without a value.
    #[error("it needs `{0}`")]
    Missing(String),
    /// A value for a parameter that it does not have.
    #[error("it has no `{0}`")]
    Unknown(String),
    /// A pattern for what is one thing.
    #[error("its `{0}` is a name, and no pattern")]
    Pattern(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPreset {
    id: String,
    about: String,
    #[serde(default)]
    parameters: Vec<String>,
    #[serde(default)]
    patterns: Vec<String>,
    rule: Vec<RawRule>,
}

impl RawPreset {
    /// Checks that its rules are rules, with some value for each parameter.
    pub(super) fn compile(self, compiler: &Compiler<'_>) -> Result<Preset, CatalogueError> {
        let Self { id, about, parameters, patterns, rule: rules } = self;
        let preset = Preset { id, about, parameters, patterns, rules };
        preset.filled(compiler, |_| Some("value"))?;
        Ok(preset)
    }
}

impl Preset {
    /// Its rules with these values, called as it is used.
    pub fn rules(&self, usage: &PresetUse) -> Result<Vec<RequestRule>, PresetUseError> {
        if let Some(missing) = self.parameters.iter().find(|name| !usage.values.contains_key(*name)) {
            return Err(PresetUseError::Missing(missing.clone()));
        }
        if let Some(unknown) = usage.values.keys().find(|name| !self.parameters.contains(name)) {
            return Err(PresetUseError::Unknown(unknown.clone()));
        }
        let is_odd = |name: &&String| !self.patterns.contains(name) && !usage.is_name(name);
        if let Some(odd) = self.parameters.iter().find(is_odd) {
            return Err(PresetUseError::Pattern(odd.clone()));
        }
        let compiler = Compiler { id: &usage.service };
        let rules = self.filled(&compiler, |name| usage.values.get(name).map(String::as_str));
        Ok(rules.expect("its hosts were compiled when the catalogue was, and a value is a plain word"))
    }

    fn filled<'v>(
        &self,
        compiler: &Compiler<'_>,
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<Vec<RequestRule>, CatalogueError> {
        let fill = |text: &str| {
            self.parameters.iter().fold(text.to_owned(), |text, name| {
                text.replace(&format!("{{{name}}}"), value(name).unwrap_or_default())
            })
        };
        let rules = self.rules.iter().cloned().map(|mut rule| {
            rule.paths = rule.paths.iter().map(|path| fill(path)).collect();
            rule.query.values_mut().chain(rule.json.values_mut()).for_each(|test| test.rewrite(&fill));
            rule.push.iter_mut().for_each(|push| push.rewrite(&fill));
            compiler.rule(rule, &self.id)
        });
        rules.collect()
    }
}

#[cfg(test)]
mod tests;
