//! What Standin costs, side by side with what else there is, in one run on one machine.
//!
//! ```text
//! driver   (this process) starts everything, asks for measurements in turn, reads CPU and memory, prints
//! stage    the driver in a private network, where `bench.example` leads to an origin of ours
//! origin   TLS, HTTP/1.1 and HTTP/2; answers only to the real token, so a swap that is not done fails
//! relay    decrypt, copy, encrypt on the same TLS library: the limit of what any proxy can reach
//! others   hudsucker (a library, in a process of ours) and mitmproxy, which swap the same header
//! load     the client; one process an arm, inside the sandbox for Standin's
//! ```
//!
//! Arms take turns within a round, and every figure is the median over rounds, so a machine whose speed drifts
//! slows all of them alike.

mod arm;
mod case;
#[cfg(feature = "hudsucker")]
mod hudsucker;
mod load;
mod origin;
mod process;
mod relay;
mod report;
mod startup;
mod tls;

use crate::Failure;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The origin's name and address, and the relay's: public ones, local in the private network.
const HOST: &str = "bench.example";
const ORIGIN: &str = "93.184.216.10:443";
const RELAY: &str = "93.184.216.20:443";
const MITMPROXY: &str = "127.0.0.1:8080";
#[cfg(feature = "hudsucker")]
const HUDSUCKER: &str = "127.0.0.1:8081";
/// What the origin wants to see.
const TOKEN: &str = "tok-bench-0123456789abcdefghijkl";
/// What the agents of other proxies would hold.
const DUMMY: &str = "tok-dummy-0123456789abcdefghijkl";
/// Standin in a session without a secret: nothing is swapped and nothing is looked for in what comes back.
const NO_SECRET: &str = "Standin, no secret";
/// Where a load finds its token, and the origin's or proxy's certificate.
const TOKEN_VARIABLE: &str = "BENCH_TOKEN";

/// Measure Standin beside a direct connection, a bare TLS relay, hudsucker and mitmproxy.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rounds; every figure is the median over them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Milliseconds of each measurement of requests
    #[arg(long, default_value_t = 1500)]
    millis: u64,
    /// Leave mitmproxy out (it is installed from PyPI on first use)
    #[arg(long)]
    no_mitmproxy: bool,
    /// Measure only cases whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

/// The part that this process plays, if it was started for one.
pub(crate) fn role(first: Option<&OsStr>) -> Option<fn() -> Result<(), Failure>> {
    match first?.to_str()? {
        "__stage" => Some(stage),
        "__origin" => Some(origin::serve),
        "__relay" => Some(relay::serve),
        #[cfg(feature = "hudsucker")]
        "__hudsucker" => Some(hudsucker::serve),
        "__load" => Some(load::serve),
        _ => None,
    }
}

/// Builds what is measured, measures start-up here, and the rest on the stage.
pub(crate) fn bench(arguments: &Arguments) -> Result<(), Failure> {
    progress("building Standin as it is shipped");
    let built = Command::new(env!("CARGO")).args(["build", "--release", "--quiet", "--package", "standin"]).status()?;
    if !built.success() {
        return Err("Standin does not build".into());
    }
    let mitmproxy = if arguments.no_mitmproxy { None } else { Some(arm::install_mitmproxy(&target()?)?) };
    report::machine();
    let directory = tempfile::tempdir()?;
    if "start-up".contains(&arguments.only) || arguments.only.is_empty() {
        // As it is installed: a copy. What a linker has written lies in small pieces in the page cache, and mapping
        // those costs each start some milliseconds more.
        let installed = directory.path().join("standin");
        std::fs::copy(standin()?, &installed)?;
        report::startup(&startup::measure(&installed, arguments.rounds * 8)?);
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("__stage").arg(directory.path()).arg(arguments.rounds.to_string()).arg(arguments.millis.to_string());
    command.arg(&arguments.only).args(mitmproxy);
    if command.status()?.success() { Ok(()) } else { Err("the measurements were not finished".into()) }
}

/// In the private network: starts the arms and measures.
fn stage() -> Result<(), Failure> {
    let mut words = std::env::args_os().skip(2);
    let mut word = || words.next().ok_or("the stage was started by hand");
    let directory = PathBuf::from(word()?);
    let number = |word: std::ffi::OsString| word.to_string_lossy().parse::<u64>();
    let (rounds, millis) = (number(word()?)?, number(word()?)?);
    let only = word()?.to_string_lossy().into_owned();
    let mitmproxy = words.next().map(PathBuf::from);
    let hosts = directory.join("hosts");
    std::fs::write(&hosts, format!("127.0.0.1 localhost\n{} {HOST}\n", ORIGIN.trim_end_matches(":443")))?;
    standin_sandbox::private_network::enter(&hosts)?;
    let origin = arm::Origin::start(&directory)?;
    let mut arms = arm::start_all(&directory, &standin()?, mitmproxy.as_deref())?;
    let cases: Vec<_> = case::all(millis).into_iter().filter(|case| case.name.contains(&only)).collect();
    let figures = case::measure(&cases, &mut arms, usize::try_from(rounds)?)?;
    drop(origin);
    report::cases(&cases, &arms, &figures);
    Ok(())
}

fn target() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?;
    let directory = program.parent().and_then(Path::parent).ok_or("this program lies in no target directory")?;
    Ok(directory.to_owned())
}

fn standin() -> Result<PathBuf, Failure> {
    Ok(target()?.join("release/standin"))
}

/// Says what takes so long.
#[expect(clippy::print_stderr, reason = "a command line speaks to people")]
fn progress(what: &str) {
    eprintln!("bench: {what}");
}
