//! Runs `standin run` without a rig, as a caller does who has a terminal, pipes, open files: for what needs no origin.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use standin_e2e::binary;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// When a test that waits for something is given up, so that it fails instead of hanging.
const GIVE_UP: Duration = Duration::from_secs(60);

/// A home, a workspace, a state directory.
#[derive(Clone)]
pub struct Caller(Arc<tempfile::TempDir>);

impl Caller {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["home", "workspace", "state"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self(Arc::new(directory))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A program with the caller's small environment, in the workspace.
    pub fn program(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(self.path("workspace"))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    /// `standin run -- COMMAND…`
    pub fn standin(&self, command: &[&str]) -> Command {
        self.run(&[], command)
    }

    /// `standin run FLAGS… -- COMMAND…`
    pub fn run(&self, flags: &[&str], command: &[&str]) -> Command {
        let mut standin = self.program(binary("standin"));
        standin.arg("run").args(flags).arg("--").args(command);
        standin
    }

    /// Runs Python in the sandbox and gives what it printed; if it fails, what it said, too.
    pub fn python(&self, script: &str) -> String {
        let output = self.standin(&["/usr/bin/python3", "-c", script]).output().unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            text.extend([output.status.to_string().as_str(), ": ", &String::from_utf8_lossy(&output.stderr)]);
        }
        text
    }

    /// The records of the last session.
    pub fn records(&self) -> Vec<serde_json::Value> {
        self.log().split_off(1)
    }

    /// The log of the last session: what it is, then its records.
    pub fn log(&self) -> Vec<serde_json::Value> {
        let log = self.program(binary("standin")).args(["log", "--json"]).output().unwrap();
        String::from_utf8_lossy(&log.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Starts a command at a terminal of this size.
    pub fn at_terminal(&self, size: (u16, u16), command: &[&str]) -> Screen {
        Screen::start(self, size, command, |_| {})
    }
}

/// What a program printed, which must have ended well.
pub fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A process that is ended with the test, also when it fails.
pub struct Running(Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    pub fn stdin(&mut self) -> ChildStdin {
        self.0.stdin.take().unwrap()
    }

    pub fn stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        wait_for_end(&pidfd_open(self.pid(), PidfdFlags::empty()).unwrap());
        self.0.wait().unwrap()
    }

    /// The processes below it, that is the sandbox's, watched.
    pub fn descendants(&self) -> Vec<(Pid, OwnedFd)> {
        let parents: Vec<(i32, i32)> = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
                Some((pid, stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?))
            })
            .collect();
        let mut found = vec![self.pid().as_raw_nonzero().get()];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            next += 1;
        }
        let watched = |pid| {
            let pid = Pid::from_raw(pid)?;
            Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?))
        };
        found.into_iter().skip(1).filter_map(watched).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Waits until the process has ended.
fn wait_for_end(process: &OwnedFd) {
    let limit = Timespec { tv_sec: i64::try_from(GIVE_UP.as_secs()).unwrap(), tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)).unwrap();
    assert_eq!(ready, 1, "a process that should have ended still runs");
}

pub fn wait_for_all(processes: &[(Pid, OwnedFd)]) {
    for (_, process) in processes {
        wait_for_end(process);
    }
}

/// What comes from somewhere, waited for piece by piece.
pub struct Text {
    pieces: Receiver<Vec<u8>>,
    seen: String,
}

impl Text {
    pub fn from(mut source: impl Read + Send + 'static) -> Self {
        let (sender, pieces) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal ends with an error, a pipe with nothing.
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { pieces, seen: String::new() }
    }

    /// Waits for this text; gives what came before it and forgets both.
    pub fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                self.seen.truncate(at);
                return std::mem::replace(&mut self.seen, rest);
            }
            match self.pieces.recv_timeout(GIVE_UP) {
                Ok(piece) => self.seen += &String::from_utf8_lossy(&piece),
                Err(error) => panic!("waited for {text:?}, got {:?}: {error}", self.seen),
            }
        }
    }

    /// Waits for the end; gives all that is left.
    pub fn rest(mut self) -> String {
        loop {
            match self.pieces.recv_timeout(GIVE_UP) {
                Ok(piece) => self.seen += &String::from_utf8_lossy(&piece),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return self.seen,
                Err(error) => panic!("waited for the end, got {:?}: {error}", self.seen),
            }
        }
    }
}

/// A person's terminal, and `standin run` in it.
pub struct Screen {
    /// Keeps the directories until standin has ended.
    _caller: Caller,
    keyboard: File,
    terminal: OwnedFd,
    pub text: Text,
    pub standin: Running,
    pub before: Termios,
}

impl Screen {
    /// `adjust` may send some of standin's output elsewhere.
    pub fn start(caller: &Caller, size: (u16, u16), command: &[&str], adjust: impl Fn(&mut Command)) -> Self {
        Self::run(caller, size, &[], command, adjust)
    }

    /// `standin run FLAGS… -- COMMAND…`
    pub fn run(
        caller: &Caller,
        size: (u16, u16),
        flags: &[&str],
        command: &[&str],
        adjust: impl Fn(&mut Command),
    ) -> Self {
        let standin = binary("standin");
        let run = [&[standin.to_str().unwrap(), "run"], flags, &["--"], command].concat();
        Self::of(caller, size, &run, adjust)
    }

    /// Any program at such a terminal.
    pub fn of(caller: &Caller, size: (u16, u16), program: &[&str], adjust: impl Fn(&mut Command)) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let name = Path::new(name.to_str().unwrap());
        let open = || File::options().read(true).write(true).open(name).unwrap();
        resize(&ours, size);
        let before = tcgetattr(&ours).unwrap();
        // `setsid --ctty` makes the terminal the controlling one, and then becomes the program.
        let mut command = caller.program("setsid");
        command.arg("--ctty").args(program);
        command.stdin(open()).stdout(open()).stderr(open());
        adjust(&mut command);
        let terminal = OwnedFd::from(open());
        let standin = Running::start(&mut command);
        let keyboard = File::from(ours.try_clone().unwrap());
        Self { _caller: caller.clone(), keyboard, terminal, text: Text::from(File::from(ours)), standin, before }
    }

    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end of what the terminal shows; gives all that is left.
    pub fn rest(self) -> String {
        // It ends when nobody has the terminal open any more.
        drop(self.terminal);
        self.text.rest()
    }

    pub fn resize(&self, size: (u16, u16)) {
        resize(self.keyboard.as_fd(), size);
    }

    /// The terminal's settings, in a form that can be compared.
    pub fn settings(&self) -> String {
        comparable(&tcgetattr(&self.terminal).unwrap())
    }

    pub fn settings_before(&self) -> String {
        comparable(&self.before)
    }
}

fn comparable(settings: &Termios) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?}",
        settings.input_modes,
        settings.output_modes,
        settings.control_modes,
        settings.local_modes,
        settings.special_codes
    )
}

fn resize(terminal: impl AsFd, (rows, columns): (u16, u16)) {
    tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}
