//! Reads the configuration of a session that runs. By now the command may have had a hand in what lies where it writes: a file there, a link
//! on the way, another name of the same file, a descriptor that it was opened by before it was moved. None of that is obeyed.

use super::super::config_file::ConfigFile;
use aws_lc_rs::digest::{SHA256, digest};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use standin_sandbox::Lease;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

/// More than anybody writes by hand.
const MOST: u64 = 1 << 20;
/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

/// How often it is tried whether whoever wrote the file has closed it, and how long is waited in between.
const TRIES: usize = 5;
const MOMENT: Duration = Duration::from_millis(10);

/// Why the file is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// It cannot be.
    #[error("cannot read {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    /// The command may write it, or where it is found.
    #[error("{path} is not obeyed while the command runs, which may write {}; move it, and start a new session", place.display())]
    Steered { path: PathBuf, place: PathBuf },
    /// It has another name somewhere.
    #[error("{path} has another name (a hard link), by which the command might write it; copy it to a file of its own")]
    OtherName { path: PathBuf },
    /// Somebody can still write it, who may be the command: its hand was on the file before the file was moved.
    #[error("{path} is open for writing, or was when it was read before; put a copy in its place")]
    Held { path: PathBuf },
    /// Nobody can say who has it open.
    #[error(
        "{path} is not obeyed while the command runs: whether the command has it open cannot be known there ({source}); start a new session"
    )]
    Unknown { path: PathBuf, source: io::Error },
    /// It is too large, or no file, or no text.
    #[error("{path} is no file of text of at most 1 MiB")]
    NoText { path: PathBuf },
}

impl Unread {
    /// Whether it says nothing of the file, and goes by.
    pub(super) fn is_for_want_of_descriptors(&self) -> bool {
        let wanting = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
        matches!(self, Self::File { source, .. } if wanting.contains(&source.raw_os_error()))
    }
}

/// Which file, whatever it is called, and whatever comes to have its number.
pub(super) type Identity = (u64, u64, Option<SystemTime>);

/// What the file says. One that was never there says nothing; one that has gone does not allow what it denied. One that somebody could write when
/// it was to be read is not obeyed later either: what it says then may have been written meanwhile.
pub(super) fn read(
    file: &ConfigFile,
    writable: &[PathBuf],
    held: &mut BTreeSet<Identity>,
) -> Result<Option<String>, Unread> {
    let path = &file.path;
    let failed = |source| Unread::File { path: path.clone(), source };
    let way = match way(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && file.text.is_none() => return Ok(None),
        way => way.map_err(failed)?,
    };
    let steered = |place: &&PathBuf| writable.iter().any(|written| place.starts_with(written));
    if let Some(place) = way.iter().find(steered) {
        return Err(Unread::Steered { path: path.clone(), place: place.clone() });
    }
    let real = way.last().unwrap_or(path);
    // Of the way nothing can have changed but what the owner changes; the last step is taken without a link all the same, and waits for nobody.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = rustix::fs::open(real, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let opened = File::from(opened);
    let about = opened.metadata().map_err(failed)?;
    if about.nlink() > 1 && about.is_file() {
        return Err(Unread::OtherName { path: path.clone() });
    }
    let no_text = || Unread::NoText { path: path.clone() };
    let mut text = Vec::new();
    if !about.is_file() || about.len() > MOST {
        return Err(no_text());
    }
    let identity = (about.dev(), about.ino(), about.created().ok());
    let is_held = || Unread::Held { path: path.clone() };
    if held.contains(&identity) {
        return Err(is_held());
    }
    // Until the text is read nobody can begin to write it.
    let _lease = unheld(&opened).map_err(|source| {
        if source.kind() != io::ErrorKind::WouldBlock {
            return Unread::Unknown { path: path.clone(), source };
        }
        held.insert(identity);
        is_held()
    })?;
    (&opened).take(MOST + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST {
        return Err(no_text());
    }
    String::from_utf8(text).map(Some).map_err(|_| no_text())
}

/// That nobody has the file open for writing. That somebody closed it is told a moment before he has, so a moment is waited for.
fn unheld(file: &File) -> io::Result<Lease<'_>> {
    for _ in 1..TRIES {
        match Lease::on(file) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(MOMENT),
            other => return other,
        }
    }
    Lease::on(file)
}

/// Every place that is looked at on the way to a file, each without links before it: the last is the file.
fn way(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut places = Vec::new();
    walk(path, &mut places)?;
    Ok(places)
}

/// Goes that way; what was looked at until it could be gone no further is known all the same.
pub(super) fn walk(path: &Path, places: &mut Vec<PathBuf>) -> io::Result<()> {
    let parts = |path: &Path| -> Vec<OsString> {
        path.components().filter(|part| *part != Component::RootDir).map(|part| part.as_os_str().to_owned()).collect()
    };
    let (mut at, mut left, mut links) = (PathBuf::from("/"), VecDeque::from(parts(path)), 0);
    while let Some(part) = left.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        places.push(next.clone());
        if !next.symlink_metadata()?.is_symlink() {
            at = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = next.read_link()?;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        parts(&target).into_iter().rev().for_each(|part| left.push_front(part));
    }
    Ok(())
}

/// Whether there is a file that says something, and nobody is about to write it.
pub(super) fn is_whole(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from) else { return false };
    let Ok(_lease) = Lease::on(&file) else { return false };
    file.metadata().is_ok_and(|about| about.is_file() && about.len() > 0)
}

/// By which a record names what a file says: `sha256sum` says the same.
pub(super) fn hash(text: Option<&str>) -> String {
    let Some(text) = text else { return "no file".to_owned() };
    let mut name = "sha256:".to_owned();
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        write!(name, "{byte:02x}").expect("a text can be written to");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A directory of the owner's with `config.toml`, and one that the command may write.
    fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let (own, written) = (root.join("own"), root.join("written"));
        for made in [&own, &written] {
            std::fs::create_dir(made).unwrap();
        }
        std::fs::write(own.join("config.toml"), "text").unwrap();
        (directory, own, written)
    }

    fn told(path: PathBuf, written: &Path) -> Result<Option<String>, String> {
        let file = ConfigFile { path, text: Some(String::new()) };
        read(&file, &[written.to_owned()], &mut BTreeSet::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_owner_alone_writes_is_read() {
        let (_directory, own, written) = places();
        let path = own.join("config.toml");
        assert_eq!(told(path.clone(), &written), Ok(Some("text".to_owned())));
        // Links among the owner's own places, as those of dotfiles.
        symlink("own", own.parent().unwrap().join("link")).unwrap();
        symlink("../link/config.toml", own.join("other.toml")).unwrap();
        assert_eq!(told(own.join("other.toml"), &written), Ok(Some("text".to_owned())));
        std::fs::remove_file(&path).unwrap();
        assert!(told(path.clone(), &written).unwrap_err().contains("No such file"));
        let never = ConfigFile { path, text: None };
        assert!(
            read(&never, &[written], &mut BTreeSet::new()).unwrap().is_none(),
            "one that never was may still not be"
        );
    }

    #[test]
    fn what_the_command_has_a_hand_in_is_not() {
        let (_directory, own, written) = places();
        let refused = |path: PathBuf| {
            let error = told(path, &written).unwrap_err();
            assert!(error.contains("is not obeyed while the command runs"), "{error}");
        };
        // In its own place; a link there; a link by it, through which another file of the owner's could be chosen; a directory's.
        std::fs::write(written.join("config.toml"), "text").unwrap();
        refused(written.join("config.toml"));
        symlink(written.join("config.toml"), own.join("to.toml")).unwrap();
        refused(own.join("to.toml"));
        symlink(own.join("config.toml"), written.join("back")).unwrap();
        symlink(written.join("back"), own.join("through.toml")).unwrap();
        refused(own.join("through.toml"));
        symlink(&own, written.join("directory")).unwrap();
        symlink(written.join("directory"), own.join("directory")).unwrap();
        refused(own.join("directory/config.toml"));
        refused(own.join("directory/../own/config.toml"));
        // The same file under another name.
        std::fs::hard_link(own.join("config.toml"), written.join("same")).unwrap();
        assert!(told(own.join("config.toml"), &written).unwrap_err().contains("hard link"));
    }

    /// The attack: the command opens a file where it may write, the owner moves it to where he alone does, and the command writes.
    #[test]
    fn what_somebody_can_still_write_is_not_believed() {
        let (_directory, own, written) = places();
        let (proposed, path) = (written.join("proposed.toml"), own.join("config.toml"));
        std::fs::write(&proposed, "text").unwrap();
        let mut hand = std::fs::OpenOptions::new().append(true).open(&proposed).unwrap();
        std::fs::rename(&proposed, &path).unwrap();
        let file = ConfigFile { path: path.clone(), text: None };
        let mut held = BTreeSet::new();
        let mut told = || read(&file, std::slice::from_ref(&written), &mut held).map_err(|error| error.to_string());
        assert!(told().unwrap_err().contains("open for writing"));
        // Nor when it has been written, and nobody has it open any more; a copy is another file.
        io::Write::write_all(&mut hand, b"more").unwrap();
        drop(hand);
        assert!(told().unwrap_err().contains("open for writing"));
        std::fs::write(own.join("new"), "own").unwrap();
        std::fs::rename(own.join("new"), &path).unwrap();
        assert_eq!(told(), Ok(Some("own".to_owned())));
    }

    #[test]
    fn what_is_no_text_is_refused_at_once() {
        let (_directory, own, written) = places();
        let no_text =
            |path: &Path| assert!(told(path.to_owned(), &written).unwrap_err().contains("is no file of text"));
        no_text(&own);
        std::fs::write(own.join("bytes"), b"\xff").unwrap();
        no_text(&own.join("bytes"));
        std::fs::write(own.join("large"), vec![b'#'; usize::try_from(MOST).unwrap() + 1]).unwrap();
        no_text(&own.join("large"));
        let pipe = own.join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        no_text(&pipe);
        symlink("loop", own.join("loop")).unwrap();
        assert!(told(own.join("loop"), &written).unwrap_err().contains("cannot read"));
    }

    #[test]
    fn a_want_of_descriptors_is_told_from_what_is_wrong_with_the_file() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let (_directory, own, written) = places();
        let file = |name| ConfigFile { path: own.join(name), text: Some(String::new()) };
        // Each test has a process of its own.
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
        let wanting = read(&file("config.toml"), std::slice::from_ref(&written), &mut BTreeSet::new()).unwrap_err();
        setrlimit(Resource::Nofile, limit).unwrap();
        assert!(wanting.is_for_want_of_descriptors(), "{wanting}");
        assert!(!read(&file("none"), &[written], &mut BTreeSet::new()).unwrap_err().is_for_want_of_descriptors());
    }

    #[test]
    fn a_hash_is_the_one_that_everybody_makes() {
        let of_abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(Some("abc")), of_abc);
        assert_ne!(hash(None), hash(Some("")));
    }
}
