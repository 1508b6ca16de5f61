//! `standin run`: from what was typed to a running sandbox, and to its end.

mod alarm;
mod assurance;
pub(crate) mod backend;
mod config_file;
mod copy;
mod credentials;
mod database;
mod disks;
mod environment;
mod files;
mod identity;
mod inputs;
mod keeper;
mod limits;
mod logins;
mod publish;
mod reload;
mod secret_files;
mod serve;
mod signing;
mod sources;
mod ssh;
mod terminal;
mod upstream;
pub(crate) mod view;

use crate::cli::RunArguments;
use crate::exit::{self, Failure};
use crate::{ourselves, random};
use inputs::Inputs;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use standin_audit::{AuditLog, SessionStart, SessionSummary};
use standin_ca::SessionCa;
use standin_config::Config;
use standin_model::SessionId;
use standin_net::Upstreams;
use standin_policy::Policy;
use standin_proxy::{Session, SessionParts, TokenKeeper};
use standin_sandbox::{LaunchError, Planned, Terminal, plan};
use std::sync::Arc;
use std::time::SystemTime;

pub(crate) use inputs::{configuration, state_directory};
pub(crate) use reload::ask as reload;
pub(crate) use view::host_trust;

/// The policy that a session would have, and what it was configured with.
pub(crate) fn policy(arguments: &RunArguments) -> Result<(Policy, Config), Failure> {
    let inputs = Inputs::gather(arguments)?;
    let policy = credentials::policy(&inputs)?;
    Ok((policy, inputs.config))
}

/// Runs a command in the sandbox and gives its exit code.
pub(crate) fn run(arguments: &RunArguments) -> Result<i32, Failure> {
    let inputs = Inputs::gather(arguments)?;
    upstream::is_not_steered(&inputs)?;
    leave_no_core()?;
    let _at_the_end = sources::EndOfLeases(&inputs);
    // Its namespaces and its network are made while the rest is put together here.
    let ground = view::ground(&inputs)?;
    let begun = standin_sandbox::begin(&ground, &ourselves::program()?).map_err(|error| cannot_launch(&error))?;
    // What is in the sandbox has been begun, and keeps the bound that the caller set.
    make_room_for_descriptors()?;
    let search = secret_files::Search::begin(&inputs)?;
    let id = session_id()?;
    let mut lent = credentials::gather(&inputs, search)?;
    for line in &lent.notes {
        exit::say(line);
    }
    let upstreams = upstream::upstreams(&inputs)?.with_identities(std::mem::take(&mut lent.identities));
    let ca =
        SessionCa::generate(SystemTime::now()).map_err(|e| Failure::because("cannot make the session's CA", &e))?;
    let keeper = Arc::clone(&lent.keeper);
    let reloading = reload::Reloading::of(&inputs, arguments, &id, std::mem::take(&mut lent.found));
    let copy = copy::Copy::begin(&inputs, &id)?;
    let limited = limits::Limited::begin(&inputs.config.limits)?;
    let disks = Arc::new(disks::Disks::of(&inputs, inputs.config.limits.spare)?);
    let layer = copy.as_ref().and_then(copy::Copy::layer);
    let spec = view::spec(&inputs, &lent, &ca, &id, layer, limited.held())?;
    let published = publish::Published::listen(&inputs.publish)?;
    // Its files are put together while the rest is prepared; the command begins when it is told to.
    let plan = plan::plan(spec, &plan::HostFacts::read());
    let planned = begun.plan(&plan).map_err(|error| cannot_launch(&error))?;
    let start = SessionStart {
        id: id.clone(),
        command: inputs.command_line(),
        workspace: inputs.workspace.clone(),
        assurance: assurance::of(&inputs, upstreams.has_parent())?,
    };
    let log = AuditLog::start(inputs.state.clone(), start).map_err(|e| Failure::because("cannot keep records", &e))?;
    // From here on something is running; whatever happens, the log is finished.
    let ended = launch_and_serve(
        &inputs,
        id,
        lent,
        upstreams,
        ca,
        &log,
        planned,
        ground.terminal,
        (published, &disks, reloading),
    );
    let toll = limited.end(ended.as_ref().ok().copied());
    let summary =
        log.finish(ended.as_ref().ok().copied()).map_err(|e| Failure::because("the records are incomplete", &e))?;
    keeper.notes().iter().for_each(|note| exit::say(note));
    let code = ended?;
    for line in toll {
        exit::say(&line);
    }
    if let Some(low) = disks.low() {
        exit::say(low);
    }
    if summary.refused_files > 0 {
        exit::say(&format!("{} changes of protected files refused; see `standin log`", summary.refused_files));
    }
    exit::say(&in_one_line(&summary));
    if let Some(copy) = copy {
        exit::say(&copy.end()?);
    }
    Ok(code)
}

#[expect(clippy::too_many_arguments, reason = "the one place where everything of a session meets")]
fn launch_and_serve(
    inputs: &Inputs,
    id: SessionId,
    lent: credentials::Lent,
    upstreams: Upstreams,
    ca: SessionCa,
    log: &AuditLog,
    planned: Planned,
    terminal: Option<Terminal>,
    (published, disks, reloading): (publish::Published, &Arc<disks::Disks>, reload::Reloading),
) -> Result<i32, Failure> {
    let serving = serve::Serving::prepare()?;
    let prepared = planned.launch().map_err(|error| cannot_launch(&error))?;
    let (parts_of_alarm, alarm) = alarm::listen(&inputs.config);
    let parts = SessionParts {
        policy: lent.policy,
        vault: lent.vault,
        keeper: Some(Arc::clone(&lent.keeper) as Arc<dyn TokenKeeper>),
        ca,
        upstreams,
        ssh: lent.ssh,
        audit: log.sink(),
        gateway: prepared.gateway(),
        caps: inputs.config.caps.clone(),
        alarm: parts_of_alarm,
    };
    let session = Session::new(id, parts);
    let (sandbox, sockets) = prepared.started(terminal.is_some()).map_err(|error| match error {
        LaunchError::Step { .. } if !inputs.program.exists() => cannot_launch(&error).code(exit::NOT_FOUND),
        _ => cannot_launch(&error),
    })?;
    let bridge = |master| {
        let screen = terminal::Screen::new(inputs.config.terminal.clone(), &session.lent().scrubber);
        terminal::Bridge::open(master, terminal.is_some_and(|terminal| terminal.controls), screen)
    };
    serve::until_end(serving, &session, sandbox, sockets, (published, alarm, disks, reloading), bridge)
}

/// This process holds real values, and so do the programs that it fetches them with: neither is dumped. One byte, since to a program
/// that takes cores (core(5)) only that means none.
pub(crate) fn leave_no_core() -> Result<(), Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    let current = Some(maximum.map_or(1, |most| most.min(1)));
    setrlimit(Resource::Core, Rlimit { current, maximum })
        .map_err(|error| Failure::because("cannot bound core dumps", &error))
}

/// The command may hold as many connections as it likes ([`standin_model::limits::MAX_CONNECTIONS`]), each of which takes some descriptors here;
/// the usual bound of 1,024 would leave none for its owner, who wants to be heard (`standin reload`). The caller's hard bound holds.
fn make_room_for_descriptors() -> Result<(), Failure> {
    /// Not more, for programs that this process starts have the bound, too, and some go through all numbers below it.
    const ENOUGH: u64 = 65_536;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let enough = maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    if current.is_none_or(|now| now >= enough) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(enough), maximum })
        .map_err(|error| Failure::because("cannot have more descriptors", &error))
}

fn cannot_launch(error: &LaunchError) -> Failure {
    let failure = Failure::because("the sandbox did not start, and nothing was run", error);
    match error {
        LaunchError::Step { mend: Some(mend), .. } => failure.hint(mend.clone()),
        LaunchError::Keyboard(_) => failure.hint("name another standard input, for example `</dev/null`"),
        _ => failure,
    }
}

/// Sortable by time, and unlike any other.
fn session_id() -> Result<SessionId, Failure> {
    let [a, b, c] = random::bytes()?;
    let now = time::OffsetDateTime::now_utc();
    Ok(SessionId::new(format!(
        "{}{:02}{:02}-{:02}{:02}{:02}-{a:02x}{b:02x}{c:02x}",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    )))
}

fn in_one_line(summary: &SessionSummary) -> String {
    let names: Vec<_> = summary.credentials.iter().map(standin_model::CredentialName::as_str).collect();
    let used = if names.is_empty() { "no secret used".to_owned() } else { format!("used: {}", names.join(", ")) };
    format!(
        "{} exchanges, {} denied, {used}, {} out, {} in; see `standin log`",
        summary.records,
        summary.denied,
        bytes(summary.bytes_out),
        bytes(summary.bytes_in)
    )
}

/// A number of bytes for people, in powers of a thousand.
pub(crate) fn bytes(count: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.iter().find(|(size, _)| count >= *size) {
        Some((size, unit)) => format!("{}.{} {unit}", count / size, count % size * 10 / size),
        None => format!("{count} B"),
    }
}
