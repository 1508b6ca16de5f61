//! Tells when the configuration's file has changed: written to and closed, or another put in its place. Events tell, no clock: an editor that
//! writes beside it and renames tells once.

use super::file::{is_whole, walk};
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

/// What events tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    /// The way to the file is another one, or the file has appeared: whether it says anything yet is to be looked at.
    Way,
    /// The file says something else.
    File,
}

/// Of one file. A thread waits for events; it ends with the process.
pub(super) struct Watch(mpsc::Receiver<()>);

struct Watcher {
    path: PathBuf,
    inotify: OwnedFd,
    /// What counts in each directory: the file, and links on the way to it.
    places: Vec<(i32, PathBuf)>,
}

impl Watch {
    /// Begins. Where the file is not there yet, the directories on the way to it tell of it.
    pub(super) fn begin(path: PathBuf) -> io::Result<Self> {
        let mut watcher = Watcher { path, inotify: inotify::init(CreateFlags::CLOEXEC)?, places: Vec::new() };
        watcher.look();
        if watcher.places.is_empty() {
            return Err(io::Error::other(format!("nothing on the way to {} can be", watcher.path.display())));
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
                Ok(told) => {
                    if told == Told::Nothing {
                        continue;
                    }
                    // Links may lead elsewhere now, and directories be others. Before it is told of: what changes from here on is told of again.
                    self.look();
                    if told == Told::Way && !is_whole(&self.path) {
                        continue;
                    }
                    if matches!(tell.try_send(()), Err(TrySendError::Closed(()))) {
                        return;
                    }
                }
                Err(error) => return tracing::warn!(%error, "the configuration is not watched any more"),
            }
        }
    }

    /// Watches where the file is found now, as far as there is a way.
    fn look(&mut self) {
        let flags = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::ONLYDIR;
        let flags = flags | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
        loop {
            let places = self.way();
            let mut directories: BTreeMap<PathBuf, Option<i32>> = BTreeMap::new();
            let mut known = Vec::new();
            for place in &places {
                let Some(directory) = place.parent() else { continue };
                let add = || inotify::add_watch(&self.inotify, directory, flags).ok(); // one that is not there tells nothing
                if let Some(number) = *directories.entry(directory.to_owned()).or_insert_with(add) {
                    known.push((number, place.clone()));
                }
            }
            self.places = known;
            // What was made before its directory was watched is not told of.
            if self.way() == places {
                return;
            }
        }
    }

    fn way(&self) -> Vec<PathBuf> {
        let mut places = Vec::new();
        walk(&self.path, &mut places).ok(); // it is watched as far as it goes
        places
    }

    /// Waits for events; the most that those that are there tell.
    fn next(&self) -> Result<Told, Errno> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut told = Told::Nothing;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    told = told.max(self.told(event.wd(), name, event.events()));
                }
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            }
            if reader.is_buffer_empty() {
                return Ok(told);
            }
        }
    }

    /// A file that was only made says nothing yet, and half a file may say anything: it is written to and closed next. A link says all it has to.
    fn told(&self, number: i32, name: Option<&OsStr>, what: ReadFlags) -> Told {
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            return Told::File;
        }
        if what.intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF | ReadFlags::DELETE_SELF) {
            return Told::Way;
        }
        let known = self.places.iter().filter(|(at, place)| *at == number && place.file_name() == name);
        let of_place = |(_, place): &(i32, PathBuf)| {
            let may_be_half = what.contains(ReadFlags::CREATE) || place.is_dir();
            if may_be_half && !place.is_symlink() { Told::Way } else { Told::File }
        };
        known.map(of_place).max().unwrap_or(Told::Nothing)
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

    /// Directories that are not there yet, that go and come again, or that others take the place of; and a file that nobody closes, as it is linked.
    #[tokio::test]
    async fn a_way_that_is_made_anew_is_watched() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let file = at("one/two/config.toml");
        let mut watch = Watch::begin(file.clone()).unwrap();
        let make = || {
            std::fs::create_dir_all(at("one/two")).unwrap();
            std::fs::write(&file, "text").unwrap();
        };
        make();
        watch.changed().await.unwrap();
        std::fs::remove_dir_all(at("one")).unwrap();
        make();
        watch.changed().await.unwrap();
        std::fs::rename(at("one"), at("old")).unwrap();
        std::fs::create_dir_all(at("new/two")).unwrap();
        std::fs::write(at("new/two/config.toml"), "text").unwrap();
        std::fs::rename(at("new"), at("one")).unwrap();
        watch.changed().await.unwrap();
        std::fs::remove_file(&file).unwrap();
        std::fs::hard_link(at("old/two/config.toml"), &file).unwrap();
        watch.changed().await.unwrap();
    }

    /// Half a file may say anything.
    #[test]
    fn what_was_only_made_is_not_told_of() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        let mut made = std::fs::File::create(&path).unwrap();
        assert!(!is_whole(&path));
        std::io::Write::write_all(&mut made, b"ha").unwrap();
        assert!(!is_whole(&path));
        drop(made);
        assert!(is_whole(&path));
    }
}
