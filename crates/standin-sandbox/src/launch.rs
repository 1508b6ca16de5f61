//! The launcher's side: starts the first process, hands the plan over when it is made, takes the sockets, waits.

use crate::control;
use crate::dns_socket::DnsSocket;
use crate::door::Door;
use crate::gate;
use crate::ground::Ground;
use crate::init::{BEGIN, FAILED, INIT_ARGUMENT, INPUT, NETWORK, PLAN, TERMINAL};
use crate::network;
use crate::plan::Plan;
use crate::probe;
use crate::relay::{Files, Relay};
use crate::reports::Reports;
use crate::standard::Input;
use crate::step::{Step, StepError};
use crate::sys;
use crate::terminal;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Signal, pidfd_send_signal};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;

/// Where the first process puts its end of the socket.
pub(crate) const CONTROL_FD: RawFd = 3;
/// Where it puts the socket on which it reports what the broker of files refuses.
pub(crate) const REPORTS_FD: RawFd = 4;

/// A sandbox that is being made and waits for its plan. Dropped, it ends: its first process finds the socket closed.
pub struct Begun {
    starting: Starting,
    reports: OwnedFd,
    has_door: bool,
    relay: Relay,
}

/// A sandbox that has its plan.
pub struct Planned {
    begun: Begun,
    sent: io::Result<()>,
}

/// A sandbox whose network exists; its command has not started yet.
pub struct Prepared {
    starting: Starting,
    process: Process,
    reports: OwnedFd,
    sockets: Sockets,
    relay: Relay,
}

/// The sockets that a running sandbox is served by.
pub struct Sockets {
    /// Captured connections, accepted from outside.
    pub tcp: std::net::TcpListener,
    /// Captured DNS queries.
    pub dns: DnsSocket,
    /// Connections that were dialled at the plan's local ports.
    pub local: Vec<std::net::TcpListener>,
    /// The way in.
    pub door: Option<Door>,
}

/// A sandbox whose command runs.
pub struct Sandbox {
    child: Child,
    process: Process,
    relay: Relay,
    /// The file that the command reads in place of our standard input.
    input: Option<Input>,
    /// Our side of the command's terminal.
    pub terminal: Option<OwnedFd>,
    /// On which the broker of files says what it refused: a message each. It closes when the sandbox has ended.
    pub reports: Option<Reports>,
}

/// The sandbox's first process, with which all others end. Whatever takes over its number later is not meant.
#[derive(Clone)]
pub struct Process(Arc<OwnedFd>);

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Before the first process.
    #[error("cannot start the sandbox's first process")]
    Spawn(#[source] io::Error),
    /// The caller's terminal cannot be handed over for reading only.
    #[error("cannot open the terminal that is standard input for reading only")]
    Keyboard(#[source] io::Error),
    /// A step on the way in.
    #[error("cannot {}{}{}", what, if detail.is_empty() { "" } else { ": " }, detail)]
    Step {
        /// What was tried.
        what: &'static str,
        /// On what.
        detail: String,
        /// How the host can be mended, if that is known.
        mend: Option<String>,
        /// What the system said.
        source: io::Error,
    },
    /// The first process ended without a word.
    #[error("the sandbox's first process ended with {0} before the command started")]
    Died(ExitStatus),
    /// The socket to it.
    #[error("lost the sandbox's first process")]
    Lost(#[source] io::Error),
}

/// Begins to make a sandbox: its first process makes the namespaces and the network, while the caller puts the plan
/// together. Call it from the main thread: the sandbox dies with the thread that made it.
pub fn begin(ground: &Ground, program: &Path) -> Result<Begun, LaunchError> {
    let pair = || control::pair().map_err(LaunchError::Spawn);
    let ((ours, theirs), (reports, reporter)) = (pair()?, pair()?);
    let words = serde_json::to_vec(ground).map_err(|error| LaunchError::Spawn(error.into()))?;
    control::send(&ours, &words, &[]).map_err(LaunchError::Spawn)?;
    // A caller may have left us any; and nothing of ours is for anyone but these two.
    sys::close_on_exec_from(3).map_err(|error| failure(StepError::new(Step::Descriptors, error)))?;
    let mut command = Command::new(program);
    command.arg(INIT_ARGUMENT).env_clear();
    for handed in [&theirs, &reporter] {
        fcntl_setfd(handed, FdFlags::empty()).map_err(|error| LaunchError::Spawn(error.into()))?;
        command.arg(handed.as_raw_fd().to_string());
    }
    if !ground.terminal.is_some_and(|terminal| terminal.controls)
        && let Some(keyboard) = terminal::for_reading().map_err(LaunchError::Keyboard)?
    {
        command.stdin(keyboard);
    }
    let files = Files::replaced(&mut command).map_err(LaunchError::Spawn)?;
    // Without anything to do between fork and exec, this process is not copied: a fiftieth of a start.
    let child = command.spawn().map_err(LaunchError::Spawn)?;
    let relay = files.write().map_err(LaunchError::Spawn)?;
    Ok(Begun { starting: Starting { child, control: ours }, reports, has_door: ground.ports.publish, relay })
}

impl Begun {
    /// Hands the plan over. What remains to be prepared for the command can be, while its files are put together: it begins
    /// when it is told to ([`Prepared::started`]).
    pub fn plan(self, plan: &Plan) -> Result<Planned, LaunchError> {
        let parcel = plan.pack().map_err(LaunchError::Lost)?;
        // A process that has failed takes no plan, and has said why.
        let sent = control::send(&self.starting.control, &[PLAN], &[parcel.as_fd()]);
        Ok(Planned { begun: self, sent })
    }
}

impl Planned {
    /// Returns as soon as the network can be served.
    pub fn launch(self) -> Result<Prepared, LaunchError> {
        let Self { begun: Begun { mut starting, reports, has_door, relay }, sent } = self;
        match starting.next_message()? {
            Some((NETWORK, descriptors)) => {
                sent.map_err(LaunchError::Lost)?;
                let (process, sockets) = take(descriptors, has_door).map_err(LaunchError::Lost)?;
                if let Err(error) = gate::arrived(&sockets.tcp) {
                    // The process outside is the parent of all there is, and nothing was run yet.
                    starting.child.kill().map_err(LaunchError::Lost)?;
                    starting.reap();
                    return Err(failure(StepError::new(Step::Gate, error)));
                }
                Ok(Prepared { starting, process, reports, sockets, relay })
            }
            _ => Err(starting.died()),
        }
    }
}

/// As [`crate::init`] hands them over.
fn take(descriptors: Vec<OwnedFd>, has_door: bool) -> io::Result<(Process, Sockets)> {
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next().ok_or(io::Error::from(io::ErrorKind::InvalidData));
    let (process, tcp, dns) = (Process(Arc::new(next()?)), next()?, next()?);
    let door = if has_door { Some(Door::new(next()?)?) } else { None };
    let local = descriptors.map(Into::into).collect();
    Ok((process, Sockets { tcp: tcp.into(), dns: DnsSocket::new(dns), local, door }))
}

impl Process {
    /// Sends it a signal, which is passed on to the command; whether it was still there.
    pub fn signal(&self, signal: Signal) -> bool {
        pidfd_send_signal(&*self.0, signal).is_ok()
    }
}

impl Prepared {
    /// The gateway's own addresses, as the sandbox sees them.
    pub fn gateway(&self) -> Vec<IpAddr> {
        vec![network::GATEWAY_V4.into(), network::GATEWAY_V6.into()]
    }

    /// Lets the command begin, and waits until it runs.
    pub fn started(self, expects_terminal: bool) -> Result<(Sandbox, Sockets), LaunchError> {
        let Self { mut starting, process, reports, sockets, relay } = self;
        // As with the plan: who has failed has said why.
        control::send(&starting.control, &[BEGIN], &[]).ok();
        let (mut terminal, mut input) = (None, None);
        loop {
            match starting.next_message()? {
                Some((TERMINAL, descriptors)) => terminal = descriptors.into_iter().next(),
                Some((INPUT, descriptors)) => input = descriptors.into_iter().next().map(Input::new),
                // The socket closes when the command is executed.
                None if !expects_terminal || terminal.is_some() => break,
                _ => return Err(starting.died()),
            }
        }
        let Starting { child, control: _ } = starting;
        Ok((Sandbox { child, process, relay, input, terminal, reports: Some(Reports::new(reports)) }, sockets))
    }
}

impl Sandbox {
    /// The process to signal.
    pub fn process(&self) -> Process {
        self.process.clone()
    }

    /// Waits, after the end, until all that the command wrote to files of ours is in them.
    pub fn written(&mut self) -> io::Result<()> {
        self.relay.end()
    }

    /// Waits for the end: the command's exit code, or 128 and the signal that ended it.
    pub fn wait(&mut self) -> io::Result<i32> {
        let status = self.child.wait()?;
        if let Some(input) = self.input.take() {
            input.move_ours()?;
        }
        Ok(status.code().unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0)))
    }
}

/// The first process, until it has executed the command.
struct Starting {
    child: Child,
    /// Closed, it tells that process that it is not wanted any more.
    control: OwnedFd,
}

impl Starting {
    /// The next word from the first process; nothing when it has closed the socket.
    fn next_message(&mut self) -> Result<Option<(u8, Vec<OwnedFd>)>, LaunchError> {
        let (message, descriptors) = control::receive(&self.control).map_err(LaunchError::Lost)?;
        match message.as_slice() {
            [] => Ok(None),
            [FAILED, told @ ..] => {
                self.reap();
                Err(StepError::from_bytes(told).map_or(LaunchError::Lost(io::ErrorKind::InvalidData.into()), failure))
            }
            [kind, ..] => Ok(Some((*kind, descriptors))),
        }
    }

    fn died(mut self) -> LaunchError {
        match self.child.wait() {
            Ok(status) => LaunchError::Died(status),
            Err(error) => LaunchError::Lost(error),
        }
    }

    fn reap(&mut self) {
        // It has said why it ends; its code adds nothing.
        drop(self.child.wait());
    }
}

fn failure(error: StepError) -> LaunchError {
    let StepError { step, what, source } = error;
    let mend = probe::mend(step, source.raw_os_error().unwrap_or(0), &probe::ThisHost);
    LaunchError::Step { what: step.what(), detail: what, mend, source }
}
