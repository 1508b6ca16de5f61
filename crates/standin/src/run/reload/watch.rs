//! Tells when the configuration's file has changed: written to and closed, or another put in its place. Events tell, no clock: an editor that
//! writes beside it and renames tells once.

use super::file::way;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// For some events with names; what does not fit comes with the next reading.
const BUFFER: usize = 4096;

/// Of one file. A thread waits for events; it ends with the process.
pub(super) struct Watch(mpsc::Receiver<()>);

struct Watcher {
    path: PathBuf,
    inotify: OwnedFd,
    /// What counts in each directory: the file, and links on the way to it.
    places: Vec<(i32, PathBuf)>,
}

impl Watch {
    /// Begins. Where the file is not there yet, its directory tells of it.
    pub(super) fn begin(path: PathBuf) -> io::Result<Self> {
        let mut watcher = Watcher { path, inotify: inotify::init(CreateFlags::CLOEXEC)?, places: Vec::new() };
        watcher.look();
        if watcher.places.is_empty() {
            return Err(io::Error::other(format!("there is no directory for {}", watcher.path.display())));
        }
        // One that was not heard of yet stands for all that follow.
        let (tell, changes) = mpsc::channel(1);
        std::thread::Builder::new().name("watch".to_owned()).spawn(move || watcher.run(&tell))?;
        Ok(Self(changes))
    }

    /// Waits for the next change; nothing if it can be watched no more.
    pub(super) async fn changed(&mut self) -> Option<()> {
        self.0.recv().await
    }
}

impl Watcher {
    fn run(mut self, tell: &mpsc::Sender<()>) {
        loop {
            match self.next() {
                Ok(false) => {}
                Ok(true) => {
                    // Links may lead elsewhere now. Before it is told of: what changes from here on is told of again.
                    self.look();
                    if matches!(tell.try_send(()), Err(TrySendError::Closed(()))) {
                        return;
                    }
                }
                Err(error) => return tracing::warn!(%error, "the configuration is not watched any more"),
            }
        }
    }

    /// Watches where the file is found now.
    fn look(&mut self) {
        let mut places = way(&self.path).unwrap_or_default();
        places.push(self.path.clone());
        let mut directories: BTreeMap<PathBuf, Option<i32>> = BTreeMap::new();
        let mut known = Vec::new();
        for place in places {
            let Some(directory) = place.parent() else { continue };
            let flags = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::ONLYDIR;
            let add = || inotify::add_watch(&self.inotify, directory, flags).ok(); // one that is not there tells nothing
            if let Some(number) = *directories.entry(directory.to_owned()).or_insert_with(add) {
                known.push((number, place));
            }
        }
        self.places = known;
    }

    /// Waits for events; whether one of those that are there counts.
    fn next(&self) -> Result<bool, Errno> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut counts = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    counts |= event.events().contains(ReadFlags::QUEUE_OVERFLOW)
                        || name.is_some_and(|name| self.is_meant(event.wd(), name, event.events()));
                }
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            }
            if reader.is_buffer_empty() {
                return Ok(counts);
            }
        }
    }

    /// A file that was only made says nothing yet, and half a file may say anything: it is written to and closed next. A link says all it has to.
    fn is_meant(&self, number: i32, name: &OsStr, what: ReadFlags) -> bool {
        let mut known = self.places.iter().filter(|(at, place)| *at == number && place.file_name() == Some(name));
        known.any(|(_, place)| !what.contains(ReadFlags::CREATE) || place.is_symlink())
    }
}

/// Waits for the next change; for ever, if nothing is watched.
pub(super) async fn changed(watch: &mut Option<Watch>) -> Option<()> {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Each change is told of, and what is beside the file is not: that would be told of before the change that follows it.
    #[tokio::test]
    async fn a_change_is_told_of() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        symlink("real/file", at("config.toml")).unwrap();
        let mut watch = Watch::begin(at("config.toml")).unwrap();
        let told = async |watch: &mut Watch| {
            watch.changed().await.unwrap();
        };
        // Where the link leads does not exist yet: the link itself is what is watched.
        std::fs::write(at("new"), "").unwrap();
        std::fs::rename(at("new"), at("config.toml")).unwrap();
        told(&mut watch).await;
        std::fs::write(at("config.toml"), "text").unwrap();
        told(&mut watch).await;
        std::fs::write(at("real/file"), "text").unwrap();
        symlink("real/file", at("link")).unwrap();
        std::fs::rename(at("link"), at("config.toml")).unwrap();
        told(&mut watch).await;
        // Through the link.
        std::fs::write(at("real/file"), "other").unwrap();
        told(&mut watch).await;
    }

    #[test]
    fn what_is_nowhere_cannot_be_watched() {
        assert!(Watch::begin("/nowhere/at/all/config.toml".into()).is_err());
    }
}
