//! How long it takes until `true` has run and everything is gone again.

use super::progress;
use crate::Failure;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// One way to run `true`.
pub(super) struct Startup {
    pub(super) name: &'static str,
    /// Sorted.
    pub(super) times: Vec<Duration>,
}

/// Runs each in turn, `rounds` times.
pub(super) fn measure(standin: &Path, rounds: usize) -> Result<Vec<Startup>, Failure> {
    progress("start-up");
    let (workspace, state) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
    let bwrap =
        "bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all --die-with-parent /usr/bin/true";
    let mut ways: Vec<(&'static str, Vec<OsString>)> = vec![("true", words("/usr/bin/true"))];
    if super::arm::on_the_path("bwrap") {
        ways.push(("bwrap … true", words(bwrap)));
    } else {
        progress("bubblewrap is not installed, so it is left out");
    }
    ways.push(("standin run -- true", [vec![standin.into()], words("run -- /usr/bin/true")].concat()));
    let mut results: Vec<_> = ways.iter().map(|(name, _)| Startup { name, times: Vec::new() }).collect();
    for round in 0..=rounds {
        for ((_, command), result) in ways.iter().zip(&mut results) {
            let begun = Instant::now();
            let ended = Command::new(&command[0])
                .args(&command[1..])
                .current_dir(workspace.path())
                .env_clear()
                .env("PATH", "/usr/local/bin:/usr/bin:/bin")
                .env("HOME", "/nonexistent")
                .env("XDG_STATE_HOME", state.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            let time = begun.elapsed();
            if !ended.success() {
                return Err(format!("`{}` ended with {ended}", result.name).into());
            }
            // The first round fills caches and is not counted.
            if round > 0 {
                result.times.push(time);
            }
        }
    }
    for result in &mut results {
        result.times.sort_unstable();
    }
    Ok(results)
}
