//! `standin secret`: what is in the safe.

mod rotate;

use crate::cli::{SecretCommand, SecretSetArguments};
use crate::exit::{self, Failure};
use crate::{prompt, run};
use standin_secret::Secret;
use standin_vault::keychain::Keychain;
use standin_vault::safe::{Safe, SafeError, is_name};
use standin_vault::source::Surroundings;
use std::io::Write;

/// Does what was asked for and gives the exit code.
pub(crate) fn secret(command: SecretCommand) -> Result<i32, Failure> {
    run::leave_no_core()?;
    let safe = Safe::new(&run::state_directory()?);
    match command {
        SecretCommand::Set(arguments) => set(safe, &arguments),
        SecretCommand::Rotate(arguments) => rotate::rotate(&arguments),
        SecretCommand::List => list(safe),
        SecretCommand::Rm { name } => {
            let safe = unlocked(safe, &surroundings())?;
            safe.remove(&name).map_err(|error| Failure::because("nothing was removed", &error))?;
            Ok(exit::SUCCESS)
        }
    }
}

fn set(mut safe: Safe, arguments: &SecretSetArguments) -> Result<i32, Failure> {
    let name = &arguments.name;
    if !is_name(name) {
        return Err(Failure::new("that is no name for a secret").hint("letters, digits, `.`, `_`, `-` and `/`"));
    }
    let not_set = |error: SafeError| Failure::because(format!("{name} is not set"), &error);
    if arguments.passphrase {
        safe.is_new().map_err(not_set)?;
        safe.close_with(&chosen()?).map_err(not_set)?;
    } else if arguments.keychain {
        safe.is_new().map_err(not_set)?;
        safe.keep_in(Keychain::new(surroundings()));
    } else {
        safe = unlocked(safe, &surroundings())?;
    }
    let value = prompt::value(&format!("Value of {name}"))?;
    if value.is_empty() {
        return Err(Failure::new(format!("{name} is not set: its value is empty")));
    }
    let replaced = safe.set(name, &value).map_err(not_set)?;
    let said = if replaced { "replaced" } else { "set" };
    exit::say(&format!("{name} is {said}; name it as `source = \"age:{name}\"`"));
    Ok(exit::SUCCESS)
}

fn list(safe: Safe) -> Result<i32, Failure> {
    let names = unlocked(safe, &surroundings())?
        .names()
        .map_err(|error| Failure::because("the secrets cannot be listed", &error))?;
    let mut text = names.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::output)?;
    Ok(exit::SUCCESS)
}

/// Opened with its passphrase, if it has one, or with the key in the keychain, if it is there.
pub(crate) fn unlocked(mut safe: Safe, surroundings: &Surroundings) -> Result<Safe, Failure> {
    let unreadable = |error: SafeError| Failure::because("the secrets cannot be read", &error);
    if safe.has_passphrase().map_err(unreadable)? {
        let passphrase = prompt::typed(&format!("Passphrase of {}", safe.key_path().display()))?;
        safe.open(&passphrase).map_err(unreadable)?;
    }
    if safe.is_in_keychain().map_err(unreadable)? {
        safe.open_from(&Keychain::new(surroundings.clone())).map_err(unreadable)?;
    }
    Ok(safe)
}

/// Programs as the caller finds them. No sandbox is there.
fn surroundings() -> Surroundings {
    Surroundings::new(std::env::var_os("PATH").unwrap_or_default())
}

fn chosen() -> Result<Secret, Failure> {
    let first = prompt::typed("New passphrase")?;
    if prompt::typed("The same again")?.expose() != first.expose() {
        return Err(Failure::new("the two are not the same"));
    }
    Ok(first)
}
