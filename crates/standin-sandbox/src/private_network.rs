//! A network of one's own, for the demonstration and for tests: the unmodified program runs in it.
//!
//! Every address is local there, names come from a hosts file of ours, and nothing leads to the host's network.

use crate::init::map_identity;
use crate::netlink::Netlink;
use crate::network::make_everything_local;
use crate::sys;
use rustix::process::{getegid, geteuid};
use std::io;
use std::path::Path;

/// Leaves the host's network for a private one and lays `hosts` over `/etc/hosts`. Call it first thing in `main`,
/// while there is one thread. The user stays who it is.
pub fn enter(hosts: &Path) -> io::Result<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWNET)?;
    map_identity((uid, uid), (gid, gid))?;
    make_everything_local(&Netlink::routes()?)?;
    sys::mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_PRIVATE, c"")?;
    sys::mount(&sys::c_path(hosts)?, c"/etc/hosts", c"none", libc::MS_BIND, c"")
}
