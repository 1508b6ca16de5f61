//! What is known before the plan, and enough to make the namespaces and the network of: the launcher puts the rest
//! together meanwhile.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Who the command is inside when the caller is root: agents refuse to run as root.
const INSIDE_ID: u32 = 1000;

/// What the first process needs at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// (inside, outside).
    pub uid: (u32, u32),
    /// (inside, outside).
    pub gid: (u32, u32),
    /// What leads in and out on loopback.
    pub ports: LocalPorts,
    /// Whether the command gets a terminal of its own.
    pub terminal: Option<Terminal>,
    /// The program that makes the namespaces of users and mounts, if we do not.
    pub bubblewrap: Option<PathBuf>,
}

/// A terminal of the sandbox's own, in place of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Its height.
    pub rows: u16,
    /// Its width.
    pub columns: u16,
    /// Whether it is the whole of a terminal, keyboard and job control included. Else it takes the place of those of the
    /// caller's standard output and errors that are a terminal, and no more.
    pub controls: bool,
}

/// What leads in and out on the sandbox's own loopback.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalPorts {
    /// Ports on which listeners of the launcher's stand, so that what is dialled there comes to it.
    pub reach: Vec<u16>,
    /// Whether the launcher connects to servers inside.
    pub publish: bool,
}

impl Ground {
    /// For whoever calls us.
    pub fn new(ports: LocalPorts, terminal: Option<Terminal>) -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { uid: (inside(uid, uid), uid), gid: (inside(uid, gid), gid), ports, terminal, bubblewrap: None }
    }
}

/// What an id of this caller's is inside.
pub(crate) fn inside(caller: u32, id: u32) -> u32 {
    if caller == 0 { INSIDE_ID } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_is_somebody_else_inside() {
        assert_eq!([inside(0, 0), inside(0, 5), inside(1001, 1001), inside(1001, 5)], [1000, 1000, 1001, 5]);
    }
}
