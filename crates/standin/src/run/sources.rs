//! Where real values are fetched from.

use super::inputs::Inputs;
use super::view;
use crate::exit;
use crate::secret;
use standin_config::Source;
use standin_leases::{LeasedSource, Leases, Settings};
use standin_secret::{Manner, Secret, SecretSource, SourceError};
use standin_vault::keychain::{Attributes, KeychainSource};
use standin_vault::safe::{Safe, SafeSource};
use standin_vault::source::{EnvSource, FileSource, ProgramSource, Surroundings};
use standin_vault::supply::{Delivery, Supply};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The sources of a session. Credentials that are members of one document come from one supply.
#[derive(Default)]
pub(super) struct Sources {
    supplies: HashMap<String, Arc<Supply>>,
    /// What was fetched before the session starts.
    delivered: HashMap<String, Delivery>,
}

impl Sources {
    /// The supply that is behind a source.
    pub(super) fn supply(&mut self, inputs: &Inputs, source: &Source) -> Result<Arc<Supply>, SourceError> {
        let key = key(source);
        if let Some(supply) = self.supplies.get(&key) {
            return Ok(Arc::clone(supply));
        }
        let supply = Supply::new(open(inputs, source)?);
        self.supplies.insert(key, Arc::clone(&supply));
        Ok(supply)
    }

    /// What a source has now, fetched once for all of its values.
    pub(super) fn now(&mut self, inputs: &Inputs, source: &Source) -> Result<&Delivery, SourceError> {
        let supply = self.supply(inputs, source)?;
        let key = key(source);
        if !self.delivered.contains_key(&key) {
            let delivery = supply.fetch(Manner::MayAsk)?;
            self.delivered.insert(key.clone(), delivery);
        }
        Ok(&self.delivered[&key])
    }
}

/// Fetches a value that is needed before the session starts.
pub(super) fn fetch(inputs: &Inputs, source: &Source) -> Result<Secret, SourceError> {
    let supply = Supply::new(open(inputs, source)?);
    supply.fetch(Manner::MayAsk)?.value(member(source)).map(|(secret, _)| secret)
}

/// Whether nobody has to be asked for it, and nothing is run.
pub(super) fn is_at_hand(source: &Source) -> bool {
    matches!(source, Source::Env(_) | Source::File(..))
}

/// Which value of the source is meant.
pub(super) fn member(source: &Source) -> &str {
    match source {
        Source::Env(_)
        | Source::File(..)
        | Source::Command(_)
        | Source::Safe(_)
        | Source::Keychain(_)
        | Source::OnePassword(_)
        | Source::SshAgent(_) => "",
        Source::Document(member, _) | Source::Leased(_, member) => member,
        Source::Git(_, member) | Source::Bitwarden(_, member) | Source::Sops(_, member) => {
            member.as_deref().unwrap_or_default()
        }
    }
}

/// What is fetched at once, in words that nobody is shown.
pub(super) fn key(source: &Source) -> String {
    match source {
        Source::Document(_, command) => format!("document {command}"),
        Source::Git(url, _) => format!("git {url}"),
        Source::Leased(path, _) => format!("vault {path}"),
        Source::Sops(path, Some(_)) => format!("sops document {}", path.display()),
        other => format!("{other:?}"),
    }
}

fn open(inputs: &Inputs, source: &Source) -> Result<Box<dyn SecretSource>, SourceError> {
    let around = || surroundings(inputs);
    Ok(match source {
        Source::SshAgent(_) => {
            let source_name = "ssh-agent".to_owned();
            return Err(SourceError::NotUnderstood { source_name, what: "it gives no value away" });
        }
        Source::Env(variable) => Box::new(EnvSource::new(variable, inputs.value(variable))),
        Source::File(path, name) => {
            stays_in_sight(inputs, path).map_err(|source| SourceError::File { path: path.clone(), source })?;
            Box::new(FileSource::new(path.clone(), name.clone()))
        }
        Source::Command(command) => Box::new(ProgramSource::shell(around(), command, false)),
        Source::Document(_, command) => Box::new(ProgramSource::shell(around(), command, true)),
        Source::Safe(name) => Box::new(SafeSource::new(safe(inputs)?, name)),
        Source::Keychain(attributes) => Box::new(KeychainSource::new(around(), Attributes::new(attributes.clone()))),
        Source::Leased(path, _) => Box::new(LeasedSource::new(leases(inputs)?, path)),
        Source::Git(url, _) => Box::new(ProgramSource::git(around(), url)),
        Source::OnePassword(reference) => Box::new(ProgramSource::one_password(around(), reference)),
        Source::Bitwarden(item, _) => Box::new(ProgramSource::bitwarden(around(), item, member(source))),
        Source::Sops(path, member) => {
            is_not_steered(inputs, path).map_err(|source| SourceError::File { path: path.clone(), source })?;
            let path = path.canonicalize().map_err(|source| SourceError::File { path: path.clone(), source })?;
            Box::new(ProgramSource::sops(around(), path, member.is_some()))
        }
    })
}

/// Our own secrets. If their key has a passphrase that is asked for once, and now: later on the terminal is the command's. So is the
/// keychain, if that has it.
fn safe(inputs: &Inputs) -> Result<Arc<Safe>, SourceError> {
    if let Some(safe) = inputs.safe.get() {
        return Ok(Arc::clone(safe));
    }
    let safe = secret::unlocked(Safe::new(&inputs.state), &surroundings(inputs));
    let safe = safe.map_err(|failure| SourceError::Safe(failure.message().into()))?;
    Ok(Arc::clone(inputs.safe.get_or_init(|| Arc::new(safe))))
}

/// The server that keeps or makes them, as its own command line would find it, but by nothing that the sandbox may write.
fn leases(inputs: &Inputs) -> Result<Arc<Leases>, SourceError> {
    if let Some(leases) = inputs.leases.get() {
        return Ok(Arc::clone(leases));
    }
    let variable = |name: &str| inputs.variable(name).map(str::to_owned);
    if let Some(path) = Settings::roots_file(variable).filter(|path| is_steered(inputs, path)) {
        let source = io::Error::other("it lies in what the sandbox may write, and says which server is believed");
        return Err(SourceError::File { path, source });
    }
    let settings = Settings::read(variable, &inputs.home);
    let settings =
        settings.map_err(|error| SourceError::Service { source_name: "vault:".to_owned(), source: Box::new(error) })?;
    Ok(Arc::clone(inputs.leases.get_or_init(|| Leases::new(settings))))
}

/// Ends with the session what was leased for it, however that ends.
pub(super) struct EndOfLeases<'a>(pub(super) &'a Inputs);

impl Drop for EndOfLeases<'_> {
    fn drop(&mut self) {
        if let Some(leases) = self.0.leases.get() {
            leases.end().iter().for_each(|note| exit::say(note));
        }
    }
}

/// Programs are run also while the sandbox is there, so none is looked for where it may put one.
fn surroundings(inputs: &Inputs) -> Surroundings {
    let path = inputs.value("PATH").unwrap_or_default();
    let path = <OsString as std::os::unix::ffi::OsStringExt>::from_vec(path);
    let kept = std::env::split_paths(&path).filter(|entry| entry.is_absolute() && !view::is_steered(entry, inputs));
    Surroundings::new(std::env::join_paths(kept).expect("parts of a path were split at its colons"))
}

/// Where what the sandbox may write is on the way, an earlier session may have put a link there, for another file's secret to be lent,
/// or a pipe, for us to wait.
fn stays_in_sight(inputs: &Inputs, path: &Path) -> io::Result<()> {
    if !is_steered(inputs, path) {
        return Ok(());
    }
    let real = path.canonicalize()?;
    if inputs.asked_for().any(|shown| real.starts_with(shown)) && real.is_file() {
        return Ok(());
    }
    Err(io::Error::other("it lies in what the sandbox may write, and is a link that leads out of there, or no file"))
}

/// An encrypted file says where its key is asked for, and SOPS shows its token there: to a server of the sandbox's choice, if it
/// could write the file.
fn is_not_steered(inputs: &Inputs, path: &Path) -> io::Result<()> {
    if is_steered(inputs, path) {
        return Err(io::Error::other(
            "it lies in what the sandbox may write, and such a file says to which server SOPS shows its credentials",
        ));
    }
    Ok(())
}

fn is_steered(inputs: &Inputs, path: &Path) -> bool {
    // A name alone lies in the directory that we are in.
    view::is_steered(&Path::new(".").join(path), inputs)
}
