//! The attacker: tries one vector after the other, each in a process of its own, and prints what each says of itself.

use crate::catalogue;
use crate::dial;
use crate::rig::OK;
use crate::scene::Scene;
use crate::sys;
use crate::vector::{Stop, Tried};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};

/// The argument that makes this program the attacker.
pub const ARGUMENT: &str = "__attack-agent";
/// An attempt that takes longer says nothing.
const LIMIT: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };
/// The number under which the agent shows that what is allowed gets through, after everything else.
pub(crate) const MARKER: u16 = 0;

/// What an attempt says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Its vector.
    pub number: u16,
    /// How it ended.
    pub end: End,
    /// What it got, did, or was told.
    pub text: String,
}

/// How an attempt ended, as it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It did all that it wanted to.
    Done,
    /// It was refused.
    Refused,
    /// It could not be tried.
    Untried,
}

/// Plays the attacker; `scene` is its argument. A line of JSON for each attempt.
pub fn play(scene: &str) -> io::Result<()> {
    let scene: Scene = serde_json::from_str(scene)?;
    for number in &scene.numbers {
        let said = in_child(*number, || catalogue::attempt(&scene, *number))?;
        writeln!(io::stdout(), "{}", serde_json::to_string(&said)?)?;
    }
    // Whatever was sent before has arrived when this has.
    let allowed = in_child(MARKER, || dial::get(OK, 80, &format!("/{}", scene.mark(MARKER))))?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&allowed)?)
}

/// Tries it in a process that may be killed for it.
fn in_child(number: u16, attempt: impl FnOnce() -> Tried) -> io::Result<Said> {
    let (reader, writer) = io::pipe()?;
    let Some(child) = sys::fork()? else {
        drop(reader);
        let said = said(number, attempt());
        let text = serde_json::to_string(&said).unwrap_or_default() + "\n";
        sys::exit(File::from(std::os::fd::OwnedFd::from(writer)).write_all(text.as_bytes()).map_or(1, |()| 0));
    };
    drop(writer);
    let child = Pid::from_raw(child).ok_or(io::ErrorKind::InvalidData)?;
    let in_time = poll(&mut [PollFd::new(&reader, PollFlags::IN)], Some(&LIMIT))? > 0;
    if !in_time {
        kill_process(child, Signal::KILL)?;
    }
    // A line, not all: what an attempt leaves behind may hold the other end.
    let mut line = String::new();
    if in_time {
        BufReader::new(reader).read_line(&mut line)?;
    }
    let status = waitpid(Some(child), WaitOptions::empty())?;
    if let Ok(said) = serde_json::from_str(&line) {
        return Ok(said);
    }
    let killed_by = status.and_then(|(_, status)| status.terminating_signal());
    let (end, text) = match killed_by {
        // How seccomp refuses a call for good.
        Some(libc::SIGSYS) => (End::Refused, "killed for the call".to_owned()),
        _ if !in_time => (End::Untried, "no end within its time".to_owned()),
        Some(signal) => (End::Untried, format!("ended by signal {signal}")),
        None => (End::Untried, "ended without a word".to_owned()),
    };
    Ok(Said { number, end, text })
}

fn said(number: u16, tried: Tried) -> Said {
    let (end, text) = match tried {
        Ok(text) => (End::Done, text),
        Err(Stop::Refused(text)) => (End::Refused, text),
        Err(Stop::Untried(text)) => (End::Untried, text),
    };
    Said { number, end, text }
}
