//! Where real values are fetched from.

use super::inputs::Inputs;
use standin_config::Source;
use standin_secret::{Secret, SecretSource, SourceError};
use standin_vault::source::{CommandSource, EnvSource, FileSource};

/// Fetches a value from its source.
pub(super) fn fetch(inputs: &Inputs, source: &Source) -> Result<Secret, SourceError> {
    let source: Box<dyn SecretSource> = match source {
        Source::Env(variable) => Box::new(EnvSource::new(variable, inputs.value(variable))),
        Source::File(path, name) => Box::new(FileSource::new(path.clone(), name.clone())),
        Source::Command(command) => Box::new(CommandSource::new(command)),
    };
    source.fetch()
}
