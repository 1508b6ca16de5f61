//! Errors that show the place and the mend.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How lines begin that may hold a secret, misspelt or not.
const SECRETIVE: &[&str] = &["source", "pas", "proxy", "key", "client_cert"];

/// What is wrong with a configuration, where, and what was probably meant.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    path: PathBuf,
    line: usize,
    column: usize,
    text: String,
    width: usize,
    message: String,
    hint: Option<String>,
}

impl ConfigError {
    /// An error at a byte range of `source`.
    pub(crate) fn new(path: &Path, source: &str, span: Range<usize>, message: String, hint: Option<String>) -> Self {
        let start = span.start.min(source.len());
        let before = source.get(..start).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let mut text = source[line_start..].lines().next().unwrap_or_default().to_owned();
        if SECRETIVE.iter().any(|key| text.trim_start().starts_with(key)) {
            // Somebody may have put the secret itself there; an error must not carry it on.
            text = text.split_once('=').map_or("", |(key, _)| key).to_owned() + "= …";
        }
        let column = before[line_start..].chars().count() + 1;
        let rest = text.chars().count().saturating_sub(column - 1).max(1);
        let width = span.len().clamp(1, rest);
        let line = before.matches('\n').count() + 1;
        Self { path: path.to_owned(), line, column, text, width, message, hint }
    }
}

impl ConfigError {
    /// The same in one line.
    pub fn in_one_line(&self) -> String {
        let Self { path, line, column, message, hint, .. } = self;
        let hint = hint.as_ref().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
        format!("{}:{line}:{column}: {message}{hint}", path.display())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, text, width, message, hint } = self;
        let gutter = line.to_string().len();
        writeln!(f, "{message}")?;
        writeln!(f, "{:gutter$}--> {}:{line}:{column}", "", path.display())?;
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{line} | {text}")?;
        write!(f, "{:gutter$} | {:indent$}{}", "", "", "^".repeat(*width), indent = column - 1)?;
        if let Some(hint) = hint {
            write!(f, "\n{:gutter$} = hint: {hint}", "")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
