//! From what is wanted to what is done: pure, so that it can be read, compared and snapshot-tested.

mod facts;
mod spec;

pub use facts::{ETC, HIDDEN, HostFacts, SYSTEM};
pub use spec::{InlineFile, Layer, MaskedFile, Overlay, Spec};

use crate::ground::inside;
use crate::limits::Held;
use crate::parcel::{self, Parcel};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What is done. Paths of targets are paths in the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The program and its arguments, as bytes.
    pub command: Vec<Vec<u8>>,
    /// The environment, as `NAME=value` bytes.
    pub environment: Vec<Vec<u8>>,
    /// Where the command starts.
    pub directory: PathBuf,
    /// In this order.
    pub view: Vec<Show>,
    /// How much it may use.
    pub limits: Held,
    /// Which files the command may not touch by itself.
    pub files: Files,
    /// Whether the command may make user namespaces.
    pub nested: bool,
    /// Put over what the view shows, after it.
    pub masks: Vec<Mask>,
    /// Directories of the view that are shown empty.
    pub emptied: Vec<PathBuf>,
    /// Sockets in the view that do not answer.
    pub sockets: Vec<PathBuf>,
    /// What masks, [`Show::File`] and [`Show::Overlay`] refer to by number. Where a plan was unpacked, they are in its parcel.
    #[serde(skip)]
    pub blobs: Vec<Vec<u8>>,
}

impl Plan {
    /// In memory, for the first process: it is closed when that has read it.
    pub(crate) fn pack(&self) -> io::Result<OwnedFd> {
        let json = serde_json::to_vec(self)?;
        parcel::pack(std::iter::once(&json).chain(&self.blobs))
    }

    /// As it was packed, and its blobs.
    pub(crate) fn unpack(parcel: OwnedFd) -> io::Result<(Self, Blobs)> {
        let parcel = Parcel::open(parcel)?;
        Ok((serde_json::from_slice(&parcel.read(0)?)?, Blobs(parcel)))
    }
}

/// What an unpacked plan refers to by number.
#[derive(Debug)]
pub(crate) struct Blobs(Parcel);

impl Blobs {
    /// Writes the blob with that number to the end of a file.
    pub(crate) fn write(&self, number: usize, to: impl AsFd) -> io::Result<()> {
        self.0.write(number + 1, to)
    }
}

/// Other contents over a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    /// Where, inside and outside.
    pub path: PathBuf,
    /// Which blob.
    pub blob: usize,
    /// Permission bits.
    pub mode: u32,
}

/// Who does what with files: see docs/files.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Workspaces: changed by the broker only, after it has judged the name.
    pub guarded: Vec<PathBuf>,
    /// Directories in which the command acts by itself, and whether it may write there. None holds a workspace, or lies
    /// in one.
    pub native: Vec<(PathBuf, bool)>,
    /// Files that hold secrets.
    pub watch: Watch,
}

/// Where files that hold secrets are, and may come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Files under a mask when the session starts.
    pub masked: Vec<PathBuf>,
    /// Directories that are watched.
    pub roots: Vec<PathBuf>,
    /// Files that are not masked, or directories above them.
    pub shown: Vec<PathBuf>,
    /// Files with such names that hold no secret when the session starts.
    pub harmless: Vec<Identity>,
    /// Links by whose names a masked file is known, and the file: they keep their names.
    pub pinned: Vec<PathBuf>,
}

/// What tells a file from all others, also from one that gets its number later: device, number, when it was made (seconds and
/// nanoseconds of the epoch, zero where the file system does not know).
pub type Identity = (u64, u64, (i64, u32));

/// One thing that the sandbox sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Show {
    /// An empty, private directory in memory.
    Private(PathBuf),
    /// A symbolic link.
    Link {
        /// Where.
        path: PathBuf,
        /// To what.
        target: PathBuf,
    },
    /// A directory or file of the host.
    Host {
        /// Where, inside and outside.
        path: PathBuf,
        /// Whether it can be written.
        writable: bool,
    },
    /// A directory of the host whose changes go elsewhere.
    Layered {
        /// Where, inside and outside.
        path: PathBuf,
        /// Where they go.
        layer: Layer,
    },
    /// A directory of the host whose changes stay in memory, and are gone with the sandbox.
    Cache(PathBuf),
    /// A small file of the host, as it is when the session starts. A mount for each would be a third of the start.
    Copy(PathBuf),
    /// A file of ours.
    File {
        /// Where.
        path: PathBuf,
        /// Which blob.
        blob: usize,
    },
    /// A directory of the host under files of ours.
    Overlay {
        /// Where, inside and outside.
        directory: PathBuf,
        /// Paths in it, and which blobs.
        files: Vec<(PathBuf, usize)>,
    },
}

/// Makes the plan.
pub fn plan(mut spec: Spec, host: &HostFacts) -> Plan {
    let mut blobs = Vec::new();
    let mut view = Vec::new();
    let mut keep = |contents: Vec<u8>| {
        blobs.push(contents);
        blobs.len() - 1
    };
    view.extend(host.links.iter().map(|(path, target)| Show::Link { path: path.clone(), target: target.clone() }));
    view.extend(host.system.iter().map(|path| Show::Host { path: path.clone(), writable: false }));
    view.extend(host.copies.iter().cloned().map(Show::Copy));
    view.extend(host.hidden.iter().cloned().map(Show::Private));
    for (path, text) in identity_files(&spec, host) {
        view.push(Show::File { path, blob: keep(text.into_bytes()) });
    }
    for private in ["/tmp", "/run", "/var/tmp"] {
        view.push(Show::Private(private.into()));
    }
    view.push(Show::Link { path: "/var/run".into(), target: "/run".into() });
    view.push(Show::Private(spec.home.clone()));
    for Overlay { directory, files } in std::mem::take(&mut spec.overlays) {
        let files = files.into_iter().map(|(path, contents)| (path, keep(contents))).collect();
        view.push(Show::Overlay { directory, files });
    }
    // Before what was asked for, which may be the same directory.
    view.extend(spec.caches.iter().cloned().map(Show::Cache));
    // Parents before children, so that none hides another.
    let mut shown: Vec<(PathBuf, bool)> = spec.read_only.iter().map(|path| (path.clone(), false)).collect();
    shown.extend(spec.writable.iter().chain([&spec.workspace]).map(|path| (path.clone(), true)));
    shown.sort();
    shown.dedup();
    view.extend(shown.into_iter().map(|(path, writable)| match &spec.workspace_layer {
        Some(layer) if path == spec.workspace => Show::Layered { path, layer: layer.clone() },
        _ => Show::Host { path, writable },
    }));
    // What the broker refuses is written there, for the agent to read.
    view.push(Show::File { path: crate::broker::TOLD.into(), blob: keep(Vec::new()) });
    for file in &spec.files {
        view.push(Show::File { path: file.path.clone(), blob: keep(file.contents.clone()) });
    }
    let files = files(&spec, &view);
    // Where the broker guards anything there are none, whatever was asked for: it could not see what they mount.
    let nested = spec.nested && files.guarded.is_empty();
    let mask = |mask: &MaskedFile| Mask { path: mask.path.clone(), blob: keep(mask.contents.clone()), mode: mask.mode };
    let masks = spec.masks.iter().map(mask).collect();
    Plan {
        command: spec.command.iter().map(|text| bytes(text)).collect(),
        environment: spec.environment.iter().map(|(n, v)| [bytes(n), b"=".to_vec(), bytes(v)].concat()).collect(),
        directory: spec.directory.clone(),
        view,
        limits: spec.limits.clone(),
        files,
        nested,
        masks,
        emptied: spec.emptied.clone(),
        sockets: spec.sockets.clone(),
        blobs,
    }
}

impl Plan {
    /// Whether what lies at a path is the host's, or a copy of it: what is mounted last is on top.
    pub(crate) fn is_hosts(&self, path: &Path) -> bool {
        let on_top = self.view.iter().rev().find_map(|show| match show {
            Show::Host { path: at, .. } | Show::Layered { path: at, .. } | Show::Cache(at) => {
                path.starts_with(at).then_some(true)
            }
            Show::Private(at) | Show::Overlay { directory: at, .. } => path.starts_with(at).then_some(false),
            _ => None,
        });
        on_top.unwrap_or(false)
    }
}

/// The rest of the sandbox's own file systems, beside what the view lists.
const OWN: &[(&str, bool)] = &[("/dev", true), ("/etc", false), ("/proc", true)];

fn files(spec: &Spec, view: &[Show]) -> Files {
    // In a copy names are judged when it is applied.
    let is_copy = |path: &PathBuf| spec.workspace_layer.is_some() && *path == spec.workspace;
    let guarded: Vec<_> =
        spec.writable.iter().chain([&spec.workspace]).filter(|path| !is_copy(path)).cloned().collect();
    let shown = view.iter().filter_map(|show| match show {
        Show::Private(path) | Show::Layered { path, .. } | Show::Cache(path) => Some((path.clone(), true)),
        Show::Host { path, writable: false } | Show::Overlay { directory: path, .. } => Some((path.clone(), false)),
        _ => None,
    });
    let mut native: Vec<_> = OWN.iter().map(|(path, writable)| (PathBuf::from(path), *writable)).chain(shown).collect();
    native.retain(|(path, _)| !guarded.iter().any(|root| root.starts_with(path) || path.starts_with(root)));
    // Of two that hold each other the inner one says more.
    native.sort_by(|(a, _), (b, _)| b.cmp(a));
    native.dedup();
    // Of what the host changes below a copy nothing is heard, and its masks lie on the copy.
    let roots = spec.watched.iter().filter(|path| !is_copy(path)).cloned().collect();
    let masked = spec.masks.iter().map(|mask| mask.path.clone()).collect();
    let (shown, harmless, pinned) = (spec.unmasked.clone(), spec.harmless.clone(), spec.pinned.clone());
    Files { guarded, native, watch: Watch { masked, roots, shown, harmless, pinned } }
}

fn identity_files(spec: &Spec, host: &HostFacts) -> Vec<(PathBuf, String)> {
    let (uid, gid) = (inside(host.uid, host.uid), inside(host.uid, host.gid));
    let user = if host.uid == 0 { "agent" } else { &host.user };
    let home = spec.home.display();
    let passwd = format!(
        "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n{user}:x:{uid}:{gid}::{home}:/bin/bash\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    );
    let group = format!("root:x:0:\n{user}:x:{gid}:\nnogroup:x:65534:\n");
    let hosts = "127.0.0.1 localhost standin\n::1 localhost ip6-localhost standin\n";
    let resolv = format!("nameserver {}\noptions timeout:2 attempts:2\n", crate::network::GATEWAY_V4);
    [
        ("/etc/passwd", passwd),
        ("/etc/group", group),
        ("/etc/hosts", hosts.to_owned()),
        ("/etc/hostname", "standin\n".to_owned()),
        ("/etc/resolv.conf", resolv),
        (
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n".to_owned(),
        ),
    ]
    .map(|(path, text)| (PathBuf::from(path), text))
    .into()
}

fn bytes(text: &std::ffi::OsStr) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(text).to_vec()
}

#[cfg(test)]
mod tests;
