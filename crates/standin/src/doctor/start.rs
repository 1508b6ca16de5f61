//! A whole sandbox, started as `run` starts one, in which nothing is done.

use crate::exit::{self, Failure};
use crate::ourselves;
use crate::scratch::Scratch;
use standin_sandbox::host::{Found, Lack};
use standin_sandbox::plan::{self, HostFacts, SYSTEM};
use standin_sandbox::{Ground, Held, LaunchError, LocalPorts, Spec, begin};
use std::ffi::OsStr;
use std::path::Path;

const NOTHING: &str = "__doctor-nothing";
/// Bytes of its private directories.
const TMP: u64 = 64 << 20;

/// What this process does in that sandbox, if it was started for that.
pub(crate) fn hidden_role(first: Option<&OsStr>) -> Option<fn() -> Result<i32, Failure>> {
    (first? == NOTHING).then_some(|| Ok(exit::SUCCESS))
}

/// Starts it and waits for its end.
pub(super) fn whole() -> Found {
    let lack = |why: String, mend: Option<String>| Lack { why, mend };
    let failed = |failure: Failure| lack(failure.message().to_owned(), None);
    let scratch = Scratch::new("doctor").map_err(failed)?;
    let program = ourselves::program().map_err(failed)?;
    let plan = plan::plan(spec(&program, scratch.path()), &HostFacts::read());
    let started = begin(&Ground::new(LocalPorts::default(), None), &program)
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
