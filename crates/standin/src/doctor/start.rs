//! A whole sandbox, started as `run` starts one, in which nothing is done.

use crate::exit::{self, Failure};
use crate::ourselves;
use crate::run::backend::{self, Tool};
use crate::run::view::leads_through;
use crate::scratch::Scratch;
use standin_model::Backend;
use standin_sandbox::backend::gvisor;
use standin_sandbox::host::{Found, Lack};
use standin_sandbox::plan::{self, HostFacts, SYSTEM};
use standin_sandbox::{Ground, Held, LaunchError, Layer, LocalPorts, Spec, begin};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Instant;

const NOTHING: &str = "__doctor-nothing";
/// Bytes of its private directories.
const TMP: u64 = 64 << 20;

/// What this process does in that sandbox, if it was started for that.
pub(crate) fn hidden_role(first: Option<&OsStr>) -> Option<fn() -> Result<i32, Failure>> {
    (first? == NOTHING).then_some(|| Ok(exit::SUCCESS))
}

/// Starts it and waits for its end.
pub(super) fn whole() -> Found {
    begun(Backend::Native, None)
}

/// The same with another back-end, and how long that takes.
pub(super) fn with(backend: Backend) -> Found {
    let lack = |failure: Failure| Lack { why: failure.message().to_owned(), mend: failure.mend().map(str::to_owned) };
    if backend == Backend::Gvisor && rustix::process::geteuid().is_root() {
        let mend = Some("run Standin as an ordinary user".to_owned());
        return Err(Lack { why: "not for root, whose number it would have on the host".to_owned(), mend });
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let here = std::env::current_dir().map_err(|e| lack(Failure::because("cannot tell the current directory", &e)))?;
    // A session may have left one here, and this is outside of any sandbox.
    let tool = backend::find(backend, &path, |program| !leads_through(program, std::slice::from_ref(&here)));
    let tool = tool.map_err(lack)?;
    let version = tool.as_ref().map(|tool| tool.version.clone()).unwrap_or_default();
    let start = Instant::now();
    begun(backend, tool)?;
    Ok(format!("{version}; from here to the end of a command that does nothing: {} ms", start.elapsed().as_millis()))
}

fn begun(backend: Backend, tool: Option<Tool>) -> Found {
    let lack = |why: String, mend: Option<String>| Lack { why, mend };
    let failed = |failure: Failure| lack(failure.message().to_owned(), None);
    let scratch = Scratch::new("doctor").map_err(failed)?;
    let program = ourselves::program().map_err(failed)?;
    let mut spec = spec(&program, scratch.path());
    let mut ground = Ground::new(LocalPorts::default(), None);
    match (backend, tool) {
        (Backend::Bubblewrap, Some(tool)) => ground.bubblewrap = Some(tool.path),
        (Backend::Gvisor, Some(tool)) => {
            spec.command = gvisor::command(&program, &tool.path, spec.command);
            spec.nested = true;
            // It works on a copy; here there is nothing to copy.
            let part = |name: &str| scratch.path().join(name);
            let [lower, upper, work] = [part("lower"), part("upper"), part("work")];
            [&lower, &upper, &work]
                .into_iter()
                .try_for_each(std::fs::create_dir)
                .map_err(|error| lack(error.to_string(), None))?;
            spec.workspace_layer = Some(Layer { upper, work });
            (spec.workspace, spec.directory) = (lower.clone(), lower);
        }
        _ => {}
    }
    let plan = plan::plan(spec, &HostFacts::read());
    let started = begin(&ground, &program)
        .and_then(|begun| begun.plan(&plan)?.launch())
        .and_then(|prepared| prepared.started(false));
    // The sockets are kept: whoever asks the network something waits instead of being refused.
    let (mut sandbox, _sockets) = started.map_err(|error| {
        let mend = if let LaunchError::Step { mend, .. } = &error { mend.clone() } else { None };
        lack(Failure::because("a whole sandbox does not start", &error).message().to_owned(), mend)
    })?;
    match sandbox.wait() {
        Ok(exit::SUCCESS) => Ok("a whole sandbox, from here to the command's end".to_owned()),
        Ok(code) => Err(lack(format!("a command that does nothing ended with {code}"), None)),
        Err(error) => Err(lack(error.to_string(), None)),
    }
}

fn spec(program: &Path, workspace: &Path) -> Spec {
    let in_system = SYSTEM.iter().any(|system| program.starts_with(system));
    Spec {
        command: vec![program.into(), NOTHING.into()],
        environment: Vec::new(),
        workspace: workspace.to_owned(),
        workspace_layer: None,
        nested: false,
        sockets: Vec::new(),
        directory: workspace.to_owned(),
        home: "/home/doctor".into(),
        read_only: if in_system { Vec::new() } else { vec![program.to_owned()] },
        writable: Vec::new(),
        caches: Vec::new(),
        files: Vec::new(),
        overlays: Vec::new(),
        masks: Vec::new(),
        emptied: Vec::new(),
        watched: Vec::new(),
        unmasked: Vec::new(),
        harmless: Vec::new(),
        pinned: Vec::new(),
        limits: Held { group: None, processes: None, tmp: TMP },
    }
}
