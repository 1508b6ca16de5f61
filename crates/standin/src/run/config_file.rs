//! The configuration's file: where it is, what it says, and what was typed besides.

use crate::cli::RunArguments;
use crate::exit::Failure;
use standin_config::{Config, Source};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file that a session was begun with.
#[derive(Clone)]
pub(crate) struct ConfigFile {
    /// Where it is, or would be.
    pub(super) path: PathBuf,
    /// What it said; nothing if it was not there.
    pub(super) text: Option<String>,
}

impl ConfigFile {
    /// Reads the one that was named, which has to be there, or the usual one.
    pub(super) fn read(named: Option<&Path>, usual: PathBuf) -> Result<Self, Failure> {
        let path = named.map_or(Ok(usual), std::path::absolute);
        let path = path.map_err(|error| Failure::because("cannot tell the current directory", &error))?;
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self { path, text: Some(text) }),
            Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => Ok(Self { path, text: None }),
            Err(error) => Err(Failure::because(format!("cannot read {}", path.display()), &error)),
        }
    }

    /// What it says, as a configuration.
    pub(super) fn parse(&self, home: &Path) -> Result<Config, standin_config::ConfigError> {
        let mut config =
            self.text.as_ref().map_or(Ok(Config::default()), |text| standin_config::parse(text, &self.path))?;
        at_home(&mut config, home);
        Ok(config)
    }
}

/// What was typed goes before what is configured.
pub(super) fn with_typed(mut config: Config, arguments: &RunArguments, home: &Path) -> Result<Config, Failure> {
    for text in &arguments.rules.allow {
        config.allow.push(standin_config::parse_allow(text).map_err(|e| Failure::because("--allow", &e))?);
    }
    for text in &arguments.rules.secret {
        config.credentials.push(standin_config::parse_secret(text).map_err(|e| Failure::because("--secret", &e))?);
    }
    at_home(&mut config, home);
    config.backend = arguments.backend.unwrap_or(config.backend);
    config.presets.extend(arguments.rules.presets.iter().cloned());
    config.terminal.extend(&arguments.terminal);
    config.on_leak = arguments.on_leak.unwrap_or(config.on_leak);
    config.reach.extend(&arguments.reach);
    config.reach.sort_unstable();
    config.reach.dedup();
    for (bound, typed) in [
        (&mut config.limits.memory, arguments.memory),
        (&mut config.limits.pids, arguments.pids),
        (&mut config.limits.cpu, arguments.cpus),
        (&mut config.limits.tmp, arguments.tmp),
        (&mut config.limits.spare, arguments.spare),
    ] {
        *bound = typed.unwrap_or(*bound);
    }
    Ok(config)
}

/// Sources are named as people name files of theirs.
fn at_home(config: &mut Config, home: &Path) {
    for credential in &mut config.credentials {
        if let Some(Source::File(path, _) | Source::Sops(path, _)) = &mut credential.source
            && let Ok(below) = path.strip_prefix("~")
        {
            *path = home.join(below);
        }
    }
}
