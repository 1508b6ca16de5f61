//! The stage: a private network with the rig in it, and the agent, once as an ordinary process and once in the sandbox.
//!
//! It is a process of its own, since it leaves the host's network for good. It prints what was said and what was seen;
//! [`verdict`](crate::verdict) judges it elsewhere.

use crate::agent::{self, Said};
use crate::catalogue;
use crate::catalogue::kernel::{COURIER, abstract_name, be_courier};
use crate::outside;
use crate::rig::estate::{Estate, VICTIM, be_victim};
use crate::rig::servers::Internet;
use crate::rig::{self, API, GOOD, KEY, OK, REBIND};
use crate::scene::{Arm, Scene};
use crate::verdict::Witnessed;
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use standin_ca::SessionCa;
use standin_policy::catalogue::Catalogue;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// The argument that makes this program the stage; a directory follows.
pub const ARGUMENT: &str = "__attack-stage";
/// What the stage is told by, on its standard input: what makes marks and secrets unlike any others.
#[derive(Serialize, Deserialize)]
pub struct Cue {
    /// Letters and digits for marks.
    pub seed: String,
    /// Letters and digits for secrets, which the agent is not told.
    pub secret: String,
    /// What isolates the agent, as configurations name it.
    pub backend: String,
}

/// What came of both arms.
#[derive(Serialize, Deserialize)]
pub struct Report {
    /// Without the sandbox.
    pub bare: Witnessed,
    /// In it.
    pub boxed: Witnessed,
    /// In it, on a copy of the workspace, as far as that makes a difference.
    pub copied: Witnessed,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The network.
    #[error("cannot make a private network")]
    Network(#[source] io::Error),
    /// The servers.
    #[error("cannot start the rig")]
    Rig(#[source] io::Error),
    /// The certificates.
    #[error("cannot make the rig's certificates")]
    Certificates(#[source] standin_ca::CaError),
    /// A run of the agent.
    #[error("cannot run the agent {0}")]
    Agent(&'static str, #[source] io::Error),
    /// Input or output.
    #[error("cannot talk to the doctor")]
    Report(#[source] io::Error),
}

/// The part that this process plays besides the stage, if it was started for one: the agent, or one of the rig's.
pub fn hidden_role(mut arguments: impl Iterator<Item = String>) -> Option<i32> {
    let role = arguments.next()?;
    let first = arguments.next().unwrap_or_default();
    match role.as_str() {
        agent::ARGUMENT => Some(agent::play(&first).map_or(1, |()| 0)),
        VICTIM => Some(be_victim()),
        COURIER => Some(be_courier(&first)),
        outside::LESSER => Some(outside::be_lesser(first, arguments)),
        outside::SCREEN => Some(outside::be_screen(&first)),
        outside::NOTHING => Some(0),
        _ => None,
    }
}

/// Plays the stage in `directory`; `enter` leaves the host's network for a private one, where this hosts file holds.
/// Call it while there is one thread.
pub fn play(directory: &Path, enter: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), StageError> {
    let cue: Cue = serde_json::from_reader(io::stdin()).map_err(|error| StageError::Report(error.into()))?;
    let hosts = directory.join("hosts");
    fs::write(&hosts, rig::hosts_file(&allowed_hosts())).map_err(StageError::Rig)?;
    enter(&hosts).map_err(StageError::Network)?;
    // So that a ping can be shown to get through where nothing keeps it.
    let gid = rustix::process::getegid().as_raw();
    fs::write("/proc/sys/net/ipv4/ping_group_range", format!("{gid} {gid}")).ok(); // or it is not shown
    let ca = SessionCa::generate(SystemTime::now()).map_err(StageError::Certificates)?;
    let roots = directory.join("rig-ca.pem");
    fs::write(&roots, ca.certificate_pem()).map_err(StageError::Rig)?;
    let internet = Internet::start(ca).map_err(StageError::Rig)?;
    let stage = Stage { directory: directory.to_owned(), roots, cue, internet };
    let report = Report {
        bare: stage.run(Arm::Bare).map_err(|error| StageError::Agent("without a sandbox", error))?,
        boxed: stage.run(Arm::Boxed).map_err(|error| StageError::Agent("in the sandbox", error))?,
        copied: stage.run(Arm::Copied).map_err(|error| StageError::Agent("on a copy of the workspace", error))?,
    };
    serde_json::to_writer(io::stdout(), &report).map_err(|error| StageError::Report(error.into()))
}

/// Hosts of registries, which the agent may read.
fn allowed_hosts() -> Vec<String> {
    let rules = Catalogue::builtin().registries().flat_map(|service| &service.allow);
    rules.flat_map(|rule| &rule.hosts).map(ToString::to_string).filter(|name| !name.contains('*')).collect()
}

pub(crate) struct Stage {
    directory: PathBuf,
    roots: PathBuf,
    cue: Cue,
    pub(crate) internet: Internet,
}

impl Stage {
    fn run(&self, arm: Arm) -> io::Result<Witnessed> {
        let place = self.directory.join(match arm {
            Arm::Bare => "bare",
            Arm::Boxed => "boxed",
            Arm::Copied => "copied",
        });
        let secret = |number: u16| self.cue.secret_of(number);
        let mut numbers = catalogue::tried(arm);
        // What ends processes comes last.
        numbers.sort_by_key(|number| *number == 104);
        let mut scene = Scene { arm, seed: self.cue.seed.clone(), place: place.clone(), victim: 0, leaked: 0, numbers };
        let estate = Estate::make(&place, &secret, &self.internet.recorder, &abstract_name(&scene))?;
        scene.victim = estate.victim()?;
        self.internet.prepare(secret(62));
        let leaked = File::options().append(true).open(place.join("outside/leaked"))?;
        fcntl_setfd(&leaked, FdFlags::empty())?;
        scene.leaked = leaked.as_raw_fd();
        let mut said = self.agent(&scene)?;
        if arm == Arm::Copied {
            self.discard(&scene)?;
        } else {
            said.extend(self.outside(&scene)?);
        }
        drop(leaked);
        let alive = still_locked(&place)?;
        let others = estate.end()?;
        let seen = self.internet.all(others)?;
        Ok(Witnessed::gather(&scene, said, &String::from_utf8_lossy(&seen), alive, &secret))
    }

    /// Runs the agent and gives what it says.
    fn agent(&self, scene: &Scene) -> io::Result<Vec<Said>> {
        let scene_text = serde_json::to_string(scene)?;
        let printed = printed(self.command(scene, &[], &[agent::ARGUMENT, &scene_text])?)?;
        Ok(serde_json::Deserializer::from_slice(&printed).into_iter().collect::<Result<_, _>>()?)
    }

    /// Forgets the copy, which holds directories of the kernel's that nobody can read.
    fn discard(&self, scene: &Scene) -> io::Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        self.surround(&mut command, scene);
        command.arg("discard");
        printed(command).map(drop)
    }

    /// This program in another part: as it is, or in the sandbox; behind `before`.
    pub(crate) fn command(&self, scene: &Scene, before: &[&str], arguments: &[&str]) -> io::Result<Command> {
        let program = std::env::current_exe()?;
        let mut command = Command::new(&program);
        command.args(before);
        if scene.arm != Arm::Bare {
            command.arg("run").arg("--config").arg(self.policy()?);
            command.args((scene.arm == Arm::Copied).then_some("--cow")).arg("--").arg(&program);
        }
        command.args(arguments);
        self.surround(&mut command, scene);
        Ok(command)
    }

    /// The caller's environment, with all that a careless sandbox passes on.
    pub(crate) fn surround(&self, command: &mut Command, scene: &Scene) {
        let path = |name: &str| scene.host(name);
        command
            .current_dir(path("workspace"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", path("home"))
            .env("XDG_STATE_HOME", path("state"))
            .env("XDG_CONFIG_HOME", path("config"))
            .env("SSL_CERT_FILE", &self.roots)
            .env(KEY, self.cue.secret_of(58))
            .env("ANTHROPIC_API_KEY", format!("sk-ant-api03-{}", self.cue.secret_of(48)))
            .env("GH_TOKEN", format!("ghp_{}", self.cue.secret_of(50)))
            .env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", path("run/bus").display()))
            .env("SSH_AUTH_SOCK", path("run/agent.sock"))
            .env("TMUX", path("run/tmux"))
            .env("DOCKER_HOST", format!("unix://{}", path("run/docker.sock").display()))
            .env("NODE_OPTIONS", format!("--require={}", self.cue.secret_of(125)));
    }

    /// What the sandbox's session allows: a little, as a person would.
    fn policy(&self) -> io::Result<PathBuf> {
        let path = self.directory.join("policy.toml");
        let backend = &self.cue.backend;
        let text = format!(
            "[sandbox]\nbackend = \"{backend}\"\n[[credential]]\nname = \"rig\"\nsource = \"env:{KEY}\"\nenv = [\"{KEY}\"]\n\
             [[credential.grant]]\nhosts = [\"{API}\"]\n\
             [[allow]]\nhosts = [\"{OK}\"]\nports = [80, 443]\n\
             [[allow]]\nhosts = [\"{REBIND}\"]\nports = [80]\n\
             [[allow]]\nhosts = [\"{GOOD}\", \"*.{GOOD}\"]\nports = [80, 443]\n"
        );
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Cue {
    /// The secret that was made for a vector.
    pub fn secret_of(&self, number: u16) -> String {
        format!("secret{number:03}{}", self.secret)
    }
}

/// What a program prints; what it complains of, if it fails.
fn printed(mut command: Command) -> io::Result<Vec<u8>> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("it ended with {}: {words}", output.status)))
}

/// Whether a process that the agent left still holds its lock; it is let go.
fn still_locked(place: &Path) -> io::Result<bool> {
    let Ok(file) = File::open(place.join("workspace/alive")) else { return Ok(false) };
    let locked = crate::sys::lock(file.as_fd()).is_err();
    if locked {
        // It waits for somebody to open this.
        drop(File::options().write(true).open(place.join("workspace/alive-until"))?);
    }
    Ok(locked)
}
