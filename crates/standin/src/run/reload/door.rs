//! Where the owner of a session asks for its policy to be read again: a socket in Standin's own directory, of which nothing is visible in any
//! sandbox, for the same user only. Whoever connects has asked; the answer is a line that says whether all is well, and what is to be told.

use super::Outcome;
use crate::exit::{self, Failure};
use crate::run::state_directory;
use rustix::fs::{Mode, OFlags};
use standin_model::SessionId;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

/// Below the state directory.
const DIRECTORY: &str = "running";
/// The first line of an answer.
const WELL: &str = "well";
const NOT_WELL: &str = "not well";
/// How long a session has to answer: reading and trying take milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nobody is let in after somebody who could not be: the command can hold so many connections that no descriptor is left, and nothing
/// tells when one is free.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// Most bytes of an answer.
const MOST: u64 = 64 * 1024;

/// The session's side, which is taken away when it is dropped.
pub(super) struct Door {
    listener: std::os::unix::net::UnixListener,
    serving: Option<UnixListener>,
    path: PathBuf,
}

/// Somebody who has asked.
pub(super) struct Asking(UnixStream);

impl Door {
    pub(super) fn open(state: &Path, id: &SessionId) -> io::Result<Self> {
        let directory = state.join(DIRECTORY);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let listener = std::os::unix::net::UnixListener::bind(within(&open(&directory)?, OsStr::new(id.as_str())))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, serving: None, path: directory.join(id.as_str()) })
    }

    /// The next who asks. Nothing that the command does may take the door away: what fails is tried again.
    async fn next(&mut self) -> Asking {
        loop {
            match self.accept().await {
                Ok(Some(asking)) => return asking,
                Ok(None) => continue,
                Err(error) => tracing::warn!(%error, "who asks with `standin reload` could not be let in yet"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Who asks; nobody if it is somebody else's process.
    async fn accept(&mut self) -> io::Result<Option<Asking>> {
        let serving = match &mut self.serving {
            Some(serving) => serving,
            none => none.insert(UnixListener::from_std(self.listener.try_clone()?)?),
        };
        let (asking, _) = serving.accept().await?;
        let own = rustix::process::geteuid().as_raw();
        let is_ours = asking.peer_cred().is_ok_and(|peer| [own, 0].contains(&peer.uid()));
        Ok(is_ours.then_some(Asking(asking)))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok(); // somebody took it away already
    }
}

/// The next who asks; nobody ever, if there is no door.
pub(super) async fn next(door: &mut Option<Door>) -> Asking {
    match door {
        Some(door) => door.next().await,
        None => std::future::pending().await,
    }
}

impl Asking {
    pub(super) async fn answer(mut self, outcome: &Outcome) {
        let (how, what) = match outcome {
            Outcome::Same => (WELL, "the policy is the same".to_owned()),
            Outcome::Replaced(what) => (WELL, what.clone()),
            Outcome::Kept(_, full) => (NOT_WELL, format!("the policy stays as it was: {full}")),
            Outcome::Nothing(what) => (NOT_WELL, what.clone()),
        };
        let told = tokio::time::timeout(PATIENCE, self.0.write_all(format!("{how}\n{what}").as_bytes())).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::debug!("who asked for the policy to be read again did not hear what came of it");
        }
    }
}

/// Asks one session, or all that run, and prints what each says.
pub(crate) fn ask(session: Option<&str>) -> Result<i32, Failure> {
    let path = state_directory()?.join(DIRECTORY);
    let none = || match session {
        Some(id) => Failure::new(format!("no session `{id}` is running")),
        None => Failure::new("no session is running"),
    };
    let none = || none().hint("`standin log --sessions` lists those that were").code(exit::CHECK_FAILED);
    let Ok(names) = std::fs::read_dir(&path) else { return Err(none()) };
    let mut names: Vec<OsString> = names.flatten().map(|entry| entry.file_name()).collect();
    names.retain(|name| session.is_none_or(|id| name == id));
    names.sort();
    let directory = open(&path).map_err(|error| Failure::because(path.display(), &error))?;
    let (mut any, mut all_well) = (false, true);
    for name in names {
        let shown = name.to_string_lossy().into_owned();
        match asked(&directory, &name) {
            Ok(Some((well, what))) => {
                any = true;
                all_well &= well;
                exit::say(&format!("session {shown}: {what}"));
            }
            // One that was killed.
            Ok(None) => drop(std::fs::remove_file(path.join(&name))),
            Err(error) => {
                (any, all_well) = (true, false);
                exit::say(&format!("session {shown} does not answer: {error}"));
            }
        }
    }
    if !any {
        return Err(none());
    }
    Ok(if all_well { exit::SUCCESS } else { exit::CHECK_FAILED })
}

/// What a session says; nothing if nobody is there any more.
fn asked(directory: &OwnedFd, name: &OsStr) -> io::Result<Option<(bool, String)>> {
    let stream = match std::os::unix::net::UnixStream::connect(within(directory, name)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer)?;
    // One that ends before it has answered.
    let Some((how, what)) = answer.split_once('\n') else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    Ok(Some((how == WELL, what.to_owned())))
}

fn open(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH;
    Ok(rustix::fs::open(directory, flags, Mode::empty())?)
}

/// A name in a directory whose own path may be longer than a socket's address (108 bytes, unix(7)).
fn within(directory: &OwnedFd, name: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::future::poll_fn;
    use std::task::Poll;

    /// The attack: the command holds connections until no descriptor is left. Whoever asked meanwhile is let in as soon as there is one again.
    #[tokio::test]
    async fn who_asks_while_no_descriptor_is_left_is_let_in_later() {
        let directory = tempfile::tempdir().unwrap();
        let id = SessionId::new("some".to_owned());
        let mut door = Some(Door::open(directory.path(), &id).unwrap());
        let path = directory.path().join(DIRECTORY).join("some");
        let asks = std::os::unix::net::UnixStream::connect(&path).unwrap();
        // The door stands, and each test has a process of its own.
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
        {
            let mut next = std::pin::pin!(next(&mut door));
            let early = poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_ready())).await;
            setrlimit(Resource::Nofile, limit).unwrap();
            assert!(!early, "nobody can have come in");
            next.await;
        }
        assert!(door.is_some() && path.exists());
        drop(asks);
    }
}
