//! A control group of its own for each command (cgroup v2), where the host lets us make one.
//!
//! The nearest ancestor of our own group is taken that gives out controllers and that we may write to: for an ordinary user the slice
//! that systemd has delegated, for root any. The command's first process begins in it (`CLONE_INTO_CGROUP`); to move one there
//! later takes milliseconds.

use crate::limits::Limits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, access};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How the directories are called; what follows is the number of the process that made it.
const PREFIX: &str = "standin-";
/// How long killed processes may take to be gone.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// Over how many microseconds the share of processors is measured.
const PERIOD: u64 = 100_000;

/// A control group, removed at the end.
pub struct Group {
    directory: PathBuf,
    ended: bool,
}

/// What the limits did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Toll {
    /// Processes that were ended since the memory was used up.
    pub ended: u64,
    /// Times that a process was refused.
    pub refused: u64,
}

impl Group {
    /// Makes a group with these limits; nothing where the host lets us make none.
    pub fn make(limits: &Limits) -> Option<Self> {
        let parent = parent()?;
        remove_forgotten(&parent);
        let directory = parent.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&directory).ok()?;
        let group = Self { directory, ended: false };
        group.limit(limits).ok()?;
        Some(group)
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether it limits this: `memory`, `pids` or `cpu`.
    pub fn holds(&self, controller: &str) -> bool {
        self.directory.join(format!("{controller}.max")).exists()
    }

    fn limit(&self, limits: &Limits) -> io::Result<()> {
        let text = |most: Option<u64>| most.map_or_else(|| "max".to_owned(), |most| most.to_string());
        let cpu = limits.cpu.map_or_else(|| "max".to_owned(), |share| format!("{} {PERIOD}", share * PERIOD / 1_000));
        for (file, value) in [
            ("memory.max", text(limits.memory)),
            // What does not fit is not to go on in the swap, where the host's own would be pushed out.
            ("memory.swap.max", text(limits.memory.map(|memory| memory / 4))),
            ("pids.max", text(limits.pids)),
            ("cpu.max", cpu),
        ] {
            match fs::OpenOptions::new().write(true).open(self.directory.join(file)) {
                Ok(mut open) => io::Write::write_all(&mut open, value.as_bytes())?,
                // That controller is not given out here.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends whatever is still in it and removes it, which the kernel does only when nothing is; says what the limits did.
    pub fn end(mut self) -> io::Result<Toll> {
        self.ended = true;
        let count = |file: &str, key: &str| {
            let events = fs::read_to_string(self.directory.join(file)).unwrap_or_default();
            events.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok()).unwrap_or_default()
        };
        let toll = Toll { ended: count("memory.events", "oom_kill "), refused: count("pids.events", "max ") };
        self.remove().map(|()| toll)
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
            other => return other,
        }
        // Read before the kill: what changes after is told.
        let events = fs::File::open(self.directory.join("cgroup.events"))?;
        io::Read::read_to_string(&mut &events, &mut String::new())?;
        fs::write(self.directory.join("cgroup.kill"), "1")?;
        poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&PATIENCE))?;
        fs::remove_dir(&self.directory)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            // The next session removes what is left of it.
            self.remove().ok();
        }
    }
}

/// The group in which we may make one.
pub(crate) fn parent() -> Option<PathBuf> {
    let (own, top) = own()?;
    own.ancestors().take_while(|at| at.starts_with(&top)).find(|at| is_ours(at)).map(Path::to_owned)
}

/// Our own group's directory, and that of the topmost group that is mounted.
pub(crate) fn own() -> Option<(PathBuf, PathBuf)> {
    place(&fs::read_to_string("/proc/self/cgroup").ok()?, &fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// Whether somebody who makes a namespace of control groups, and mounts them there, can set the limits of the one that we are in: it is this
/// user's, and the host does not forbid it ("nsdelegate", cgroups(7)).
pub(crate) fn can_be_set_anew() -> bool {
    let Some((own, _)) = own() else { return false };
    let is_delegated = fs::read_to_string("/proc/self/mounts").is_ok_and(|mounts| delegates(&mounts));
    !is_delegated && access(own.join("cgroup.procs"), Access::WRITE_OK).is_ok()
}

fn delegates(mounts: &str) -> bool {
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(2);
        fields.next() == Some("cgroup2")
            && fields.next().is_some_and(|options| options.split(',').any(|option| option == "nsdelegate"))
    })
}

fn place(groups: &str, mounts: &str) -> Option<(PathBuf, PathBuf)> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let (root, top) = mounts.lines().find_map(|line| {
        let (fields, kind) = line.split_once(" - ")?;
        let mut fields = fields.split(' ').skip(3);
        kind.starts_with("cgroup2 ").then(|| Some((fields.next()?, fields.next()?)))?
    })?;
    // A group outside of what is mounted begins with `..`.
    let below = Path::new(own).strip_prefix(root).ok().filter(|below| !below.starts_with(".."))?;
    Some((Path::new(top).join(below), PathBuf::from(top)))
}

/// Whether groups below get a controller that we want, and we may make one and put processes into it.
fn is_ours(directory: &Path) -> bool {
    let given = fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
    given.split_whitespace().any(|name| matches!(name, "memory" | "pids"))
        && access(directory, Access::WRITE_OK).is_ok()
        && access(directory.join("cgroup.procs"), Access::WRITE_OK).is_ok()
}

/// Groups of launchers that were killed. The kernel keeps those in which something runs.
fn remove_forgotten(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|pid| pid.parse::<u32>().ok());
        if maker.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            fs::remove_dir(entry.path()).ok(); // or another session has done it
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{self, Fork};
    use std::os::fd::AsFd;

    #[test]
    fn the_own_group_is_found() {
        let mounts = "25 30 0:23 / /sys rw shared:7 - sysfs sysfs rw\n\
                      31 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let slice = "/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope";
        let found = place(&format!("0::{slice}\n"), mounts);
        assert_eq!(found, Some((format!("/sys/fs/cgroup{slice}").into(), "/sys/fs/cgroup".into())));
        assert!(delegates("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nsdelegate,memory_recursiveprot 0 0\n"));
        assert!(!delegates("x /sys tmpfs rw,nsdelegate 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"));
        let hybrid = mounts.replace("/sys/fs/cgroup rw", "/sys/fs/cgroup/unified rw");
        let found = place("8:pids:/\n0::/\n", &hybrid);
        assert_eq!(found, Some(("/sys/fs/cgroup/unified/".into(), "/sys/fs/cgroup/unified".into())));
        assert_eq!(place("0::/../other\n", mounts), None);
        assert_eq!(place("8:pids:/\n", mounts), None);
    }

    #[test]
    fn limits_are_written_and_told_of() {
        let directory = tempfile::tempdir().unwrap();
        let group = Group { directory: directory.path().to_owned(), ended: true };
        for file in ["memory.max", "memory.swap.max", "pids.max", "cpu.max"] {
            fs::write(directory.path().join(file), "").unwrap();
        }
        let limits = Limits { memory: Some(4_000), pids: Some(64), cpu: Some(1_500), tmp: 0 };
        group.limit(&limits).unwrap();
        let read = |file| fs::read_to_string(directory.path().join(file)).unwrap();
        assert_eq!((read("memory.max"), read("memory.swap.max")), ("4000".into(), "1000".into()));
        assert_eq!((read("pids.max"), read("cpu.max")), ("64".into(), "150000 100000".into()));
        assert!(group.holds("pids") && !group.holds("io"));
    }

    /// With the kernel's own groups, though this host may give out no controller: a process begins in one, and is ended with it.
    #[test]
    fn a_process_begins_in_a_group_and_ends_with_it() {
        let made = own().map(|(own, _)| own.join(format!("{PREFIX}{}", std::process::id())));
        let Some(directory) = made.filter(|directory| fs::create_dir(directory).is_ok()) else {
            eprintln!("not tried: this user may make no control group (v2) on this host");
            return;
        };
        let group = Group { directory: directory.clone(), ended: false };
        let opened = fs::File::open(&directory).unwrap();
        let Fork::Parent(child) = sys::fork_into(Some(opened.as_fd())).unwrap() else {
            // Only calls that take no lock: the test has other threads.
            loop {
                rustix::thread::sched_yield();
                rustix::event::pause();
            }
        };
        assert_eq!(fs::read_to_string(directory.join("cgroup.procs")).unwrap(), format!("{child}\n"));
        // It is a child of ours that nobody waits for, and no process of the group any more.
        assert_eq!(group.end().unwrap(), Toll::default());
        assert!(!directory.exists());
    }
}
