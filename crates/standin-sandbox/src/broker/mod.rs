//! The broker of the workspace's files: does the calls that the floor (Landlock) keeps the command from doing itself.
//!
//! It is a process of its own (`init::start_broker`), a copy of one that was executed with an empty environment: it holds
//! nothing to steal. It is in the sandbox's mount and user namespaces, so that it sees the same files with the same rights,
//! and outside of its pid namespace, so that nothing inside can see it. See docs/files.md and
//! docs/adr/0004. Read next: [`act`], which lists the operations, then [`place`] (from a path to a place without a race).

mod act;
mod bare;
mod call;
mod caller;
mod configure;
mod links;
mod masked;
mod names;
mod place;
mod refusals;
mod watcher;
mod worktree;
mod zones;

pub(crate) use call::CHANGERS;
pub(crate) use refusals::TOLD;

use crate::confine;
use crate::control::{receive_one, send};
use crate::parcel::Parcel;
use crate::plan::Files;
use crate::sys::{self, notify};
use act::{Answer, Desk};
use caller::Caller;
use masked::Masked;
use names::Names;
use place::{Place, Roots};
use refusals::Refusals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use watcher::{Ours, Watcher};

/// Most opens of FIFOs that wait for their other end.
const MAX_WAITING: usize = 64;

/// What the broker is made of before the command exists.
pub(crate) struct Preparation<'a> {
    /// The host's /proc, taken while it can be seen.
    pub(crate) proc: OwnedFd,
    /// On which come what it is to guard, and then, from the command's process, its listener. That process begins when it
    /// has the answer.
    pub(crate) command: BorrowedFd<'a>,
    /// To Standin's process.
    pub(crate) reports: OwnedFd,
}

/// The host's /proc, for as long as it is mounted in this namespace.
pub(crate) fn take_proc() -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(rustix::fs::CWD, "/proc", flags, Mode::empty())?)
}

/// Prepares to serve, and tells the command's process to begin.
pub(crate) fn prepare(Preparation { proc, command, reports }: Preparation<'_>) -> io::Result<Ready> {
    // Without a plan or a listener there is no command, and its process says why.
    let Ok(files) = receive_one(command) else { return Ok(Ready(None)) };
    let files: Files = serde_json::from_slice(&Parcel::open(files)?.read(0)?)?;
    // A thread takes its time to come into being, and now there is some: the sandbox's files are being put together.
    let begin = if files.watch.roots.is_empty() { None } else { Some(watch_later()?) };
    let Ok(listener) = receive_one(command) else { return Ok(Ready(None)) };
    let ours = Arc::new(Ours::default());
    if let Some(begin) = begin {
        // While this thread still may mount.
        let watcher = Watcher::new(caller::root()?, files.watch.clone(), Arc::clone(&ours))?;
        begin.send(watcher).map_err(|_| io::ErrorKind::BrokenPipe)?;
    }
    confine::keep_for_answers()?;
    // A umask of this thread's own, since it takes on those of callers.
    sys::unshare(libc::CLONE_FS)?;
    notify::prefer_synchronous(listener.as_fd());
    let roots = Roots::new(caller::root()?, proc)?;
    let refusals = Refusals::new(&roots.root, reports);
    let masked = Masked::new(&files.watch);
    let desk = Desk { roots, files, masked, ours, refusals, born: Mutex::default(), names: Names::default() };
    send(command, &[0], &[])?;
    Ok(Ready(Some(Arc::new(Broker { listener, desk, waiting: AtomicUsize::new(0) }))))
}

/// The thread that covers secret files, which begins when it has what it needs.
fn watch_later() -> io::Result<mpsc::SyncSender<Watcher>> {
    let (begin, watcher) = mpsc::sync_channel::<Watcher>(1);
    spawn(move || {
        if confine::keep_for_watcher().is_ok()
            && let Ok(watcher) = watcher.recv()
        {
            watcher.run();
        }
    })?;
    Ok(begin)
}

/// A broker that lacks nothing, or one that nobody will ask.
pub(crate) struct Ready(Option<Arc<Broker>>);

impl Ready {
    /// Serves until this process is ended, with the sandbox. Returns only when it cannot.
    pub(crate) fn serve(self) {
        match self.0 {
            Some(broker) => broker.serve(),
            None => wait_for_the_end(),
        }
    }
}

/// This process ends with the one outside. Its own end would be taken for a failure, and end the sandbox before that has
/// said what it failed of.
fn wait_for_the_end() -> ! {
    loop {
        std::thread::park();
    }
}

fn spawn(body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("files".to_owned()).spawn(body).map(drop)
}

struct Broker {
    listener: OwnedFd,
    desk: Desk,
    /// Opens that wait for a FIFO's other end.
    waiting: AtomicUsize,
}

impl Broker {
    /// Answers calls. Ends only with an error. One thread does it: an answer takes some microseconds, and the kernel would
    /// wake all of several for each call.
    fn serve(self: Arc<Self>) {
        loop {
            match notify::receive(self.listener.as_fd()) {
                Ok(notification) => self.answer(&notification),
                // Who asked has died, or all have.
                Err(_) if self.is_alone() => wait_for_the_end(),
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => {}
                Err(_) => return,
            }
        }
    }

    /// Whether nobody is left who could ask.
    fn is_alone(&self) -> bool {
        let mut asked = [PollFd::new(&self.listener, PollFlags::IN)];
        let polled = poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        polled.is_ok() && asked[0].revents().contains(PollFlags::HUP)
    }

    fn answer(self: &Arc<Self>, notification: &libc::seccomp_notif) {
        let done = self.consider(notification);
        self.reply(notification.id, done);
    }

    fn consider(&self, notification: &libc::seccomp_notif) -> Result<Answer, Errno> {
        let call = call::parse(&notification.data).ok_or(Errno::NOSYS)?;
        self.desk.serve(call, Caller::new(notification, self.listener.as_fd(), &self.desk.roots.proc)?)
    }

    fn reply(self: &Arc<Self>, id: u64, done: Result<Answer, Errno>) {
        let listener = self.listener.as_fd();
        let sent = match done {
            Ok(Answer::Native) => notify::give_back(listener, id),
            Ok(Answer::Done) => notify::answer(listener, id, 0),
            Ok(Answer::Give(file, close)) => notify::give(listener, id, file, close).or_else(|error| {
                // Its table is full, or it has died.
                notify::answer(listener, id, -i64::from(error.raw_os_error().unwrap_or(libc::EIO)))
            }),
            Ok(Answer::Wait(place, flags)) => return self.wait_for_other_end(id, place, flags),
            Err(error) => notify::answer(listener, id, -i64::from(error.raw_os_error())),
        };
        // Who does not wait any more has died.
        drop(sent);
    }

    /// Opens a FIFO where it holds up nobody else.
    fn wait_for_other_end(self: &Arc<Self>, id: u64, place: Place, flags: OFlags) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return self.reply(id, Err(Errno::NFILE));
        }
        let broker = Arc::clone(self);
        let opening = spawn(move || {
            let opened =
                openat(&place.directory, &place.name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
            broker.reply(id, opened.map(|file| Answer::Give(file, flags.contains(OFlags::CLOEXEC))));
            broker.waiting.fetch_sub(1, Ordering::Relaxed);
        });
        if opening.is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.reply(id, Err(Errno::AGAIN));
        }
    }
}
