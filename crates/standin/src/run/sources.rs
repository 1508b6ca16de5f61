//! Where real values are fetched from.

use super::inputs::Inputs;
use super::view;
use standin_config::Source;
use standin_secret::{Secret, SecretSource, SourceError};
use standin_vault::source::{CommandSource, EnvSource, FileSource};
use std::io;
use std::path::Path;

/// Fetches a value from its source.
pub(super) fn fetch(inputs: &Inputs, source: &Source) -> Result<Secret, SourceError> {
    let source: Box<dyn SecretSource> = match source {
        Source::Env(variable) => Box::new(EnvSource::new(variable, inputs.value(variable))),
        Source::File(path, name) => {
            stays_in_sight(inputs, path).map_err(|source| SourceError::File { path: path.clone(), source })?;
            Box::new(FileSource::new(path.clone(), name.clone()))
        }
        Source::Command(command) => Box::new(CommandSource::new(command)),
    };
    source.fetch()
}

/// Where what the sandbox may write is on the way, an earlier session may have put a link there, for another file's secret to be lent,
/// or a pipe, for us to wait.
fn stays_in_sight(inputs: &Inputs, path: &Path) -> io::Result<()> {
    // A name alone lies in the directory that we are in.
    if !view::is_steered(&Path::new(".").join(path), inputs) {
        return Ok(());
    }
    let real = path.canonicalize()?;
    if inputs.asked_for().any(|shown| real.starts_with(shown)) && real.is_file() {
        return Ok(());
    }
    Err(io::Error::other("it lies in what the sandbox may write, and is a link that leads out of there, or no file"))
}
