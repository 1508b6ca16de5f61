//! Everything a run depends on, read once: flags, environment, configuration file, directories.

use super::backend::Tool;
use super::config_file::{ConfigFile, with_typed};
use crate::cli::RunArguments;
use crate::exit::{self, Failure};
use standin_config::{Config, Publish};
use standin_leases::Leases;
use standin_sandbox::MAX_LOCAL_PORTS;
use standin_vault::safe::Safe;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was typed and found.
pub(crate) struct Inputs {
    pub(crate) command: Vec<OsString>,
    /// Where the command's program lies.
    pub(crate) program: PathBuf,
    pub(crate) workspace: PathBuf,
    /// As the caller calls it, and the sandbox, too.
    pub(crate) home: PathBuf,
    /// Where it lies: on some systems `/home` is a link, and what is compared with a path without links is this.
    pub(crate) real_home: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) environment: BTreeMap<OsString, OsString>,
    pub(crate) config: Config,
    /// Where it was read from.
    pub(super) file: ConfigFile,
    pub(crate) pass: Vec<String>,
    pub(crate) read_only: Vec<PathBuf>,
    pub(crate) writable: Vec<PathBuf>,
    /// Where tools are, once they were looked for: what is searched for secrets is what is shown.
    pub(super) tools: OnceCell<Vec<PathBuf>>,
    /// Our own secrets, once a source is among them: a passphrase is asked for once.
    pub(super) safe: OnceCell<Arc<Safe>>,
    /// What was leased, once a source is.
    pub(super) leases: OnceCell<Arc<Leases>>,
    /// Ports that are brought to the host's loopback.
    pub(crate) publish: Vec<Publish>,
    /// Files that hold secrets and are shown as they are, or directories above them.
    pub(crate) shown: Vec<PathBuf>,
    /// What is hidden.
    pub(crate) hidden: Vec<PathBuf>,
    /// Agents whose logins are lent, as they were named.
    pub(crate) logins: Vec<String>,
    /// The profile whose keys are lent to sign with.
    pub(super) aws_profile: Option<String>,
    /// Whether the workspace is a copy.
    pub(crate) copy: bool,
    /// Whether the command may make user namespaces.
    pub(crate) nested: bool,
    /// The back-end's program, once that was looked for.
    pub(super) tool: OnceCell<Option<Tool>>,
}

impl Inputs {
    /// Reads everything.
    pub(crate) fn gather(arguments: &RunArguments) -> Result<Self, Failure> {
        no_directory_is_inherited()?;
        no_root_is_nested(arguments.allow_nested)?;
        let environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let home = home(&environment)?;
        let workspace = match &arguments.rules.workspace {
            Some(directory) => directory.clone(),
            None => std::env::current_dir().map_err(|e| Failure::because("cannot tell the current directory", &e))?,
        };
        let workspace = existing(&workspace)?;
        let real_home = home.canonicalize().unwrap_or_else(|_| home.clone()); // one that is not there holds nothing
        if home.starts_with(&workspace) || real_home.starts_with(&workspace) {
            return Err(Failure::new(format!(
                "{} holds your home, which the sandbox must not see",
                workspace.display()
            ))
            .hint("change into a project's directory, or name one with --workspace"));
        }
        let state = directory(&environment, "XDG_STATE_HOME", &home, ".local/state");
        let writable = arguments.rw.iter().map(|path| existing(path)).collect::<Result<Vec<_>, _>>()?;
        let settings = directory(&environment, "XDG_CONFIG_HOME", &home, ".config");
        for shown in writable.iter().chain([&workspace]) {
            keeps_out_of_our_own(shown, &[&state, &settings], "write")?;
        }
        // What sessions changed in their copies is there, and may be from another project.
        let read_only = arguments.ro.iter().map(|path| existing(path)).collect::<Result<Vec<_>, _>>()?;
        for shown in &read_only {
            keeps_out_of_our_own(shown, &[&state], "see")?;
        }
        let file = ConfigFile::read(arguments.rules.config.as_deref(), usual_config(&environment, &home))?;
        let config = with_typed(file.parse(&home).map_err(Failure::new)?, arguments, &home)?;
        ports_are_apart(&config.reach, &arguments.publish)?;
        let shown = shown_paths(&arguments.show, &config.files.show, &workspace)?;
        let mut hidden = arguments.hide.iter().map(|path| existing(path)).collect::<Result<Vec<_>, _>>()?;
        hidden.extend(config.files.hide.iter().filter_map(|path| workspace.join(path).canonicalize().ok()));
        Ok(Self {
            program: find_program(&arguments.command[0], &environment, &workspace)?,
            command: arguments.command.clone(),
            workspace,
            state,
            home,
            real_home,
            environment,
            config,
            file,
            pass: arguments.env.clone(),
            read_only,
            writable,
            tools: OnceCell::new(),
            safe: OnceCell::new(),
            leases: OnceCell::new(),
            publish: arguments.publish.clone(),
            shown,
            hidden,
            logins: arguments.rules.login.clone(),
            aws_profile: arguments.rules.aws_profile.clone(),
            copy: arguments.cow,
            nested: arguments.allow_nested,
            tool: OnceCell::new(),
        })
    }

    /// A variable as text.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(OsStr::new(name)).and_then(|value| value.to_str())
    }

    /// A variable as it is.
    pub(crate) fn value(&self, name: &str) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStrExt;
        self.environment.get(OsStr::new(name)).map(|value| value.as_bytes().to_vec())
    }

    /// What the sandbox is shown because somebody asked for it: the workspace, and what was named.
    pub(crate) fn asked_for(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.workspace].into_iter().chain(&self.read_only).chain(&self.writable)
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

/// The configuration, as a run would read it.
pub(crate) fn configuration(named: Option<&Path>) -> Result<Config, Failure> {
    let environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    let home = home(&environment)?;
    ConfigFile::read(named, usual_config(&environment, &home))?.parse(&home).map_err(Failure::new)
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

/// The usual place of the configuration.
fn usual_config(environment: &BTreeMap<OsString, OsString>, home: &Path) -> PathBuf {
    directory(environment, "XDG_CONFIG_HOME", home, ".config").join("config.toml")
}

/// The path without links; it must exist.
fn existing(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|error| Failure::because(path.display(), &error))
}

/// What is shown as it is: paths of flags, which must be there, and of the configuration, which holds for other workspaces, too.
/// Not through a link: a session may have put one there, to show more in the next one.
fn shown_paths(flags: &[PathBuf], configured: &[PathBuf], workspace: &Path) -> Result<Vec<PathBuf>, Failure> {
    let here = std::env::current_dir().map_err(|e| Failure::because("cannot tell the current directory", &e))?;
    let flags = flags.iter().map(|path| (here.join(path), true));
    let configured = configured.iter().map(|path| (workspace.join(path), false));
    let mut all = Vec::new();
    for (path, must_be) in flags.chain(configured) {
        match existing(&path) {
            // Compared part by part: `./a/` is `a`.
            Ok(real) if real.components().eq(path.components()) => all.push(real),
            // A workspace to which the configuration's path means nothing.
            Ok(_) if !must_be => {
                exit::say(&format!("{} leads through a link, so it is not shown as it is", path.display()));
            }
            Ok(real) => {
                let message = format!(
                    "{} is {}: only what is named without links and `..` is shown",
                    path.display(),
                    real.display()
                );
                return Err(Failure::new(message));
            }
            Err(error) if must_be => return Err(error),
            Err(_) => {}
        }
    }
    Ok(all)
}

/// What the command may write must not hold, and not be in, Standin's own files: the log and the key of stand-ins, or settings, which name
/// commands that the next run executes outside.
fn keeps_out_of_our_own(shown: &Path, own: &[&PathBuf], to: &str) -> Result<(), Failure> {
    let held = |path: &&&PathBuf| {
        // It may not be there yet; what there is of it may be behind links.
        let real = path.ancestors().find_map(|there| {
            let rest = path.strip_prefix(there).ok()?;
            there.canonicalize().ok().map(|there| there.join(rest))
        });
        let inside = |own: &Path| own.starts_with(shown) || shown.starts_with(own);
        inside(path) || real.is_some_and(|real| inside(&real))
    };
    match own.iter().find(held) {
        Some(path) => {
            let relation = if path.starts_with(shown) { "holds" } else { "lies in, or holds under another name," };
            let (shown, path) = (shown.display(), path.display());
            Err(Failure::new(format!("{shown} {relation} {path}, which the sandbox must not {to}"))
                .hint("change into a project's directory, or name one with --workspace"))
        }
        None => Ok(()),
    }
}

/// Inside, a port leads out or has a server of the command's, not both.
fn ports_are_apart(reach: &[u16], publish: &[Publish]) -> Result<(), Failure> {
    if reach.len() > MAX_LOCAL_PORTS {
        return Err(Failure::new(format!("at most {MAX_LOCAL_PORTS} ports of the host may be reached")));
    }
    for (at, published) in publish.iter().enumerate() {
        let port = published.port;
        if reach.contains(&port) {
            return Err(Failure::new(format!("port {port} is both published and reached"))
                .hint("let the command's server listen on another port"));
        }
        if publish[..at].iter().any(|other| other.port == port) {
            return Err(Failure::new(format!("port {port} is published twice")));
        }
    }
    Ok(())
}

/// What a root starts has root's number on the host: in a namespace of its own it could mount a /proc by which it acts on the host, and give
/// files rights that hold there.
fn no_root_is_nested(nested: bool) -> Result<(), Failure> {
    if nested && rustix::process::geteuid().is_root() {
        return Err(Failure::new("--allow-nested is not for root, whose number the command has on the host")
            .hint("run Standin as an ordinary user"));
    }
    Ok(())
}

/// Through a directory of the host that came as stdin the command could reach what lies below and above it: list it, change
/// modes, connect to sockets.
fn no_directory_is_inherited() -> Result<(), Failure> {
    let streams = [
        ("stdin", rustix::fs::fstat(std::io::stdin())),
        ("stdout", rustix::fs::fstat(std::io::stdout())),
        ("stderr", rustix::fs::fstat(std::io::stderr())),
    ];
    let is_directory = |stat: &rustix::fs::Stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir();
    match streams.iter().find(|(_, stat)| stat.as_ref().is_ok_and(is_directory)) {
        Some((name, _)) => Err(Failure::new(format!("{name} is a directory, which would lead out of the sandbox"))),
        None => Ok(()),
    }
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
