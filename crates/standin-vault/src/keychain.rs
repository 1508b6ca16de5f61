//! The desktop's keychain: what the Secret Service keeps (gnome-keyring, KWallet, KeePassXC), by libsecret's own program.
//!
//! A program, not a library: it brings no D-Bus into the process that holds secrets, and one that waits for a person who unlocks the
//! keychain is ended when that takes too long. A value goes in on its standard input and comes out on its standard output.

use crate::source::fetched;
use crate::source::program::{RunError, Surroundings, run};
use rustix::io::ioctl_fionbio;
use standin_secret::{Fetched, Manner, Secret, SecretSource, SourceError};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;

/// The program.
const PROGRAM: &str = "secret-tool";
/// How much is read of why it failed, in bytes.
const MAX_SAID: usize = 4096;

/// The keychain of who runs Standin.
#[derive(Clone)]
pub struct Keychain {
    surroundings: Surroundings,
}

/// What names one secret of it: its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes(Vec<(String, String)>);

/// One of its secrets.
pub struct KeychainSource {
    keychain: Keychain,
    attributes: Attributes,
}

/// Why it gave nothing, or took nothing. Each says what mends it.
#[derive(Debug, thiserror::Error)]
pub enum KeychainError {
    /// The program is not there.
    #[error("cannot run secret-tool, by which the keychain is asked; install it (on Debian: libsecret-tools)")]
    Program(#[source] io::Error),
    /// Nobody answers.
    #[error(
        "there is no keychain that answers ({said}); it needs your session's D-Bus (DBUS_SESSION_BUS_ADDRESS) and a service such \
         as gnome-keyring"
    )]
    NoAnswer {
        /// What the program said.
        said: String,
    },
    /// It has no such secret, or nobody unlocked it.
    #[error(
        "the keychain has no such secret, or was not unlocked; `secret-tool store --label=NAME {attributes}` puts it in"
    )]
    Nothing {
        /// What was looked for, as the program takes it.
        attributes: Attributes,
    },
    /// It waited for somebody, who did not come.
    #[error("the keychain gave no answer within {seconds} s; unlock it, and try again")]
    Deadline {
        /// How long it was waited for.
        seconds: u64,
    },
    /// What was put in did not come out.
    #[error("the keychain does not keep what it is given; name another one as its default")]
    Forgets,
}

impl Attributes {
    /// A service's account: by the attributes that most programs use.
    pub fn account(service: &str, account: &str) -> Self {
        Self(vec![("service".to_owned(), service.to_owned()), ("username".to_owned(), account.to_owned())])
    }

    /// These.
    pub fn new(all: Vec<(String, String)>) -> Self {
        Self(all)
    }

    fn words(&self) -> impl Iterator<Item = OsString> {
        // No attribute is taken for an option.
        let all = self.0.iter().flat_map(|(name, value)| [name.into(), value.into()]);
        std::iter::once("--".into()).chain(all)
    }
}

/// As words of a shell.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@:".contains(c);
        let word = |word: &str| {
            if !word.is_empty() && word.chars().all(plain) {
                word.to_owned()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        };
        let words: Vec<_> = self.0.iter().flat_map(|(name, value)| [word(name), word(value)]).collect();
        f.write_str(&words.join(" "))
    }
}

impl Keychain {
    /// As a program finds it in these surroundings.
    pub fn new(surroundings: Surroundings) -> Self {
        Self { surroundings }
    }

    /// A secret of it.
    pub fn get(&self, attributes: &Attributes) -> Result<Secret, KeychainError> {
        let nothing = || KeychainError::Nothing { attributes: attributes.clone() };
        let value = self.run("lookup", attributes.words(), &[], nothing)?;
        if value.is_empty() { Err(nothing()) } else { Ok(value) }
    }

    /// Puts a secret in, or in the place of another; what is in then comes out.
    pub fn set(&self, label: &str, attributes: &Attributes, value: &Secret) -> Result<(), KeychainError> {
        let words = [OsString::from(format!("--label={label}"))].into_iter().chain(attributes.words());
        self.run("store", words, value.expose(), || KeychainError::Forgets)?;
        match self.get(attributes) {
            Ok(there) if there.expose() == value.expose() => Ok(()),
            Ok(_) | Err(KeychainError::Nothing { .. }) => Err(KeychainError::Forgets),
            Err(error) => Err(error),
        }
    }

    fn run(
        &self,
        what: &str,
        words: impl Iterator<Item = OsString>,
        input: &[u8],
        silent: impl FnOnce() -> KeychainError,
    ) -> Result<Secret, KeychainError> {
        let arguments: Vec<OsString> = [what.into()].into_iter().chain(words).collect();
        let mut command = self.surroundings.command(OsStr::new(PROGRAM), &arguments);
        // It asks at the desktop only. Why it failed is told in its own words; nothing secret is in them.
        let (said, stderr) = io::pipe().map_err(KeychainError::Program)?;
        // What it started may hold the other end for longer: read is what is there.
        ioctl_fionbio(&said, true).map_err(|error| KeychainError::Program(error.into()))?;
        command.process_group(0).stderr(stderr);
        let done = run(command, input, Manner::Silent, self.surroundings.patience);
        let (status, output) = done.map_err(|error| match error {
            RunError::Spawn(source) => KeychainError::Program(source),
            RunError::Deadline => KeychainError::Deadline { seconds: self.surroundings.patience.as_secs() },
        })?;
        if status.success() {
            return Ok(Secret::copy_of(&output));
        }
        let said = words_of(said);
        Err(if said.is_empty() { silent() } else { KeychainError::NoAnswer { said } })
    }
}

/// The first line of what was said.
fn words_of(mut said: impl Read) -> String {
    let mut text = [0; MAX_SAID];
    // Where nothing is there nothing was said.
    let length = said.read(&mut text).unwrap_or_default();
    String::from_utf8_lossy(&text[..length]).lines().next().unwrap_or_default().trim().to_owned()
}

impl KeychainSource {
    /// The secret that these attributes name.
    pub fn new(surroundings: Surroundings, attributes: Attributes) -> Self {
        Self { keychain: Keychain::new(surroundings), attributes }
    }
}

impl SecretSource for KeychainSource {
    fn describe(&self) -> String {
        format!("keychain: ({})", self.attributes)
    }

    fn fetch(&self, _: Manner) -> Result<Fetched, SourceError> {
        let value = self.keychain.get(&self.attributes);
        let value =
            value.map_err(|error| SourceError::Service { source_name: self.describe(), source: Box::new(error) })?;
        fetched(value.expose(), || self.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use standin_model::limits::SOURCE_DEADLINE;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::Duration;

    const CANARY: &str = "Canary0123456789abcdef";

    /// A keychain by a program that does this. The real ones are in `standin-e2e`: `keychain`.
    fn keychain(directory: &Path, script: &str) -> Keychain {
        let program = directory.join(PROGRAM);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", directory.display());
        Keychain::new(Surroundings { path: path.into(), patience: SOURCE_DEADLINE })
    }

    #[test]
    fn what_is_wrong_names_the_mend() {
        let directory = tempfile::tempdir().unwrap();
        let attributes = Attributes::account("it's", "me");
        let say = |result: Result<Secret, KeychainError>| match result {
            Ok(secret) => String::from_utf8(secret.expose().to_vec()).unwrap(),
            Err(error) => error.to_string(),
        };
        let nothing = "the keychain has no such secret, or was not unlocked; `secret-tool store --label=NAME service 'it'\\''s' \
                       username me` puts it in";
        let no_answer = "there is no keychain that answers (secret-tool: no bus); it needs your session's D-Bus \
                         (DBUS_SESSION_BUS_ADDRESS) and a service such as gnome-keyring";
        for (script, expected) in [
            (format!("echo \"$*\" >{}/said; printf {CANARY}", directory.path().display()).as_str(), CANARY),
            ("exit 1", nothing),
            ("true", nothing),
            ("echo 'secret-tool: no bus' >&2; echo more >&2; exit 1", no_answer),
        ] {
            assert_eq!(say(keychain(directory.path(), script).get(&attributes)), expected, "{script}");
        }
        assert_eq!(fs::read_to_string(directory.path().join("said")).unwrap(), "lookup -- service it's username me\n");
        let mut slow = keychain(directory.path(), "exec sleep 600");
        slow.surroundings.patience = Duration::from_millis(50);
        assert!(say(slow.get(&attributes)).contains("unlock it, and try again"));
        let none = Keychain::new(Surroundings::new(directory.path().join("none").into()));
        assert!(say(none.get(&attributes)).contains("install it (on Debian: libsecret-tools)"));
    }

    /// What it says to have kept is looked at, and nothing of it is in an error.
    #[test]
    fn a_keychain_that_forgets_is_found_out() {
        let directory = tempfile::tempdir().unwrap();
        let (attributes, value) = (Attributes::account("a", "b"), Secret::copy_of(CANARY.as_bytes()));
        for script in ["cat >/dev/null", "[ $1 = store ] || echo other", "exit 1"] {
            let error = keychain(directory.path(), script).set("label", &attributes, &value).unwrap_err();
            assert!(matches!(error, KeychainError::Forgets) && !format!("{error:?}").contains(CANARY), "{script}");
        }
        let kept = directory.path().join("kept").display().to_string();
        let script = format!("[ $1 = lookup ] && exec cat {kept}; cat >{kept}");
        keychain(directory.path(), &script).set("label", &attributes, &value).unwrap();
    }
}
