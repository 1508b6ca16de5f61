//! `standin diff`, `apply` and `discard`: what a session changed in its copy of the workspace.

pub(crate) mod check_repo;
mod show;

use crate::cli::{ApplyArguments, DiffArguments, DiscardArguments};
use crate::exit::{self, Failure};
use crate::run::state_directory;
use standin_workspace::{Apply, Session, Store, changes, printable};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// Shows changes.
pub(crate) fn diff(arguments: &DiffArguments) -> Result<i32, Failure> {
    if arguments.raw && io::stdout().is_terminal() {
        return Err(Failure::new("--raw does not write to a terminal, which an agent's texts could steer"));
    }
    let session = session(arguments.session.as_deref())?;
    let paths = within(&session, &arguments.paths)?;
    let found = changes(&session).map_err(|error| cannot("show what was changed", &error))?.within(&paths);
    let out = &mut BufWriter::new(io::stdout().lock());
    let written = if arguments.json {
        show::json(out, &found)
    } else {
        show::text(out, &session, &found, arguments.stat, arguments.raw)
    };
    match written.and_then(|()| out.flush()) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit::SUCCESS),
        other => other.map_err(Failure::output).map(|()| exit::SUCCESS),
    }
}

/// Takes changes over.
pub(crate) fn apply(arguments: &ApplyArguments) -> Result<i32, Failure> {
    let session = session(arguments.session.as_deref())?;
    let paths = within(&session, &arguments.paths)?;
    let stop = stop_on_signals()?;
    let apply = Apply {
        session: &session,
        paths: &paths,
        executable: arguments.executable,
        force: arguments.force,
        stop: &|| stop.load(Ordering::Relaxed),
    };
    let applied = apply.run().map_err(|error| cannot("apply what was changed", &error))?;
    for (path, why) in &applied.left {
        exit::say(&format!("left: {}: {why}", printable::name(path)));
    }
    let end = match (applied.stopped, applied.left.len()) {
        (true, _) => "; stopped, and can be run again".to_owned(),
        (false, 0) => String::new(),
        (false, left) => format!(
            "; {left} left: name one to take it, --executable for what the host may run, --force over what changed on the host"
        ),
    };
    exit::say(&format!("{} changes applied{end}", applied.done));
    Ok(if applied.stopped || !applied.left.is_empty() { exit::CHECK_FAILED } else { exit::SUCCESS })
}

/// Forgets changes.
pub(crate) fn discard(arguments: &DiscardArguments) -> Result<i32, Failure> {
    let session = session(arguments.session.as_deref())?;
    let id = session.id().to_owned();
    session.discard().map_err(|error| cannot("forget what was changed", &error))?;
    exit::say(&format!("the changes of session {id} are forgotten"));
    Ok(exit::SUCCESS)
}

fn cannot(what: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::because(format!("cannot {what}"), error)
}

/// The session that is meant: the one that is named, or the last one of the directory we are in.
fn session(named: Option<&str>) -> Result<Session, Failure> {
    let store = Store::within(&state_directory()?);
    let found = match named {
        Some(id) => store.session(id),
        None => store.last_of(&here()?),
    };
    let session = found.map_err(|error| cannot("find the session", &error))?.ok_or_else(|| {
        let what = named.map_or_else(|| "this directory".to_owned(), |id| format!("session {id}"));
        Failure::new(format!("no changes of {what} are kept"))
            .hint("`standin run --cow -- COMMAND` keeps them")
            .code(exit::CHECK_FAILED)
    })?;
    if session.was_cut_off().map_err(|error| cannot("find the session", &error))? {
        exit::say("the machine went down while this session ran: what it wrote last may be there in part only");
    }
    Ok(session)
}

fn here() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().and_then(|path| path.canonicalize());
    here.map_err(|error| Failure::because("cannot tell the current directory", &error))
}

/// Paths as the session's workspace knows them: what was typed counts from here, or from the workspace if we are not in it.
fn within(session: &Session, typed: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let workspace = session.workspace();
    let here = Some(here()?).filter(|here| here.starts_with(workspace)).unwrap_or_else(|| workspace.to_owned());
    let within = |path: &PathBuf| {
        // By words, not by what is there: it may be only in the session.
        let mut whole = PathBuf::new();
        for component in here.join(path).components() {
            match component {
                Component::ParentDir => drop(whole.pop()),
                Component::CurDir => {}
                other => whole.push(other),
            }
        }
        let inside = whole.strip_prefix(workspace).map(Path::to_owned);
        inside.map_err(|_| Failure::new(format!("{} is not in {}", whole.display(), workspace.display())))
    };
    typed.iter().map(within).collect()
}

/// From here on ^C and its like do not end us but say so.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let cannot = |error: io::Error| Failure::because("cannot listen to signals", &error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(cannot)?;
    let stop = Arc::new(AtomicBool::new(false));
    let signals = {
        let _guard = runtime.enter();
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal)
    };
    let [mut interrupt, mut terminate, mut hang_up] = match signals {
        [Ok(a), Ok(b), Ok(c)] => [a, b, c],
        [Err(error), ..] | [_, Err(error), _] | [.., Err(error)] => return Err(cannot(error)),
    };
    let asked = Arc::clone(&stop);
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        });
        asked.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}
