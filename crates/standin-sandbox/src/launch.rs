//! The launcher's side: starts the first process, takes the sockets, waits.

use crate::dns_socket::DnsSocket;
use crate::door::Door;
use crate::gate;
use crate::init::{FAILED, INIT_ARGUMENT, NETWORK, TERMINAL};
use crate::network;
use crate::plan::Plan;
use crate::probe;
use crate::reports::Reports;
use crate::step::Step;
use crate::sys;
use crate::terminal;
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType, recvmsg, socketpair,
};
use std::fs::File;
use std::io::{self, IoSliceMut, Write};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

/// Where the first process finds its end of the socket.
pub(crate) const CONTROL_FD: RawFd = 3;
/// Where it finds the plan.
pub(crate) const PLAN_FD: RawFd = 4;

/// Where it finds the socket on which it reports what the broker of files refuses.
pub(crate) const REPORTS_FD: RawFd = 5;

/// Descriptors that come in one message at most: those of the gateway, the door, and two for each local port.
pub(crate) const MOST_HANDED: usize = 2 + 1 + 2 * MAX_LOCAL_PORTS;
/// Most ports that may be reached on the host's loopback. A development machine runs a handful of servers; the kernel takes 253
/// descriptors in a message.
pub const MAX_LOCAL_PORTS: usize = 32;

/// A sandbox whose network exists; its command has not started yet, or has just.
pub struct Prepared {
    child: Child,
    control: OwnedFd,
    reports: OwnedFd,
    sockets: Sockets,
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
    /// Our side of the command's terminal.
    pub terminal: Option<OwnedFd>,
    /// On which the broker of files says what it refused: a message each. It closes when the sandbox has ended.
    pub reports: Option<Reports>,
}

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

/// Makes a sandbox and returns as soon as its network can be served. Call it from the main thread: the sandbox dies
/// with the thread that made it.
pub fn launch(plan: &Plan, program: &Path) -> Result<Prepared, LaunchError> {
    let pair = || {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|error| LaunchError::Spawn(error.into()))
    };
    let ((ours, theirs), (reports, reporter)) = (pair()?, pair()?);
    let plan_file = write_plan(plan).map_err(LaunchError::Spawn)?;
    let handed = [theirs.as_raw_fd(), plan_file.as_raw_fd(), reporter.as_raw_fd()];
    let mut command = Command::new(program);
    command.arg(INIT_ARGUMENT).env_clear();
    if !plan.terminal.is_some_and(|terminal| terminal.controls)
        && let Some(keyboard) = terminal::for_reading().map_err(LaunchError::Keyboard)?
    {
        command.stdin(keyboard);
    }
    let hand_over = move || {
        // Each may sit where the other is to go, so they move out of the way first: to numbers that are free, for a
        // caller may have left us any.
        let mut high = [0; 3];
        for (high, handed) in high.iter_mut().zip(handed) {
            *high = sys::duplicate_from(handed, REPORTS_FD + 1)?;
        }
        sys::close_on_exec_from(3)?;
        sys::dup2(high[0], CONTROL_FD)?;
        sys::dup2(high[1], PLAN_FD)?;
        sys::dup2(high[2], REPORTS_FD)
    };
    // SAFETY: the closure makes async-signal-safe system calls only and allocates nothing.
    unsafe { command.pre_exec(hand_over) };
    let child = command.spawn().map_err(|error| match error.raw_os_error() {
        // Of what the closure calls only this is not in every kernel.
        Some(libc::ENOSYS) => failure(Step::Descriptors.code(), libc::ENOSYS, &[]),
        _ => LaunchError::Spawn(error),
    })?;
    drop((theirs, plan_file, reporter));
    let mut starting = Starting { child, control: ours };
    match starting.next_message()? {
        Some((NETWORK, descriptors)) => {
            let sockets = Sockets::take(descriptors, plan.ports.publish).map_err(LaunchError::Lost)?;
            if let Err(error) = gate::arrived(&sockets.tcp) {
                // The process outside is the parent of all there is, and nothing was run yet.
                starting.child.kill().map_err(LaunchError::Lost)?;
                starting.reap();
                return Err(failure(Step::Gate.code(), 0, error.to_string().as_bytes()));
            }
            let Starting { child, control } = starting;
            Ok(Prepared { child, control, reports, sockets })
        }
        _ => Err(starting.died()),
    }
}

impl Sockets {
    /// As [`crate::init`] hands them over.
    fn take(descriptors: Vec<OwnedFd>, has_door: bool) -> io::Result<Self> {
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or(io::Error::from(io::ErrorKind::InvalidData));
        let (tcp, dns) = (next()?, next()?);
        let door = if has_door { Some(Door::new(next()?)?) } else { None };
        let local = descriptors.map(Into::into).collect();
        Ok(Self { tcp: tcp.into(), dns: DnsSocket::new(dns), local, door })
    }
}

impl Prepared {
    /// The gateway's own addresses, as the sandbox sees them.
    pub fn gateway(&self) -> Vec<IpAddr> {
        vec![network::GATEWAY_V4.into(), network::GATEWAY_V6.into()]
    }

    /// Waits until the command runs.
    pub fn started(self, expects_terminal: bool) -> Result<(Sandbox, Sockets), LaunchError> {
        let Self { child, control, reports, sockets } = self;
        let mut starting = Starting { child, control };
        let mut terminal = None;
        loop {
            match starting.next_message()? {
                Some((TERMINAL, descriptors)) => terminal = descriptors.into_iter().next(),
                // The socket closes when the command is executed.
                None if !expects_terminal || terminal.is_some() => break,
                _ => return Err(starting.died()),
            }
        }
        Ok((Sandbox { child: starting.child, terminal, reports: Some(Reports::new(reports)) }, sockets))
    }
}

impl Sandbox {
    /// The process to wait for and to signal.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Passes a signal on to the command.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        sys::kill(i32::try_from(self.child.id()).map_err(|_| io::ErrorKind::InvalidInput)?, signal)
    }

    /// Waits for the end: the command's exit code, or 128 and the signal that ended it.
    pub fn wait(&mut self) -> io::Result<i32> {
        let status = self.child.wait()?;
        Ok(status.code().unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0)))
    }
}

struct Starting {
    child: Child,
    control: OwnedFd,
}

impl Starting {
    /// The next word from the first process; nothing when it has closed the socket.
    fn next_message(&mut self) -> Result<Option<(u8, Vec<OwnedFd>)>, LaunchError> {
        let mut buffer = [0; 4096];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_HANDED))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let received = loop {
            match recvmsg(&self.control, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other.map_err(|error| LaunchError::Lost(error.into()))?,
            }
        };
        let descriptors = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        match &buffer[..received.bytes] {
            [] => Ok(None),
            [FAILED, step, a, b, c, d, detail @ ..] => {
                self.reap();
                Err(failure(*step, i32::from_le_bytes([*a, *b, *c, *d]), detail))
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

fn failure(step: u8, number: i32, detail: &[u8]) -> LaunchError {
    let detail = String::from_utf8_lossy(detail).into_owned();
    // Without a number of the system's the words are the error.
    let (detail, source) = match number {
        0 => (String::new(), io::Error::other(detail)),
        number => (detail, io::Error::from_raw_os_error(number)),
    };
    let step = Step::from_code(step);
    LaunchError::Step {
        what: step.map_or("start the sandbox", Step::what),
        detail,
        mend: step.and_then(|step| probe::mend(step, number, &probe::ThisHost)),
        source,
    }
}

/// The plan in memory: never on disk, and closed when the first process has read it.
fn write_plan(plan: &Plan) -> io::Result<File> {
    let mut file = File::from(memfd_create("standin-plan", MemfdFlags::CLOEXEC)?);
    let json = serde_json::to_vec(plan)?;
    for part in std::iter::once(&json).chain(&plan.blobs) {
        file.write_all(&(part.len() as u64).to_le_bytes())?;
        file.write_all(part)?;
    }
    seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}
