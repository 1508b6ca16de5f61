//! This program itself: where it lies, and in another part.

use crate::exit::Failure;
use std::path::PathBuf;
use std::process::Command;

/// Our own program, by a name that works in the namespaces too.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::because("cannot find Standin's own program", &error))
}

/// This program, in this role.
pub(crate) fn playing(role: &str) -> Result<Command, Failure> {
    let mut command = Command::new(program()?);
    command.arg(role);
    Ok(command)
}
