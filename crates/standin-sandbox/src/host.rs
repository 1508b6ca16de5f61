//! What this host can give, layer by layer. Each is tried, not looked up: a child makes it, and ends.
//!
//! Settings are read only to say how a refusal is mended, and by [`probe`](crate::probe), as when a sandbox fails to start.

use crate::init::map_identity;
use crate::layered::{self, Layers};
use crate::plan::Layer;
use crate::step::{At, Step, StepError};
use crate::sys::{self, Fork};
use crate::{group, network, probe};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, getegid, geteuid, waitpid};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a layer gives, in words, or what it lacks.
pub type Found = Result<String, Lack>;

/// Why a layer is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What was tried, and what the system said to it.
    pub why: String,
    /// How the host can be mended, if that is known.
    pub mend: Option<String>,
}

/// The version of Landlock from which on signals and abstract sockets are scoped.
const SCOPES: i64 = 6;

/// The kernel's release and the machine.
pub fn kernel() -> String {
    let name = rustix::system::uname();
    format!("{} {}", name.release().to_string_lossy(), name.machine().to_string_lossy())
}

/// A user namespace for this user, and the others that it makes.
pub fn namespaces() -> Found {
    in_child(enter_namespaces).map(|()| "user, mount, pid, net, ipc, uts, cgroup".to_owned())
}

/// The gateway: a namespace in which every address is local, nftables, and a cable to the sandbox's own. Needs
/// [`namespaces`].
pub fn network() -> Found {
    in_child(|| {
        enter_namespaces()?;
        network::set_up(&[]).map(drop)
    })
    .map(|()| "every TCP port of IPv4 and IPv6, by nftables; DNS; no other way".to_owned())
}

/// Landlock, and its version.
pub fn landlock() -> Found {
    let version = sys::landlock_version().at(Step::Landlock).map_err(|error| lack(&error))?;
    let scopes = if version >= SCOPES { "" } else { "; without scopes of signals and abstract sockets (version 6)" };
    Ok(format!("version {version}{scopes}"))
}

/// Filters of system calls that ask somebody outside.
pub fn system_calls() -> Found {
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    if !sys::knows_seccomp_flags(listener) {
        let why = "seccomp without user notification, by which the broker of files is asked".to_owned();
        return Err(Lack {
            why,
            mend: Some("boot a kernel of version 5.5 or later with CONFIG_SECCOMP_FILTER".into()),
        });
    }
    let killable = sys::knows_seccomp_flags(listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    let waiting = if killable { "killable" } else { "interruptible (kernels before 5.19)" };
    Ok(format!("seccomp with user notification, waiting is {waiting}"))
}

/// An overlay in a user namespace, over a workspace whose copy is kept in `state`. Needs [`namespaces`].
pub fn copies(state: &Path) -> Found {
    let scratch = state.join(format!("doctor-{}", std::process::id()));
    let directory = |name: &str| scratch.join(name);
    let prepared = ["lower", "upper", "work"].iter().try_for_each(|name| fs::create_dir_all(directory(name)));
    let found = match prepared {
        Err(error) => Err(Lack { why: format!("cannot make {}: {error}", scratch.display()), mend: None }),
        Ok(()) => in_child(|| {
            enter_namespaces()?;
            sys::mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_PRIVATE, c"").at(Step::Mounts)?;
            let layer = Layer { upper: directory("upper"), work: directory("work") };
            let layers = Layers::take(&directory("lower"), &layer).at(Step::Layer)?;
            layered::mount(&layers, &directory("lower")).at(Step::Layer)
        })
        .map(|()| "overlays in a user namespace".to_owned()),
    };
    open_for_removal(&directory("work"));
    fs::remove_dir_all(&scratch).ok(); // what was not made cannot be removed
    found
}

/// Lets what the kernel keeps in an overlay's work directory be removed: it cannot be read until its mode is changed, from above.
pub fn open_for_removal(work: &Path) {
    for name in ["work", "work/incompat", "work/incompat/volatile"] {
        fs::set_permissions(work.join(name), fs::Permissions::from_mode(0o700)).ok(); // it need not be there
    }
}

/// A cgroup of version 2 that this user may divide: the one in which `run` makes its own.
pub fn limits() -> Found {
    if let Some(parent) = group::parent() {
        return Ok(format!("{} may be divided", parent.display()));
    }
    let lacking = |why: String, mend: &str| Lack { why, mend: Some(mend.to_owned()) };
    let (group, _) = group::own().ok_or_else(|| {
        lacking(
            "no cgroup of version 2".to_owned(),
            "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line",
        )
    })?;
    let controllers = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
    let missing: Vec<_> =
        ["memory", "pids"].into_iter().filter(|name| !controllers.split_whitespace().any(|has| has == *name)).collect();
    let run_in_one_of_its_own = "run it in a scope of its own: `systemd-run --user --scope -p Delegate=yes standin …`";
    if !missing.is_empty() {
        return Err(lacking(
            format!("{}: no controller for {}", group.display(), missing.join(", ")),
            run_in_one_of_its_own,
        ));
    }
    let why = "neither it nor one above it gives controllers out and lets this user make one below";
    Err(lacking(format!("{}: {why}", group.display()), run_in_one_of_its_own))
}

/// The namespaces of a sandbox, and this user in them.
pub(crate) fn enter_namespaces() -> Result<(), StepError> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).at(Step::Namespaces)?;
    map_identity((uid, uid), (gid, gid)).at(Step::Identity)?;
    let others =
        libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    sys::unshare(others).at(Step::Namespaces)
}

/// Tries something that cannot be taken back, in a process that ends with it. This one has one thread.
pub(crate) fn in_child(attempt: impl FnOnce() -> Result<(), StepError>) -> Result<(), Lack> {
    let lost = |error: io::Error| Lack { why: format!("cannot try it: {error}"), mend: None };
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| lost(error.into()))?;
    let (mut reader, mut writer) = (fs::File::from(reader), fs::File::from(writer));
    match sys::fork().map_err(lost)? {
        Fork::Child => {
            drop(reader);
            let text = attempt().map_or_else(|error| error.to_bytes(), |()| Vec::from(DONE));
            // Who does not hear it takes the silence for a failure.
            let code = writer.write_all(&text).map_or(1, |()| 0);
            std::process::exit(code)
        }
        Fork::Parent(child) => {
            drop(writer);
            let mut text = Vec::new();
            reader.read_to_end(&mut text).map_err(lost)?;
            waitpid(Pid::from_raw(child), WaitOptions::empty()).map_err(|error| lost(error.into()))?;
            if text == DONE {
                return Ok(());
            }
            Err(StepError::from_bytes(&text).map_or_else(|| lost(io::ErrorKind::UnexpectedEof.into()), |e| lack(&e)))
        }
    }
}

/// What a child says that has done it. A failure is longer.
const DONE: &[u8] = b"done";

fn lack(error: &StepError) -> Lack {
    let thing = if error.what.is_empty() { String::new() } else { format!("{}: ", error.what) };
    let mend = probe::mend(error.step, error.source.raw_os_error().unwrap_or(0), &probe::ThisHost);
    Lack { why: format!("cannot {}: {thing}{}", error.step.what(), error.source), mend }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_fails_at_is_told_with_its_mend() {
        let fails = || Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)).at(Step::CaptureRules);
        let lack = in_child(fails).unwrap_err();
        assert!(lack.why.starts_with("cannot capture connections with nftables"), "{lack:?}");
        assert_eq!(lack.mend.as_deref(), Some("sudo modprobe -a nf_tables nft_tproxy"));
        let ends = || std::process::exit(0);
        assert_eq!(in_child(ends).unwrap_err().mend, None, "silence is no success");
    }
}
