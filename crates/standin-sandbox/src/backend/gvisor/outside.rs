//! The part that starts `runsc`: as the sandbox's command, in a user namespace of its own, where it may build what gVisor needs.

use super::plan::{self, ERRAND, Errand, SCRATCH};
use super::{WINDOW, cannot};
use crate::ground::Terminal;
use crate::init::map_identity;
use crate::supervise::{self, FORWARDED};
use crate::sys;
use crate::terminal::{RawTerminal, size};
use rustix::process::{getegid, geteuid};
use rustix::termios::isatty;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Signals that end a program which does not expect them.
const ENDING: &[i32] = &[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// Runs what follows the name of `runsc`; gives its exit code.
pub(super) fn play(mut arguments: impl Iterator<Item = OsString>) -> io::Result<i32> {
    let runsc = PathBuf::from(arguments.next().ok_or(io::ErrorKind::InvalidInput)?);
    let errand = errand(arguments.map(OsString::into_vec).collect())?;
    let signals = sys::block_signals()?;
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    cannot("make namespaces", sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS))?;
    cannot("map the user", map_identity((0, uid), (0, gid)))?;
    cannot("build the container", build(&errand))?;
    // Keys are for the terminal under that kernel.
    let controls = errand.terminal.is_some_and(|terminal| terminal.controls);
    let raw = if controls { Some(RawTerminal::enter(io::stdin())?) } else { None };
    let code = Container::start(&runsc)?.wait(&signals);
    drop(raw);
    code
}

fn errand(command: Vec<Vec<u8>>) -> io::Result<Errand> {
    let environment = std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let controls = File::open("/dev/tty").is_ok();
    let replaced = [isatty(io::stdout()), isatty(io::stderr())];
    let shown = if controls {
        size(io::stdin())
    } else if replaced[0] {
        size(io::stdout())
    } else {
        size(io::stderr())
    };
    let terminal = shown.ok().map(|(rows, columns)| Terminal { rows, columns, controls });
    Ok(Errand {
        command,
        environment: environment.collect(),
        directory: std::env::current_dir()?,
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
        terminal,
        replaced,
    })
}

/// What `runsc` reads. What it keeps is of no use to the command, and could mislead `runsc`, which is outside of the command's kernel: so the root that is
/// served does not have it.
fn build(errand: &Errand) -> io::Result<()> {
    fs::create_dir_all(SCRATCH)?;
    fs::write(ERRAND, serde_json::to_vec(errand)?)?;
    let scratch = sys::c_path(Path::new(SCRATCH))?;
    sys::mount(c"standin", &scratch, c"tmpfs", libc::MS_NOSUID | libc::MS_NODEV, c"mode=0700,size=16m")?;
    // What is unbindable is not in a copy of what holds it (mount_namespaces(7)).
    sys::mount(c"none", &scratch, c"none", libc::MS_UNBINDABLE, c"")?;
    let root = plan::root();
    fs::create_dir(&root)?;
    sys::mount(c"/", &sys::c_path(&root)?, c"none", libc::MS_BIND | libc::MS_REC, c"")?;
    fs::create_dir(plan::bundle())?;
    fs::write(plan::bundle().join("config.json"), plan::configuration(&std::env::current_exe()?).to_string())
}

/// `runsc`, and what it was asked meanwhile.
struct Container<'a> {
    runsc: &'a Path,
    process: i32,
    /// Processes that pass a signal on, and which.
    passing: Vec<(i32, i32)>,
}

impl<'a> Container<'a> {
    fn start(runsc: &'a Path) -> io::Result<Self> {
        let child = cannot("run runsc", command(runsc, &plan::run()).spawn())?;
        Ok(Self { runsc, process: number(child.id())?, passing: Vec::new() })
    }

    /// Passes signals on until the end; gives the exit code.
    fn wait(mut self, signals: &libc::sigset_t) -> io::Result<i32> {
        loop {
            match sys::wait_signal(signals)? {
                libc::SIGCHLD => {
                    while let Ok(Some((process, status))) = sys::reap() {
                        if process == self.process {
                            return Ok(supervise::exit_code(status));
                        }
                        self.passed(process, supervise::exit_code(status));
                    }
                }
                libc::SIGWINCH => self.resize()?,
                signal if FORWARDED.contains(&signal) => self.pass(signal, &plan::signal(signal))?,
                _ => {}
            }
        }
    }

    fn pass(&mut self, signal: i32, words: &[OsString]) -> io::Result<()> {
        let nothing = || Stdio::null();
        let child = command(self.runsc, words).stdin(nothing()).stdout(nothing()).stderr(nothing()).spawn()?;
        self.passing.push((number(child.id())?, signal));
        Ok(())
    }

    /// What could not be passed on came before the command began, which it then does not.
    fn passed(&mut self, process: i32, code: i32) {
        let Some(at) = self.passing.iter().position(|(passing, _)| *passing == process) else { return };
        let (_, signal) = self.passing.swap_remove(at);
        if code != 0 && ENDING.contains(&signal) {
            sys::kill(self.process, signal).ok(); // or it has ended a moment ago
        }
    }

    fn resize(&mut self) -> io::Result<()> {
        let Ok((rows, columns)) = size(io::stdin()).or_else(|_| size(io::stdout())).or_else(|_| size(io::stderr()))
        else {
            return Ok(());
        };
        let words = [WINDOW.to_owned(), rows.to_string(), columns.to_string()].map(OsString::from);
        let words = plan::execute([std::env::current_exe()?.into()].into_iter().chain(words));
        self.pass(libc::SIGWINCH, &words)
    }
}

/// Of the command's environment nothing is for `runsc`. A signal to our group is for us to pass on, also while another is being passed on.
fn command(runsc: &Path, words: &[OsString]) -> Command {
    let mut command = Command::new(runsc);
    command.args(words).process_group(0).env_clear().env("PATH", OsStr::new("/usr/sbin:/usr/bin:/sbin:/bin"));
    command
}

fn number(id: u32) -> io::Result<i32> {
    i32::try_from(id).map_err(|_| io::ErrorKind::InvalidData.into())
}
