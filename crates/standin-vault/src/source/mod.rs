//! Sources of real credentials.
//!
//! * here: a variable of the environment, a file;
//! * [`program`]: what a program prints: a shell's command, `git credential`, `op`, `bw`, `sops`;
//! * [`reading`]: how it is read: as it is, as JSON with a time of expiry, as git's helpers write it.
//!
//! Whoever uses one goes through a [`crate::supply::Supply`].

pub mod program;
mod reading;
#[cfg(test)]
mod tests;

pub use program::{ProgramSource, Surroundings};

use crate::read_bounded;
use standin_model::limits::MAX_SECRET_BYTES;
use standin_secret::{Fetched, Manner, Secret, SecretSource, SourceError};
use standin_secretfiles::{MAX_FILE_BYTES, format_for_selector, select};
use std::fs::File;
use std::path::PathBuf;
use std::time::SystemTime;

/// A variable of the caller's environment. The value is handed in: only the binary reads the environment.
pub struct EnvSource {
    name: String,
    value: Option<Secret>,
}

/// A file, or one value of it.
pub struct FileSource {
    path: PathBuf,
    name: Option<String>,
}

impl EnvSource {
    /// The variable and what it held when Standin was started.
    pub fn new(name: impl Into<String>, value: Option<Vec<u8>>) -> Self {
        Self { name: name.into(), value: value.map(Secret::new) }
    }
}

impl FileSource {
    /// That file; with a name the value that it has there, by the file's format.
    pub fn new(path: PathBuf, name: Option<String>) -> Self {
        Self { path, name }
    }
}

impl SecretSource for EnvSource {
    fn describe(&self) -> String {
        format!("env:{}", self.name)
    }

    fn fetch(&self, _: Manner) -> Result<Fetched, SourceError> {
        let value = self.value.as_ref().ok_or_else(|| SourceError::EnvMissing(self.name.clone()))?;
        fetched(value.expose(), || self.describe())
    }
}

impl SecretSource for FileSource {
    fn describe(&self) -> String {
        let name = self.name.as_ref().map(|name| format!("#{name}")).unwrap_or_default();
        format!("file:{}{name}", self.path.display())
    }

    fn fetch(&self, _: Manner) -> Result<Fetched, SourceError> {
        let fault = |source| SourceError::File { path: self.path.clone(), source };
        let read = |most| {
            let file = File::open(&self.path)?;
            read_bounded(&file, file.metadata()?.len(), most)
        };
        let Some(name) = &self.name else {
            return fetched(&read(MAX_SECRET_BYTES).map_err(fault)?, || self.describe());
        };
        let text = read(MAX_FILE_BYTES).map_err(fault)?;
        let value = select(format_for_selector(&self.path), &text, name);
        let value = value.ok_or_else(|| SourceError::NoValue { path: self.path.clone(), name: name.clone() })?;
        fetched(&value, || self.describe())
    }
}

/// What a source gave, for good, without the white space around it.
pub(crate) fn fetched(bytes: &[u8], describe: impl Fn() -> String) -> Result<Fetched, SourceError> {
    if bytes.len() > MAX_SECRET_BYTES {
        return Err(SourceError::TooLarge(describe()));
    }
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Err(SourceError::Empty(describe()));
    }
    Ok(Fetched { text: Secret::copy_of(text), at: SystemTime::now(), expires: None })
}
