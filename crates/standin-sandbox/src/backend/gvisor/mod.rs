//! gVisor: a kernel of its own between the command and the host's.
//!
//! The sandbox is made as ever, for a command that may make namespaces ([`Spec::nested`](crate::Spec)), and that command is gVisor's `runsc`. So all
//! that the sandbox holds it holds for gVisor's kernel, too, should that be overcome. Three small parts of this program are played:
//! [`outside`] starts `runsc` and passes signals on, [`inside`] is the first process under gVisor's kernel, and a third one tells that of a
//! changed window. Read [`plan`] first.

mod inside;
mod outside;
mod plan;
mod relay;

use crate::init::NOT_STARTED;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

const OUTSIDE: &str = "__gvisor";
const INSIDE: &str = "__gvisor-first";
const WINDOW: &str = "__gvisor-window";

/// What a sandbox runs in which this command is to run under gVisor's kernel.
pub fn command(ourselves: &Path, runsc: &Path, command: Vec<OsString>) -> Vec<OsString> {
    [ourselves.into(), OUTSIDE.into(), runsc.into()].into_iter().chain(command).collect()
}

/// Plays a part, if this process was started for one. Called first thing in `main`, while there is one thread.
pub fn part(first: Option<&OsStr>, arguments: impl Iterator<Item = OsString>) -> Option<i32> {
    let mut arguments = arguments;
    let done = match first?.to_str()? {
        OUTSIDE => outside::play(arguments),
        INSIDE => inside::play(arguments.next()),
        WINDOW => inside::resize(arguments),
        _ => return None,
    };
    Some(done.unwrap_or_else(|error| {
        // Where nobody reads it, the code tells that nothing was run.
        say(&format!("gVisor: {error}"));
        NOT_STARTED
    }))
}

fn say(error: &str) {
    io::Write::write_all(&mut io::stderr(), format!("standin: error: {error}\n").as_bytes()).ok();
}

/// Says what failed. The text reads after "cannot".
fn cannot<T, E: Into<io::Error>>(what: &str, result: Result<T, E>) -> io::Result<T> {
    result.map_err(|error| io::Error::other(format!("cannot {what}: {}", error.into())))
}
