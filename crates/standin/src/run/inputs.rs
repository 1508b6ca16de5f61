//! Everything a run depends on, read once: flags, environment, configuration file, directories.

use crate::cli::RunArguments;
use crate::exit::{self, Failure};
use standin_config::Config;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What was typed and found.
pub(crate) struct Inputs {
    pub(crate) command: Vec<OsString>,
    /// Where the command's program lies.
    pub(crate) program: PathBuf,
    pub(crate) workspace: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) environment: BTreeMap<OsString, OsString>,
    pub(crate) config: Config,
    pub(crate) pass: Vec<String>,
    pub(crate) read_only: Vec<PathBuf>,
    pub(crate) writable: Vec<PathBuf>,
}

impl Inputs {
    /// Reads everything.
    pub(crate) fn gather(arguments: &RunArguments) -> Result<Self, Failure> {
        let environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let home = home(&environment)?;
        let workspace = match &arguments.workspace {
            Some(directory) => directory.clone(),
            None => std::env::current_dir().map_err(|e| Failure::because("cannot tell the current directory", &e))?,
        };
        let workspace = existing(&workspace)?;
        if home.starts_with(&workspace) {
            return Err(Failure::new(format!(
                "{} holds your home, which the sandbox must not see",
                workspace.display()
            ))
            .hint("change into a project's directory, or name one with --workspace"));
        }
        let mut config = read_config(arguments.config.as_deref(), &environment, &home)?;
        for text in &arguments.allow {
            config.allow.push(standin_config::parse_allow(text).map_err(|e| Failure::because("--allow", &e))?);
        }
        for text in &arguments.secret {
            config.credentials.push(standin_config::parse_secret(text).map_err(|e| Failure::because("--secret", &e))?);
        }
        let paths = |list: &[PathBuf]| list.iter().map(|path| existing(path)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            program: find_program(&arguments.command[0], &environment, &workspace)?,
            command: arguments.command.clone(),
            workspace,
            state: directory(&environment, "XDG_STATE_HOME", &home, ".local/state"),
            home,
            environment,
            config,
            pass: arguments.env.clone(),
            read_only: paths(&arguments.ro)?,
            writable: paths(&arguments.rw)?,
        })
    }

    /// A variable as text.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(OsStr::new(name)).and_then(|value| value.to_str())
    }

    /// The command for people.
    pub(crate) fn command_line(&self) -> String {
        self.command.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

/// Standin's directory for what it keeps (audit log, key).
pub(crate) fn state_directory() -> Result<PathBuf, Failure> {
    let environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    let home = home(&environment)?;
    Ok(directory(&environment, "XDG_STATE_HOME", &home, ".local/state"))
}

fn home(environment: &BTreeMap<OsString, OsString>) -> Result<PathBuf, Failure> {
    let home = environment.get(OsStr::new("HOME")).map(PathBuf::from).filter(|home| home.is_absolute());
    home.ok_or_else(|| Failure::new("HOME is not set to an absolute path"))
}

/// `standin/` in an XDG base directory; relative values are ignored, as its specification says.
fn directory(environment: &BTreeMap<OsString, OsString>, variable: &str, home: &Path, default: &str) -> PathBuf {
    let named = environment.get(OsStr::new(variable)).map(PathBuf::from).filter(|path| path.is_absolute());
    named.unwrap_or_else(|| home.join(default)).join("standin")
}

fn read_config(
    named: Option<&Path>,
    environment: &BTreeMap<OsString, OsString>,
    home: &Path,
) -> Result<Config, Failure> {
    let default = directory(environment, "XDG_CONFIG_HOME", home, ".config").join("config.toml");
    let path = named.unwrap_or(&default);
    match std::fs::read_to_string(path) {
        Ok(text) => standin_config::parse(&text, path).map_err(Failure::new),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(Config::default()),
        Err(error) => Err(Failure::because(format!("cannot read {}", path.display()), &error)),
    }
}

/// The path without links; it must exist.
fn existing(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|error| Failure::because(path.display(), &error))
}

/// Finds the program as a shell would, but never in the workspace by a bare name.
fn find_program(
    name: &OsStr,
    environment: &BTreeMap<OsString, OsString>,
    workspace: &Path,
) -> Result<PathBuf, Failure> {
    if Path::new(name).components().count() > 1 {
        return Ok(workspace.join(name));
    }
    let path = environment.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Failure::new(format!("there is no program `{}`", name.to_string_lossy())).code(exit::NOT_FOUND))
}
