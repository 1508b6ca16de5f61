//! What is wanted of a sandbox.

use super::Identity;
use crate::limits::Held;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the caller wants.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The program (found by the caller) and its arguments.
    pub command: Vec<OsString>,
    /// The whole environment of the command; nothing is inherited.
    pub environment: Vec<(OsString, OsString)>,
    /// Shown writable, under its own path.
    pub workspace: PathBuf,
    /// Where changes to the workspace go instead of into it.
    pub workspace_layer: Option<Layer>,
    /// Where the command starts.
    pub directory: PathBuf,
    /// The path of a private, empty home.
    pub home: PathBuf,
    /// Shown read-only, under their own paths.
    pub read_only: Vec<PathBuf>,
    /// Shown writable, under their own paths.
    pub writable: Vec<PathBuf>,
    /// Shown as they are, under their own paths; what is changed in them is gone with the sandbox.
    pub caches: Vec<PathBuf>,
    /// Files of ours.
    pub files: Vec<InlineFile>,
    /// Directories of the host with some files replaced.
    pub overlays: Vec<Overlay>,
    /// Files that are shown with other contents.
    pub masks: Vec<MaskedFile>,
    /// Directories that are shown empty.
    pub emptied: Vec<PathBuf>,
    /// Sockets of the host's that do not answer.
    pub sockets: Vec<PathBuf>,
    /// Directories in which secret files are covered that come later.
    pub watched: Vec<PathBuf>,
    /// Files that are not masked whatever their names, or directories above them.
    pub unmasked: Vec<PathBuf>,
    /// Files with names of secret files that hold none.
    pub harmless: Vec<Identity>,
    /// Links by whose names a masked file is known, and the file.
    pub pinned: Vec<PathBuf>,
    /// How much it may use.
    pub limits: Held,
    /// Whether the command may make user namespaces, and mount what it likes in them. Not where a workspace is no copy: see docs/adr/0008.
    pub nested: bool,
}

/// A file of the host's that is shown, read-only, with other contents.
#[derive(Clone, Debug)]
pub struct MaskedFile {
    /// Where it is, without links.
    pub path: PathBuf,
    /// What the sandbox sees in it.
    pub contents: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

/// A file that does not exist on the host.
#[derive(Clone, Debug)]
pub struct InlineFile {
    /// Where the sandbox sees it.
    pub path: PathBuf,
    /// What is in it.
    pub contents: Vec<u8>,
}

/// A directory of the host that is shown with some files replaced.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// The directory, on the host and in the sandbox.
    pub directory: PathBuf,
    /// The files, by their path in it.
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

/// Two directories of the host, on one file system, that the sandbox does not see: an overlay's upper and work directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// What is written lands here.
    pub upper: PathBuf,
    /// What the kernel needs besides.
    pub work: PathBuf,
}
