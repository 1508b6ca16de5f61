//! The sandbox's files: a new root in memory, with what the plan shows and nothing else.

use crate::layered::{self, Layers};
use crate::limits::Held;
use crate::masks;
use crate::plan::{Blobs, Layer, Plan, Show};
use crate::step::{At, Step, StepError};
use crate::sys;
use crate::trees::{self, NO_DEVICES, NO_PROGRAMS, NO_SETUID, READ_ONLY};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::mount::MountAttrFlags;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where the new root is put together; it hides the host's directory of that name from this process only.
const STAGE: &str = "/tmp";

/// Device nodes that programs need.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
/// Links into /proc that programs need.
const DEVICE_LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// Parts of /proc through which the host's root could act (a root caller has its user id) or that tell of the host.
const PROC_READ_ONLY: &[&str] =
    &["acpi", "asound", "bus", "driver", "dynamic_debug", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger", "tty"];
const PROC_MASKED: &[&str] = &[
    "allocinfo",
    "kallsyms",
    "kcore",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "pagetypeinfo",
    "sched_debug",
    "slabinfo",
    "timer_list",
    "vmallocinfo",
    "vmcore",
];

/// A source on the host, taken before the new root hides it.
enum Taken {
    /// A mount, and whether it is a directory.
    Tree(OwnedFd, bool),
    /// What an overlay is made of.
    Layers(Layers),
    /// What lies below an overlay; nothing, if it is not there any more.
    Cache(Option<OwnedFd>),
}

/// Builds the view and makes it the root. Runs as the first process of the new pid namespace.
pub(crate) fn enter(plan: &Plan, blobs: &Blobs) -> Result<(), StepError> {
    // Nothing mounted from here on may show on the host.
    sys::mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_PRIVATE, c"").at(Step::Mounts)?;
    // Sources are taken first: a workspace under the staging directory would be hidden.
    let taken = take_sources(plan)?;
    let devices = take_devices()?;
    sys::mount(c"standin", &c(STAGE)?, c"tmpfs", libc::MS_NOSUID | libc::MS_NODEV, c"mode=0755,size=64m")
        .at(Step::Mounts)?;
    let mut taken = taken.into_iter();
    let private = Private::make(&plan.limits).at_thing(Step::Mounts, "private directories")?;
    for show in &plan.view {
        let step = if matches!(show, Show::Layered { .. }) { Step::Layer } else { Step::Mounts };
        put(show, (plan, blobs), &private, &mut taken).at_thing(step, describe(show))?;
    }
    masks::put_on(plan, blobs, Path::new(STAGE))?;
    make_devices(devices, &private).at_thing(Step::Mounts, "/dev")?;
    private.hide().at_thing(Step::Mounts, "private directories")?;
    make_proc(plan.nested)?;
    // The old root is stacked on the new one for a moment, then detached: no directory for it is needed.
    std::env::set_current_dir(STAGE).at(Step::Mounts)?;
    sys::pivot_root_here().at(Step::Mounts)?;
    trees::detach(Path::new(".")).at(Step::Mounts)?;
    // Last, because everything above made directories in it.
    let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV;
    sys::mount(c"none", c"/", c"none", flags, c"").at(Step::Mounts)
}

fn take_sources(plan: &Plan) -> Result<Vec<Taken>, StepError> {
    let tree = |path: &Path, writable: bool| {
        let found = without_links(path)?;
        let is_directory = FileType::from_raw_mode(fstat(&found)?.st_mode).is_dir();
        let tree = trees::copy_of(&found)?;
        let read_only = if writable { MountAttrFlags::empty() } else { READ_ONLY };
        sys::mount_setattr(tree.as_fd(), read_only | NO_SETUID | NO_DEVICES)?;
        Ok::<_, io::Error>(Taken::Tree(tree, is_directory))
    };
    let take = |show: &Show| match show {
        Show::Host { path, writable } => Some(tree(path, *writable).at_thing(Step::Mounts, path.display())),
        Show::Layered { path, layer } => {
            Some(Layers::take(path, layer).map(Taken::Layers).at_thing(Step::Layer, path.display()))
        }
        // Without one more is fetched, and nothing else is different.
        Show::Cache(path) => Some(Ok(Taken::Cache(without_links(path).ok()))),
        _ => None,
    };
    plan.view.iter().filter_map(take).collect()
}

/// What is shown was judged by its path, without links. Since then another session, whose workspace is above it, may have put a link
/// on the way.
pub(crate) fn without_links(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Ok(openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?)
}

fn take_devices() -> Result<Vec<OwnedFd>, StepError> {
    let take = |name: &&str| {
        let tree = trees::copy(&Path::new("/dev").join(name))?;
        // Devices are written all the same. Their modes are the host's, and root's session has the user id that they belong to.
        sys::mount_setattr(tree.as_fd(), READ_ONLY | NO_SETUID | NO_PROGRAMS)?;
        Ok::<_, io::Error>(tree)
    };
    DEVICES.iter().map(|name| take(name).at_thing(Step::Mounts, format!("/dev/{name}"))).collect()
}

/// The file system in memory whose directories are shown as private ones: one, so that there is one bound for all of them together.
struct Private(PathBuf);

impl Private {
    fn make(limits: &Held) -> io::Result<Self> {
        let at = staged(Path::new("/private"));
        fs::create_dir(&at)?;
        let options = format!("mode=0700,size={},nr_inodes={}", limits.tmp, limits.files());
        sys::mount(c"standin", &sys::c_path(&at)?, c"tmpfs", libc::MS_NOSUID | libc::MS_NODEV, &c(&options)?)?;
        Ok(Self(at))
    }

    /// Shows a new, empty directory of it there.
    fn show(&self, target: &Path, mode: u32) -> io::Result<()> {
        let number = fs::read_dir(&self.0)?.count();
        let directory = self.0.join(number.to_string());
        fs::create_dir(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode))?;
        trees::attach(&trees::copy(&directory)?, target)
    }

    /// Shows a directory of the host there, and takes what is written.
    fn cache(&self, lower: OwnedFd, target: &Path) -> io::Result<()> {
        let number = fs::read_dir(&self.0)?.count();
        let [upper, work] = ["upper", "work"].map(|part| self.0.join(number.to_string()).join(part));
        fs::create_dir_all(&upper)?;
        fs::create_dir(&work)?;
        layered::mount(&Layers::over(lower, &Layer { upper, work })?, target)
    }

    /// It is seen no more but by what is shown of it.
    fn hide(self) -> io::Result<()> {
        trees::detach(&self.0)?;
        fs::remove_dir(self.0)
    }
}

fn put(
    show: &Show,
    (plan, blobs): (&Plan, &Blobs),
    private: &Private,
    taken: &mut impl Iterator<Item = Taken>,
) -> io::Result<()> {
    match show {
        Show::Private(path) => {
            let mode = if path == Path::new("/tmp") || path == Path::new("/var/tmp") { 0o1777 } else { 0o700 };
            private.show(&directory(path)?, mode)
        }
        Show::Link { path, target } => {
            let at = staged(path);
            directory(path.parent().unwrap_or(Path::new("/")))?;
            symlink(target, at)
        }
        Show::Host { path, .. } => {
            let Some(Taken::Tree(tree, is_directory)) = taken.next() else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let target = if is_directory { directory(path)? } else { file(path)? };
            trees::attach(&tree, &target)
        }
        Show::Layered { path, .. } => {
            let Some(Taken::Layers(layers)) = taken.next() else { return Err(io::ErrorKind::InvalidInput.into()) };
            layered::mount(&layers, &directory(path)?)
        }
        Show::Cache(path) => {
            let Some(Taken::Cache(lower)) = taken.next() else { return Err(io::ErrorKind::InvalidInput.into()) };
            // What a kernel cannot do here leaves an empty directory, as ever.
            lower.map_or(Ok(()), |lower| private.cache(lower, &directory(path)?)).or(Ok(()))
        }
        Show::Copy(path) => io::copy(&mut File::open(path)?, &mut create(path)?).map(drop),
        // Through a directory that is shown it would be written on the host, and through a link in it anywhere there.
        Show::File { path, .. } if plan.is_hosts(path) => {
            Err(io::Error::other("it lies in what is shown of the host, where nothing is put over it"))
        }
        Show::File { path, blob } => blobs.write(*blob, create(path)?),
        Show::Overlay { directory: over, files } => overlay(over, files, blobs),
    }
}

/// The host's directory under a directory of ours, both below a read-only overlay: two layers and no upper one, which
/// needs neither extended attributes nor a copy.
fn overlay(over: &Path, files: &[(PathBuf, usize)], blobs: &Blobs) -> io::Result<()> {
    let ours = directory(&Path::new("/run/standin/overlay").join(over.strip_prefix("/").unwrap_or(over)))?;
    for (path, blob) in files {
        let at = ours.join(path);
        if let Some(parent) = at.parent() {
            fs::create_dir_all(parent)?;
        }
        blobs.write(*blob, File::create(at)?)?;
    }
    let target = directory(over)?;
    let options = format!("lowerdir={}:{}", ours.display(), over.display());
    sys::mount(
        c"overlay",
        &sys::c_path(&target)?,
        c"overlay",
        libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV,
        &c(&options)?,
    )
}

fn make_devices(devices: Vec<OwnedFd>, private: &Private) -> io::Result<()> {
    let dev = directory(Path::new("/dev"))?;
    sys::mount(c"standin", &sys::c_path(&dev)?, c"tmpfs", libc::MS_NOSUID, c"mode=0755,size=1m")?;
    for (name, tree) in DEVICES.iter().zip(devices) {
        fs::write(dev.join(name), "")?;
        trees::attach(&tree, &dev.join(name))?;
    }
    for (name, target) in DEVICE_LINKS {
        symlink(target, dev.join(name))?;
    }
    fs::create_dir(dev.join("pts"))?;
    let flags = libc::MS_NOSUID | libc::MS_NOEXEC;
    sys::mount(c"devpts", &sys::c_path(&dev.join("pts"))?, c"devpts", flags, c"newinstance,ptmxmode=0666,mode=0620")?;
    fs::create_dir(dev.join("shm"))?;
    private.show(&dev.join("shm"), 0o1777)
}

/// A /proc of this pid namespace, without the parts that act on the host. Whole where the command may make namespaces: the kernel mounts
/// another one only for who sees a whole one. An ordinary user cannot act by it, and root does not get there.
fn make_proc(whole: bool) -> Result<(), StepError> {
    let proc = directory(Path::new("/proc")).at(Step::Proc)?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    sys::mount(c"proc", &sys::c_path(&proc).at(Step::Proc)?, c"proc", flags, c"").at(Step::Proc)?;
    if whole {
        return Ok(());
    }
    let harden = |name: &str, source: &Path, read_only: bool| {
        let target = proc.join(name);
        if !target.exists() {
            return Ok(());
        }
        let tree = trees::copy(source)?;
        if read_only {
            sys::mount_setattr(tree.as_fd(), READ_ONLY | NO_SETUID | NO_DEVICES)?;
        }
        trees::attach(&tree, &target)
    };
    for name in PROC_READ_ONLY {
        harden(name, &proc.join(name), true).at_thing(Step::Proc, format!("/proc/{name}"))?;
    }
    for name in PROC_MASKED {
        harden(name, &staged(Path::new("/dev/null")), false).at_thing(Step::Proc, format!("/proc/{name}"))?;
    }
    Ok(())
}

fn staged(path: &Path) -> PathBuf {
    Path::new(STAGE).join(path.strip_prefix("/").unwrap_or(path))
}

/// The directory of that path in the new root, made if need be.
fn directory(path: &Path) -> io::Result<PathBuf> {
    let staged = staged(path);
    fs::create_dir_all(&staged)?;
    Ok(staged)
}

/// An empty file of that path in the new root, made if need be.
fn file(path: &Path) -> io::Result<PathBuf> {
    directory(path.parent().unwrap_or(Path::new("/")))?;
    let staged = staged(path);
    fs::OpenOptions::new().create(true).append(true).open(&staged)?;
    Ok(staged)
}

/// A file of that path in the new root, to be filled.
fn create(path: &Path) -> io::Result<File> {
    directory(path.parent().unwrap_or(Path::new("/")))?;
    File::create(staged(path))
}

fn describe(show: &Show) -> String {
    let path = match show {
        Show::Private(path)
        | Show::Copy(path)
        | Show::Cache(path)
        | Show::Link { path, .. }
        | Show::Host { path, .. }
        | Show::Layered { path, .. }
        | Show::File { path, .. }
        | Show::Overlay { directory: path, .. } => path,
    };
    path.display().to_string()
}

fn c(text: &str) -> Result<std::ffi::CString, StepError> {
    sys::c_path(Path::new(text)).at(Step::Mounts)
}

impl From<StepError> for io::Error {
    fn from(error: StepError) -> Self {
        error.source
    }
}
