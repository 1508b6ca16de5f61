//! Sources of real credentials: an environment variable, a file, the output of a command.

use crate::read_bounded;
use standin_model::limits::{MAX_SECRET_BYTES, SOURCE_DEADLINE};
use standin_secret::{Secret, SecretSource, SourceError};
use standin_secretfiles::{MAX_FILE_BYTES, format_for_selector, select};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;

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

/// What a shell command prints.
pub struct CommandSource(String);

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

impl CommandSource {
    /// A command for `/bin/sh -c`.
    pub fn new(command: impl Into<String>) -> Self {
        Self(command.into())
    }
}

impl SecretSource for EnvSource {
    fn describe(&self) -> String {
        format!("env:{}", self.name)
    }

    fn fetch(&self) -> Result<Secret, SourceError> {
        let value = self.value.as_ref().ok_or_else(|| SourceError::EnvMissing(self.name.clone()))?;
        trimmed(value.expose(), || self.describe())
    }
}

impl SecretSource for FileSource {
    fn describe(&self) -> String {
        let name = self.name.as_ref().map(|name| format!("#{name}")).unwrap_or_default();
        format!("file:{}{name}", self.path.display())
    }

    fn fetch(&self) -> Result<Secret, SourceError> {
        let fault = |source| SourceError::File { path: self.path.clone(), source };
        let read = |most| {
            let file = File::open(&self.path)?;
            read_bounded(&file, file.metadata()?.len(), most)
        };
        let Some(name) = &self.name else {
            return trimmed(&read(MAX_SECRET_BYTES).map_err(fault)?, || self.describe());
        };
        let text = read(MAX_FILE_BYTES).map_err(fault)?;
        let value = select(format_for_selector(&self.path), &text, name);
        let value = value.ok_or_else(|| SourceError::NoValue { path: self.path.clone(), name: name.clone() })?;
        trimmed(&value, || self.describe())
    }
}

impl SecretSource for CommandSource {
    fn describe(&self) -> String {
        let program = self.0.split_whitespace().next().unwrap_or_default();
        format!("cmd:{program}")
    }

    fn fetch(&self) -> Result<Secret, SourceError> {
        let program = self.describe();
        let spawn = |source| SourceError::Spawn { program: program.clone(), source };
        let mut child = Command::new("/bin/sh")
            .args(["-c", &self.0])
            // Not where Standin was started: that is the workspace, and what a command finds there (`git`: helpers in
            // `.git/config`) is the sandbox's to write.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(spawn)?;
        let stdout = child.stdout.take().expect("stdout was piped");
        let (sender, output) = mpsc::channel();
        // The reader ends with the pipe; if the deadline passes first, nobody listens to it any more.
        std::thread::spawn(move || drop(sender.send(read_bounded(stdout, 0, MAX_SECRET_BYTES))));
        let Ok(output) = output.recv_timeout(SOURCE_DEADLINE) else {
            child.kill().and_then(|()| child.wait()).map_err(spawn)?;
            return Err(SourceError::Deadline { program, seconds: SOURCE_DEADLINE.as_secs() });
        };
        let status = child.wait().map_err(spawn)?;
        if !status.success() {
            return Err(SourceError::Command { program, status });
        }
        trimmed(&output.map_err(spawn)?, || self.describe())
    }
}

fn trimmed(bytes: &[u8], describe: impl Fn() -> String) -> Result<Secret, SourceError> {
    if bytes.len() > MAX_SECRET_BYTES {
        return Err(SourceError::TooLarge(describe()));
    }
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Err(SourceError::Empty(describe()));
    }
    Ok(Secret::new(text.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &dyn SecretSource, expected: &str) {
        let got = match source.fetch() {
            Ok(secret) => String::from_utf8(secret.expose().to_vec()).unwrap(),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn every_source_gives_the_value_or_says_why_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, contents: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, contents).unwrap();
            FileSource::new(path, None)
        };
        check(&EnvSource::new("A", Some(b"value".to_vec())), "value");
        check(&EnvSource::new("A", None), "error: the environment variable A is not set");
        check(&EnvSource::new("A", Some(vec![])), "error: env:A is empty");
        check(&file("ok", b"value\n"), "value");
        let large = file("large", &vec![b'x'; MAX_SECRET_BYTES + 1]);
        check(&large, &format!("error: {} is larger than 64 KiB", large.describe()));
        check(&CommandSource::new("printf 'value\\n'"), "value");
        check(&CommandSource::new("pwd"), "/");
        check(&CommandSource::new("exit 3"), "error: `cmd:exit` ended with exit status: 3");
        check(&CommandSource::new("true"), "error: cmd:true is empty");
        let dotenv = directory.path().join(".env");
        std::fs::write(&dotenv, "A=1\nB='two words'\n").unwrap();
        let of = |name: &str| FileSource::new(dotenv.clone(), Some(name.to_owned()));
        check(&of("B"), "two words");
        check(&of("C"), &format!("error: there is no value `C` in {}", dotenv.display()));
        assert_eq!(of("B").describe(), format!("file:{}#B", dotenv.display()));
        let missing = directory.path().join("missing");
        check(&FileSource::new(missing.clone(), None), &format!("error: cannot read {}", missing.display()));
    }
}
