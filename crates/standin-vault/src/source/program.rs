//! What a program prints: a shell's command, or a password manager's own program.
//!
//! Nothing secret is in an argument. A program runs in `/`, finds others only where the sandbox cannot write, and is told of
//! no repository: what lies in the workspace does not steer it. While the command has the terminal it says nothing there and reads
//! nothing from it.

use super::fetched;
use super::reading::Reading;
use crate::read_bounded;
use rustix::process::{Pid, Signal, kill_process_group};
use standin_model::limits::{MAX_SECRET_BYTES, SOURCE_DEADLINE};
use standin_secret::{Fetched, Manner, SecretSource, SourceError, Value};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Variables that lead git to a repository, whose configuration names programs.
const LEADS_TO_REPOSITORY: &[&str] = &["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE"];

/// In what surroundings programs run.
#[derive(Clone)]
pub struct Surroundings {
    /// The directories in which programs are looked for: none that the sandbox may write.
    pub path: OsString,
    /// The longest that is waited for one.
    pub patience: Duration,
}

impl Surroundings {
    /// With programs from these directories.
    pub fn new(path: OsString) -> Self {
        Self { path, patience: SOURCE_DEADLINE }
    }
}

/// What a program prints.
pub struct ProgramSource {
    description: String,
    program: OsString,
    arguments: Vec<OsString>,
    input: String,
    reading: Reading,
    surroundings: Surroundings,
}

impl ProgramSource {
    /// A command for `/bin/sh -c`; its output is the value, or with `json` a JSON document of which one string is.
    pub fn shell(surroundings: Surroundings, command: &str, json: bool) -> Self {
        let program = command.split_whitespace().next().unwrap_or_default();
        Self {
            arguments: vec!["-c".into(), command.into()],
            reading: if json { Reading::Expiring } else { Reading::Text },
            ..Self::new(surroundings, format!("cmd:{program}"), "/bin/sh")
        }
    }

    /// What the user's git helpers hold for a URL without a user in it (git-credential(1)).
    pub fn git(surroundings: Surroundings, url: &str) -> Self {
        Self {
            arguments: vec!["credential".into(), "fill".into()],
            input: format!("url={url}\n\n"),
            reading: Reading::Git,
            ..Self::new(surroundings, format!("git:{url}"), "git")
        }
    }

    /// 1Password's own reference: `op://vault/item/field`.
    pub fn one_password(surroundings: Surroundings, reference: &str) -> Self {
        Self {
            arguments: vec!["read".into(), "--no-newline".into(), reference.into()],
            ..Self::new(surroundings, reference.to_owned(), "op")
        }
    }

    /// An item of Bitwarden's: its password, what `bw get` calls so (`username`, `totp`, `notes`), or a place in its JSON.
    pub fn bitwarden(surroundings: Surroundings, item: &str, member: &str) -> Self {
        let (object, reading) = match member {
            "" => ("password", Reading::Text),
            pointer if pointer.starts_with('/') => ("item", Reading::Json),
            object => (object, Reading::Text),
        };
        let arguments = ["--nointeraction", "get", object, "--", item].map(OsString::from).to_vec();
        Self { arguments, reading, ..Self::new(surroundings, format!("bw:{item}"), "bw") }
    }

    /// A file that SOPS encrypted; with `json` one string of it.
    pub fn sops(surroundings: Surroundings, path: PathBuf, json: bool) -> Self {
        let mut arguments: Vec<OsString> = vec!["-d".into()];
        if json {
            arguments.extend(["--output-type".into(), "json".into()]);
        }
        let description = format!("sops:{}", path.display());
        arguments.push(path.into());
        let reading = if json { Reading::Json } else { Reading::Text };
        Self { arguments, reading, ..Self::new(surroundings, description, "sops") }
    }

    fn new(surroundings: Surroundings, description: String, program: &str) -> Self {
        let (arguments, input, reading) = (Vec::new(), String::new(), Reading::Text);
        Self { description, program: program.into(), arguments, input, reading, surroundings }
    }

    fn output(&self, manner: Manner) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        let mut command = self.surroundings.command(&self.program, &self.arguments);
        if manner == Manner::Silent {
            // In a process group of its own it is not the terminal's: who reads from it all the same is stopped.
            command.stderr(Stdio::null()).process_group(0).env("GIT_TERMINAL_PROMPT", "0");
        }
        let program = || self.description.clone();
        match run(command, self.input.as_bytes(), manner, self.surroundings.patience) {
            Ok((status, output)) if status.success() => Ok(output),
            Ok((status, _)) => Err(SourceError::Command { program: program(), status }),
            Err(RunError::Spawn(source)) => Err(SourceError::Spawn { program: program(), source }),
            Err(RunError::Deadline) => {
                Err(SourceError::Deadline { program: program(), seconds: self.surroundings.patience.as_secs() })
            }
        }
    }
}

impl Surroundings {
    /// A program that is run in them.
    pub(crate) fn command(&self, program: &OsStr, arguments: &[OsString]) -> Command {
        let mut command = Command::new(program);
        // Not where Standin was started: that is the workspace, and what a command finds there (`git`: helpers in
        // `.git/config`) is the sandbox's to write.
        command.args(arguments).current_dir("/").env("PATH", &self.path).stdout(Stdio::piped());
        for variable in LEADS_TO_REPOSITORY {
            command.env_remove(variable);
        }
        command
    }
}

/// Why a program said nothing.
pub(crate) enum RunError {
    /// It cannot be run.
    Spawn(io::Error),
    /// It took too long, and was ended.
    Deadline,
}

/// How a program ended, and what it printed when it was told this.
pub(crate) fn run(
    mut command: Command,
    input: &[u8],
    manner: Manner,
    patience: Duration,
) -> Result<(ExitStatus, Zeroizing<Vec<u8>>), RunError> {
    command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
    let mut child = command.spawn().map_err(RunError::Spawn)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who does not want to hear it says so by its exit code.
        stdin.write_all(input).ok();
    }
    let stdout = child.stdout.take().expect("stdout was piped");
    let (sender, output) = mpsc::channel();
    // The reader ends with the pipe; if the deadline passes first, nobody listens to it any more.
    std::thread::spawn(move || drop(sender.send(read_bounded(stdout, 0, MAX_SECRET_BYTES))));
    let Ok(output) = output.recv_timeout(patience) else {
        end(&mut child, manner).map_err(RunError::Spawn)?;
        return Err(RunError::Deadline);
    };
    let status = child.wait().map_err(RunError::Spawn)?;
    Ok((status, output.map_err(RunError::Spawn)?))
}

impl SecretSource for ProgramSource {
    fn describe(&self) -> String {
        self.description.clone()
    }

    fn fetch(&self, manner: Manner) -> Result<Fetched, SourceError> {
        fetched(&self.output(manner)?, || self.describe())
    }

    fn value(&self, fetched: &Fetched, member: &str) -> Result<Value, SourceError> {
        // Which of Bitwarden's objects is meant was said to its program already.
        let member = if self.reading == Reading::Text { "" } else { member };
        self.reading.value(fetched, member, &self.description)
    }
}

/// Ends a program, and those that it started where they are a group of their own.
fn end(child: &mut Child, manner: Manner) -> std::io::Result<()> {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    match group.filter(|_| manner == Manner::Silent) {
        Some(group) => kill_process_group(group, Signal::KILL)?,
        None => child.kill()?,
    }
    child.wait().map(drop)
}
