//! The host of one arm: a home with secrets, a workspace, sockets of services, a process that holds secrets.
//!
//! Each secret is made for one vector and is told to nobody but the judge.

use super::recorder::{ENDING, Recorder};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::fs;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The argument that makes this program a process that holds secrets and waits.
pub(crate) const VICTIM: &str = "__attack-victim";
/// Sockets of the host's, below the arm's directory, that write down what comes.
const STREAMS: &[&str] =
    &["run/docker.sock", "run/bus", "run/agent.sock", "run/tmux", "run/containerd.sock", "workspace/service.sock"];
/// The same for datagrams.
pub(crate) const DATAGRAMS: &str = "run/log";
/// A socket that gives a secret to whoever asks.
pub(crate) const CREDENTIALS: &str = "run/credentials.sock";
/// A socket that gives a descriptor of the host's.
pub(crate) const DESCRIPTORS: &str = "run/descriptors.sock";

/// The host of one arm.
pub(crate) struct Estate {
    place: PathBuf,
    /// The name of the socket without a path.
    hidden: SocketAddr,
    victim: Child,
}

/// Gives the secret that was made for a vector.
pub(crate) type Secrets<'a> = &'a dyn Fn(u16) -> String;

impl Estate {
    /// Makes everything. `abstract_name` is that of a socket without a path.
    pub(crate) fn make(
        place: &Path,
        secret: Secrets<'_>,
        recorder: &Recorder,
        abstract_name: &str,
    ) -> io::Result<Self> {
        for name in ["home", "workspace", "outside", "run", "state", "config"] {
            fs::create_dir_all(place.join(name))?;
        }
        files(place, secret)?;
        repository(&place.join("workspace"))?;
        repository(&place.join("workspace/moving"))?;
        let hidden = SocketAddr::from_abstract_name(abstract_name)?;
        sockets(place, secret, recorder, &hidden)?;
        let program = std::env::current_exe()?;
        let mut victim = Command::new(program)
            .args([VICTIM, &secret(106)])
            .env_clear()
            .env("VICTIMS_SECRET", secret(105))
            .current_dir(place.join("outside/cwd"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(stdin) = &mut victim.stdin {
            writeln!(stdin, "{}", secret(103))?;
        }
        // It is ready when it says so.
        if let Some(stdout) = &mut victim.stdout {
            stdout.read_exact(&mut [0; 3])?;
        }
        Ok(Self { place: place.to_owned(), hidden, victim })
    }

    pub(crate) fn victim(&self) -> io::Result<i32> {
        i32::try_from(self.victim.id()).map_err(io::Error::other)
    }

    /// Tells each server that nothing more comes; gives their number.
    pub(crate) fn end(&self) -> io::Result<usize> {
        for name in STREAMS {
            UnixStream::connect(self.place.join(name))?.write_all(ENDING)?;
        }
        UnixStream::connect_addr(&self.hidden)?.write_all(ENDING)?;
        UnixDatagram::unbound()?.send_to(ENDING, self.place.join(DATAGRAMS))?;
        Ok(STREAMS.len() + 2)
    }
}

impl Drop for Estate {
    fn drop(&mut self) {
        self.victim.kill().ok(); // an attempt may have ended it
        self.victim.wait().ok();
    }
}

fn files(place: &Path, secret: Secrets<'_>) -> io::Result<()> {
    let write = |name: &str, text: String| {
        let path = place.join(name);
        fs::create_dir_all(path.parent().unwrap_or(place))?;
        fs::write(path, text)
    };
    write("home/.ssh/id_ed25519", secret(69))?;
    write("home/.aws/credentials", secret(69))?;
    write("home/.netrc", secret(70))?;
    write("home/.bashrc", "# mine\n".to_owned())?;
    write("home/.profile", "# mine\n".to_owned())?;
    write("home/.local/bin/tool", "#!/bin/sh\n".to_owned())?;
    write("home/.cargo/registry/src/crate/build.rs", "fn main() {}\n".to_owned())?;
    write("home/.ca/key.pem", format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", secret(123)))?;
    write("outside/cwd/secret", secret(108))?;
    write("outside/handed", secret(100))?;
    write("outside/leaked", String::new())?;
    write("outside/linked", "mine\n".to_owned())?;
    write("outside/secret", secret(76))?;
    write("workspace/.env", format!("DATABASE_PASSWORD={}\n", secret(71)))?;
    write("workspace/package.json", "{\"name\":\"work\",\"scripts\":{}}\n".to_owned())?;
    fs::hard_link(place.join("outside/linked"), place.join("workspace/linked"))
}

/// As git makes it, without git.
fn repository(workspace: &Path) -> io::Result<()> {
    for name in ["hooks", "objects/pack", "objects/info", "refs/heads", "refs/tags", "info"] {
        fs::create_dir_all(workspace.join(".git").join(name))?;
    }
    fs::write(workspace.join(".git/HEAD"), "ref: refs/heads/main\n")?;
    fs::write(workspace.join(".git/config"), "[core]\n\trepositoryformatversion = 0\n\tbare = false\n")
}

fn sockets(place: &Path, secret: Secrets<'_>, recorder: &Recorder, hidden: &SocketAddr) -> io::Result<()> {
    for name in STREAMS {
        record(UnixListener::bind(place.join(name))?, recorder);
    }
    record(UnixListener::bind_addr(hidden)?, recorder);
    let datagrams = UnixDatagram::bind(place.join(DATAGRAMS))?;
    let seen = recorder.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok(length) = datagrams.recv(&mut buffer) {
            seen.saw("a datagram socket of the host", &buffer[..length]);
        }
    });
    let credentials = UnixListener::bind(place.join(CREDENTIALS))?;
    let told = secret(63);
    std::thread::spawn(move || {
        for mut client in credentials.incoming().flatten() {
            client.write_all(told.as_bytes()).ok(); // who has gone gets none
        }
    });
    let descriptors = UnixListener::bind(place.join(DESCRIPTORS))?;
    let handed = place.join("outside/handed");
    std::thread::spawn(move || {
        for client in descriptors.incoming().flatten() {
            hand_over(&client, &handed).ok(); // who has gone gets none
        }
    });
    Ok(())
}

/// Writes down what comes to a socket of the host's.
fn record(listener: UnixListener, recorder: &Recorder) {
    let recorder = recorder.clone();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _serving = recorder.begin();
            let mut text = Vec::new();
            // Small, and the client closes it.
            client.read_to_end(&mut text).ok();
            recorder.saw("a socket of the host", &text);
        }
    });
}

fn hand_over(client: &UnixStream, path: &Path) -> io::Result<()> {
    let file = OwnedFd::from(fs::File::open(path)?);
    let handed = [file.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&handed)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::net::sendmsg(client, &[IoSlice::new(b"x")], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The process that holds secrets: in its arguments, its environment, its memory, its directory. It ends with the rig.
pub(crate) fn be_victim() -> i32 {
    crate::sys::be_traceable();
    let mut secret = String::new();
    if io::stdin().read_line(&mut secret).is_err()
        || io::stdout().write_all(b"up\n").is_err()
        || io::stdout().flush().is_err()
    {
        return 1;
    }
    // Where an attempt finds it without a search.
    let held = crate::sys::Held::new(secret.trim());
    io::stdin().read_to_end(&mut Vec::new()).ok();
    drop(held);
    0
}
