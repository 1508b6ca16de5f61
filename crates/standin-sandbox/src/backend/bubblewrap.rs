//! bubblewrap as the one who makes the namespaces of users and mounts, on hosts where it may and Standin may not.
//!
//! It is executed in the place of the first process, and executes that again in them, with all rights over them. From there on nothing
//! is different: see docs/adr/0015.

use crate::ground::Ground;
use crate::init::INIT_ARGUMENT;
use crate::launch::{CONTROL_FD, REPORTS_FD};
use crate::step::{At, Step, StepError};
use crate::sys;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What is executed: the program and its arguments. Pure.
fn plan(bubblewrap: &Path, ourselves: &Path, ground: &Ground) -> io::Result<Vec<OsString>> {
    let inside = [ground.uid.0, ground.gid.0].map(|id| id.to_string());
    let [uid, gid] = inside.each_ref().map(String::as_str);
    let words = [
        // What ends it (we do) ends the sandbox.
        &["--die-with-parent", "--unshare-user", "--uid", uid, "--gid", gid][..],
        // Over what it has made, and nothing else.
        &["--cap-add", "ALL"],
        // All of the host, for us to choose from.
        &["--dev-bind", "/", "/", "--"],
    ];
    let mut plan = vec![bubblewrap.into()];
    plan.extend(words.concat().into_iter().map(OsString::from));
    plan.extend([ourselves.into(), INIT_ARGUMENT.into(), CONTROL_FD.to_string().into(), REPORTS_FD.to_string().into()]);
    plan.push(OsStr::from_bytes(&serde_json::to_vec(ground)?).to_owned());
    Ok(plan)
}

/// Executes it in the place of this process. What was handed down stays open.
pub(crate) fn execute(bubblewrap: &Path, ground: &Ground, signals: &libc::sigset_t) -> StepError {
    let run = || -> io::Result<std::convert::Infallible> {
        let plan = plan(bubblewrap, &std::env::current_exe()?, ground)?;
        let text = |word: &OsString| CString::new(word.as_bytes()).map_err(io::Error::from);
        let words = plan.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let words: Vec<_> = words.iter().map(CString::as_c_str).collect();
        sys::reset_signals(signals)?;
        Err(sys::execve(words[0], &words, &[]))
    };
    match run().at_thing(Step::Bubblewrap, bubblewrap.display()) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::LocalPorts;

    #[test]
    fn what_is_executed() {
        let ground = Ground {
            uid: (1000, 0),
            gid: (1000, 0),
            ports: LocalPorts { reach: vec![5432], publish: false },
            terminal: None,
            bubblewrap: None,
        };
        insta::assert_debug_snapshot!(
            plan("/usr/bin/bwrap".as_ref(), "/usr/bin/standin".as_ref(), &ground).expect("it is text")
        );
    }
}
