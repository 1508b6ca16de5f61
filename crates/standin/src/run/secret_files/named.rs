//! Files that hold secrets by the user's own word: the sources of credentials, whatever their names, where the sandbox is shown them.

use super::super::inputs::Inputs;
use super::walk::Root;
use standin_config::{Parent, Source};
use standin_secretfiles::{Format, Found, format_for_selector, select};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is fetched from each file: all of it, or the values of these names.
pub(super) struct Sources<'a>(BTreeMap<PathBuf, Vec<Option<&'a str>>>);

impl<'a> Sources<'a> {
    /// Those below what is shown.
    pub(super) fn within(inputs: &'a Inputs, roots: &[Root]) -> Self {
        let mut all: BTreeMap<PathBuf, Vec<Option<&str>>> = BTreeMap::new();
        for source in sources(inputs) {
            let Source::File(path, name) = source else { continue };
            // One that is not there has failed already, or is not needed.
            let Ok(path) = path.canonicalize() else { continue };
            if roots.iter().any(|root| path.starts_with(&root.path)) {
                all.entry(path).or_default().push(name.as_deref());
            }
        }
        Self(all)
    }

    /// How they are read, unless their names say otherwise.
    pub(super) fn formats(&self) -> impl Iterator<Item = (&PathBuf, Format)> {
        self.0.iter().map(|(path, names)| {
            let whole = names.contains(&None);
            (path, if whole { Format::Whole } else { format_for_selector(path) })
        })
    }

    /// Whether what was found in a file is all that is fetched from it. A value that does not look like a secret is one all the same.
    pub(super) fn are_covered(&self, path: &Path, text: &[u8], found: &Found) -> bool {
        let Some(names) = self.0.get(path) else { return true };
        let Found::Secrets(secrets) = found else { return matches!(found, Found::NotUnderstood) };
        names.iter().all(|name| {
            let value = match name {
                None => Some(text.trim_ascii().to_vec().into()),
                Some(name) => select(format_for_selector(path), text, name),
            };
            value.is_some_and(|value| secrets.iter().any(|secret| secret.value == value))
        })
    }
}

fn sources(inputs: &Inputs) -> impl Iterator<Item = &Source> {
    let credentials = inputs.config.credentials.iter();
    let of_credentials = credentials.flat_map(|credential| {
        credential.source.iter().chain(credential.client_certificate.iter().map(|certificate| &certificate.key))
    });
    let of_proxy = match &inputs.config.upstream.proxy {
        Parent::Named(_, password) => password.as_ref(),
        _ => None,
    };
    of_credentials.chain(of_proxy)
}
