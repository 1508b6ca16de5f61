//! The way in: from a fresh process to the command, as one straight line.
//!
//! The launcher executes this program again with an empty environment and its end of a socket at descriptor 3, on which
//! come the [`Ground`] and, when the launcher has made it, the plan. That process never held a secret: what it could
//! leak, it does not have (THREATS 99, 105). Where bubblewrap makes the namespaces, it is executed a third time, in them.

use crate::backend::bubblewrap;
use crate::broker;
use crate::control::{self, receive, receive_one, send};
use crate::ground::{Ground, Terminal};
use crate::launch::{CONTROL_FD, REPORTS_FD};
use crate::parcel;
use crate::plan::{Blobs, Plan};
use crate::step::{At, Step, StepError};
use crate::sys::{self, Fork};
use crate::{confine, door, gate, group, limits, mounts, network, standard, supervise, terminal};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

/// The argument that makes the binary run [`init_main`] instead of its command line.
pub const INIT_ARGUMENT: &str = "__sandbox-init";

/// What the launcher hears: the process outside and the sockets come with `NETWORK`, a terminal with `TERMINAL`, a copy of standard input with `INPUT`, errors with `FAILED`.
pub(crate) const NETWORK: u8 = 1;
pub(crate) const TERMINAL: u8 = 2;
pub(crate) const FAILED: u8 = 3;
pub(crate) const INPUT: u8 = 6;
/// What it says: the plan comes with `PLAN`, and the command begins with `BEGIN`.
pub(crate) const PLAN: u8 = 4;
pub(crate) const BEGIN: u8 = 5;

/// What our two processes exit with when the sandbox could not be made (as `env` and shells use it).
pub(crate) const NOT_STARTED: i32 = 125;

/// Enters the sandbox and runs the command. Called first thing in `main`, while there is one thread. The arguments are the
/// numbers of what was handed down: the socket to the launcher, and the one for reports. In namespaces that are made already, the
/// [`Ground`] follows.
pub fn init_main(handed: impl IntoIterator<Item = OsString>) -> ! {
    let mut handed = handed.into_iter();
    let sockets = [handed.next(), handed.next()];
    // Who calls this by hand has nothing to hand down.
    if take(sockets.into_iter().flatten()).is_err() {
        std::process::exit(NOT_STARTED)
    }
    let control = sys::adopt(CONTROL_FD);
    let code = match outside(&control, handed.next()) {
        Ok(code) => code,
        Err(error) => {
            report(control.as_fd(), &error);
            NOT_STARTED
        }
    };
    std::process::exit(code)
}

/// Puts what was handed down where it is looked for.
fn take(handed: impl IntoIterator<Item = OsString>) -> io::Result<()> {
    let number = |text: OsString| text.to_str().and_then(|text| text.parse().ok()).ok_or(io::ErrorKind::InvalidInput);
    let handed: Vec<RawFd> = handed.into_iter().map(number).collect::<Result<_, _>>()?;
    let [control, reports] = handed.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    // Each may sit where the other is to go, so they move out of the way first.
    let high = [sys::duplicate_from(control, REPORTS_FD + 1)?, sys::duplicate_from(reports, REPORTS_FD + 1)?];
    sys::dup2(high[0], CONTROL_FD)?;
    sys::dup2(high[1], REPORTS_FD)?;
    sys::close_from(REPORTS_FD + 1)
}

/// The process outside: makes the namespaces and the network, then waits.
fn outside(control: &OwnedFd, made: Option<OsString>) -> Result<i32, StepError> {
    // First of all: if the launcher dies, so do we, and with us everything inside.
    sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong).at(Step::Namespaces)?;
    let signals = sys::block_signals().at(Step::Namespaces)?;
    // Out of the caller's session: what its terminal sends to the foreground (^C, ^Z) reaches the launcher, which
    // passes it on, and would reach the command twice if we heard it, too.
    rustix::process::setsid().at(Step::Namespaces)?;
    let ground = match made {
        Some(ground) => serde_json::from_slice(ground.as_bytes()).map_err(io::Error::from).at(Step::Plan)?,
        None => enter_namespaces(control, &signals)?,
    };
    // The broker sees the sandbox's files, for which it must be here already, and is in none of its other namespaces.
    let (broker, listener) = start_broker(control.as_fd())?;
    sys::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS).at(Step::Namespaces)?;
    // The network comes before the files: it needs the host's /proc, and the launcher can begin to serve.
    let sockets = network::set_up(&ground.ports.reach)?;
    gate::network().at(Step::Gate)?;
    let door = if ground.ports.publish { Some(door::open()?) } else { None };
    // The launcher's child is another where we were executed by bubblewrap.
    let ourselves = pidfd_open(getpid(), PidfdFlags::empty()).at(Step::Namespaces)?;
    let handed: Vec<_> =
        [&ourselves, &sockets.tcp, &sockets.dns].into_iter().chain(&door).chain(&sockets.local).collect();
    let handed: Vec<_> = handed.into_iter().map(AsFd::as_fd).collect();
    send(control.as_fd(), &[NETWORK], &handed).at(Step::SandboxNetwork)?;
    drop((ourselves, sockets, door));
    // It is made meanwhile, and most often it is there.
    let (plan, blobs) = receive_one(control).and_then(Plan::unpack).at(Step::Plan)?;
    let files = serde_json::to_vec(&plan.files).map_err(io::Error::from).at(Step::Broker)?;
    let files = parcel::pack(&[files]).at(Step::Broker)?;
    send(&listener, &[0], &[files.as_fd()]).at(Step::Broker)?;
    drop(files);
    // From here on every child is in the pid namespace, and the next one is its first process.
    sys::unshare(libc::CLONE_NEWPID).at(Step::Namespaces)?;
    let group = plan.limits.group.as_ref().map(fs::File::open).transpose().at(Step::Limits)?;
    let forked = sys::fork_into(group.as_ref().map(AsFd::as_fd)).at(Step::Limits)?;
    // Neither process needs it, and both are there as long as the command.
    drop(group);
    match forked {
        Fork::Child => inside(control.as_fd(), listener, &ground, (&plan, blobs), &signals),
        Fork::Parent(first) => {
            drop((listener, blobs));
            // Our copy of the socket would keep the launcher waiting for the end of a start that has long ended.
            sys::dup2(2, CONTROL_FD).at(Step::Namespaces)?;
            supervise::wait_for(first, Some(broker), false, &signals).at(Step::Exec)
        }
    }
}

/// Enters the namespaces in which the caller's user has all rights over the sandbox, and nowhere else.
fn enter_namespaces(control: &OwnedFd, signals: &libc::sigset_t) -> Result<Ground, StepError> {
    let ground: Ground =
        serde_json::from_slice(&receive(control).at(Step::Plan)?.0).map_err(io::Error::from).at(Step::Plan)?;
    // Root's groups would follow it inside. An ordinary user's cannot be left, and in a user namespace that denies
    // setgroups (a sandbox in a sandbox) neither can root's.
    let may_leave_groups = fs::read_to_string("/proc/self/setgroups").at(Step::Identity)?.trim() == "allow";
    if ground.uid.1 == 0 && may_leave_groups {
        sys::clear_groups().at(Step::Identity)?;
    }
    if let Some(program) = &ground.bubblewrap {
        return Err(bubblewrap::execute(program, &ground, signals));
    }
    sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).at(Step::Namespaces)?;
    map_identity(ground.uid, ground.gid).at(Step::Identity)?;
    Ok(ground)
}

/// Starts the broker: its process, and where its listener is to be sent.
fn start_broker(control: BorrowedFd<'_>) -> Result<(i32, OwnedFd), StepError> {
    let (listener, sender) = control::pair().at(Step::Broker)?;
    let reports = sys::adopt(REPORTS_FD);
    // Before the fork: when the child gets to run, the root may be the sandbox's already.
    let proc = broker::take_proc().at(Step::Broker)?;
    let outside = getpid();
    match sys::fork().at(Step::Broker)? {
        Fork::Child => {
            drop(sender);
            let command = listener.as_fd();
            let run = || {
                supervise::end_with(outside).at(Step::Broker)?;
                standard::let_go().at(Step::Broker)?;
                confine::keep_for_broker()?;
                broker::prepare(broker::Preparation { proc, command, reports }).at(Step::Broker)
            };
            match run() {
                Ok(ready) => {
                    // Their copies would keep others waiting for the end of the start.
                    drop(listener);
                    sys::dup2(2, CONTROL_FD).ok();
                    ready.serve();
                }
                // The command's process finds its socket closed after that, or its word could come first.
                Err(error) => report(control, &error),
            }
            std::process::exit(NOT_STARTED)
        }
        Fork::Parent(broker) => Ok((broker, sender)),
    }
}

/// The first process inside: makes the files and the terminal, starts the command, adopts orphans.
fn inside(
    control: BorrowedFd<'_>,
    listener: OwnedFd,
    ground: &Ground,
    (plan, blobs): (&Plan, Blobs),
    signals: &libc::sigset_t,
) -> ! {
    let run = || {
        sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong).at(Step::Namespaces)?;
        // Who died before that line sent no signal. The launcher's end of the socket closes when it dies, before the
        // process outside does.
        still_wanted(control).at(Step::Namespaces)?;
        if plan.nested && group::can_be_set_anew() {
            fs::write("/proc/sys/user/max_cgroup_namespaces", "1").at(Step::Limits)?;
        }
        if let Some(most) = plan.limits.processes.filter(|_| ground.uid.1 == 0) {
            // Where /proc cannot be written (a container's) nobody bounds them.
            limits::bound_numbers(most).ok();
        }
        // The group that it began in is the topmost that it sees. (From within a namespace of control groups it could not have
        // been put into one beside.)
        sys::unshare(libc::CLONE_NEWCGROUP).at(Step::Namespaces)?;
        prefer_as_victim().at(Step::Limits)?;
        rustix::system::sethostname(b"standin").at(Step::Namespaces)?;
        if let Some(copy) = standard::replace_input().at(Step::Input)? {
            send(control, &[INPUT], &[copy.as_fd()]).at(Step::Input)?;
        }
        mounts::enter(plan, &blobs)?;
        drop(blobs);
        standard::replace_devices().at_thing(Step::Mounts, "standard descriptors")?;
        let terminal = open_terminal(control, ground.terminal)?;
        confine::drop_privileges()?;
        // After the identity was mapped (it would have made our own /proc entries root's), before anything runs
        // beside us: nobody inside can read or trace this process.
        sys::prctl(libc::PR_SET_DUMPABLE, 0).at(Step::Seccomp)?;
        match sys::fork().at(Step::Exec)? {
            Fork::Child => command(control, &listener, plan, terminal, signals),
            Fork::Parent(child) => {
                drop((terminal, listener));
                sys::dup2(2, CONTROL_FD).at(Step::Exec)?;
                supervise::wait_for(child, None, true, signals).at(Step::Exec)
            }
        }
    };
    let code = run().unwrap_or_else(|error: StepError| {
        report(control, &error);
        NOT_STARTED
    });
    std::process::exit(code)
}

/// The command's own process, up to its execution.
fn command(
    control: BorrowedFd<'_>,
    listener: &OwnedFd,
    plan: &Plan,
    tty: Option<(OwnedFd, Terminal)>,
    signals: &libc::sigset_t,
) -> ! {
    let run = || -> Result<(), StepError> {
        // A session of its own, so that it neither gets the caller's signals nor its terminal.
        rustix::process::setsid().at(Step::Exec)?;
        if let Some((tty, terminal)) = tty {
            terminal::attach(tty.as_fd(), terminal.controls).at(Step::Terminal)?;
        }
        std::env::set_current_dir(&plan.directory).at_thing(Step::Exec, plan.directory.display())?;
        // One byte, not none: the kernel hands cores to the host's crash collector, which runs as root outside, whatever
        // the limit, except for this value (core(5), "Piping core dumps to a program"). Files are too large for it, too.
        let one_byte = rustix::process::Rlimit { current: Some(1), maximum: Some(1) };
        rustix::process::setrlimit(rustix::process::Resource::Core, one_byte).at(Step::Exec)?;
        if let Some(most) = plan.limits.processes {
            limit_processes(most).at(Step::Limits)?;
        }
        // Everything from the control socket on; a leaked descriptor would be a way out.
        sys::close_on_exec_from(3).at(Step::Descriptors)?;
        sys::reset_signals(signals).at(Step::Exec)?;
        confine::landlock(&plan.files, plan.nested)?;
        let asked = confine::seccomp(plan.nested)?;
        // From here on opening and changing by path waits for the broker.
        send(listener.as_fd(), &[0], &[asked.as_fd()]).at(Step::Broker)?;
        drop(asked);
        gate::doors(plan.nested).at(Step::Gate)?;
        // Nothing runs that nobody guards, or serves.
        expect(listener, 0).at(Step::Broker)?;
        expect(control, BEGIN).at(Step::Exec)?;
        let text = |bytes: &Vec<u8>| CString::new(bytes.clone()).map_err(io::Error::from);
        let arguments: Vec<CString> = plan.command.iter().map(text).collect::<Result<_, _>>().at(Step::Exec)?;
        let environment: Vec<CString> = plan.environment.iter().map(text).collect::<Result<_, _>>().at(Step::Exec)?;
        let program = arguments.first().ok_or(io::ErrorKind::InvalidInput).map_err(io::Error::from).at(Step::Exec)?;
        let arguments: Vec<_> = arguments.iter().map(CString::as_c_str).collect();
        let environment: Vec<_> = environment.iter().map(CString::as_c_str).collect();
        Err(sys::execve(program, &arguments, &environment)).at_thing(Step::Exec, program.to_string_lossy())
    };
    if let Err(error) = run() {
        report(control, &error);
    }
    std::process::exit(NOT_STARTED)
}

/// Waits for a word.
fn expect(socket: impl AsFd, word: u8) -> io::Result<()> {
    if receive(socket)?.0 == [word] { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Fails if the launcher is gone.
fn still_wanted(control: BorrowedFd<'_>) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut launcher = [PollFd::new(&control, PollFlags::empty())];
    poll(&mut launcher, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    if launcher[0].revents().contains(PollFlags::HUP) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
}

/// The user's processes in the sandbox; the kernel counts those of each user namespace (since 5.14), and never root's. Not more than
/// the caller may have.
fn limit_processes(most: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nproc).maximum.map_or(most, |already| already.min(most));
    Ok(setrlimit(Resource::Nproc, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// When the machine has no memory left, the sandbox's processes are ended before the host's.
fn prefer_as_victim() -> io::Result<()> {
    const FILE: &str = "/proc/self/oom_score_adj";
    let now = fs::read_to_string(FILE)?.trim().parse().unwrap_or(0);
    if now < limits::SCORE { fs::write(FILE, limits::SCORE.to_string()) } else { Ok(()) }
}

fn open_terminal(control: BorrowedFd<'_>, wanted: Option<Terminal>) -> Result<Option<(OwnedFd, Terminal)>, StepError> {
    let Some(terminal) = wanted else { return Ok(None) };
    let (ours, theirs) = terminal::open_inside(terminal).at(Step::Terminal)?;
    send(control, &[TERMINAL], &[ours.as_fd()]).at(Step::Terminal)?;
    Ok(Some((theirs, terminal)))
}

/// One user, one group. Groups must be denied first, or an ordinary user may not map one.
pub(crate) fn map_identity(uid: (u32, u32), gid: (u32, u32)) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    write_maps(uid, gid)
}

/// The same where nobody has groups.
pub(crate) fn write_maps(uid: (u32, u32), gid: (u32, u32)) -> io::Result<()> {
    fs::write("/proc/self/uid_map", format!("{} {} 1", uid.0, uid.1))?;
    fs::write("/proc/self/gid_map", format!("{} {} 1", gid.0, gid.1))
}

/// Tells the launcher what failed.
fn report(control: BorrowedFd<'_>, error: &StepError) {
    // If nobody listens any more, the exit code still tells that the start failed.
    send(control, &[&[FAILED][..], &error.to_bytes()].concat(), &[]).ok();
}
