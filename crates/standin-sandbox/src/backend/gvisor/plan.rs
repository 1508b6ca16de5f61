//! From what is to run to what `runsc` is told: pure, so that it can be read and snapshot-tested.

use super::INSIDE;
use crate::ground::Terminal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A file system in memory that the command does not see, for the time of the session.
pub(super) const SCRATCH: &str = "/run/standin/gvisor";
/// What the first process under gVisor's kernel reads. What is in it the command has as well.
pub(super) const ERRAND: &str = "/run/standin/gvisor-errand";
const CONTAINER: &str = "standin";

/// The network is the sandbox's, whose limits are, too, and whatever is written in files is written in the copy. Files are served by a process of their own:
/// gVisor's kernel itself is in another mount namespace, where masks are no mounts that keep a name from being moved or removed.
const SERVED: [&str; 5] =
    ["--network=host", "--ignore-cgroups", "--overlay2=none", "--file-access-mounts=exclusive", "--directfs=false"];

/// What is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Errand {
    /// The program and its arguments.
    pub(super) command: Vec<Vec<u8>>,
    /// `NAME=value`, in bytes.
    pub(super) environment: Vec<Vec<u8>>,
    /// Where it starts.
    pub(super) directory: PathBuf,
    /// Who the command is, and whose the files are.
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// A terminal under that kernel, in place of ours, which that kernel does not take for one.
    pub(super) terminal: Option<Terminal>,
    /// Which of standard output and errors it takes the place of.
    pub(super) replaced: [bool; 2],
}

/// The root that gVisor serves: all that the sandbox sees, but [`SCRATCH`].
pub(super) fn root() -> PathBuf {
    Path::new(SCRATCH).join("root")
}

/// The bundle's directory.
pub(super) fn bundle() -> PathBuf {
    Path::new(SCRATCH).join("bundle")
}

/// The container's configuration.
pub(super) fn configuration(ourselves: &Path) -> Value {
    json!({
        "ociVersion": "1.0.0",
        "hostname": "standin",
        "process": {
            // Whom the sandbox's user namespace calls root, with no right of root's. The command is somebody else: see `inside`.
            "user": { "uid": 0, "gid": 0 },
            "args": [ourselves, INSIDE, ERRAND],
            "env": [],
            "cwd": "/",
            "capabilities": {},
            "noNewPrivileges": true,
        },
        "root": { "path": root(), "readonly": false },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            // An empty one it would keep in its own memory, which --tmp does not bound.
            { "destination": "/tmp", "type": "bind", "source": root().join("tmp"), "options": ["rbind", "rw"] },
        ],
        // The rest are the sandbox's.
        "linux": { "namespaces": [{ "type": "mount" }] },
    })
}

/// What `runsc` is called with to run it.
pub(super) fn run() -> Vec<OsString> {
    let mut words = common();
    words.extend(SERVED.map(OsString::from));
    words.extend(["run".into(), "--bundle".into(), bundle().into(), CONTAINER.into()]);
    words
}

/// What it is called with to pass a signal on.
pub(super) fn signal(number: i32) -> Vec<OsString> {
    let mut words = common();
    words.extend(["kill".into(), CONTAINER.into(), number.to_string().into()]);
    words
}

/// What it is called with to start this program beside the first process.
pub(super) fn execute(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut all = common();
    all.extend(["exec".into(), CONTAINER.into()]);
    all.extend(words);
    all
}

fn common() -> Vec<OsString> {
    vec!["--root".into(), Path::new(SCRATCH).join("state").into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runsc_is_told() {
        insta::assert_snapshot!(format!(
            "{:?}\n{:?}\n{:?}\n{:#}",
            run(),
            signal(15),
            execute(["/a".into()]),
            configuration("/usr/bin/standin".as_ref())
        ));
    }
}
