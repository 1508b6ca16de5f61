//! `standin doctor`: what this host can give, layer by layer, and how it gets what is missing.
//!
//! The layers are tried by [`standin_sandbox::host`]; here stands what each is for, and what `run` makes of its lack.

mod attack;
mod start;

use crate::cli::DoctorArguments;
use crate::exit::{self, Failure};
use crate::run::{host_trust, state_directory};
use rustix::fs::{Access, access};
use standin_model::Backend;
use standin_sandbox::host::{self, Found, Lack};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

/// The part of the doctor's work that this process does, if it was started for one.
pub(crate) fn hidden_role(first: Option<&OsStr>) -> Option<fn() -> Result<i32, Failure>> {
    start::hidden_role(first).or_else(|| attack::hidden_role(first))
}

/// One line of the report.
struct Row {
    layer: &'static str,
    /// Nothing where it was not tried, because of what is missing above it.
    found: Option<Found>,
    lacking: Lacking,
}

/// What a missing layer means.
enum Lacking {
    /// `run` refuses.
    Refused,
    /// `run` goes on; this is not to be had.
    Without(String),
    /// Standin does not use it; this is known of what it would be for.
    Unused(Option<&'static str>),
}

const UNBOUNDED: &str = "a session's memory and processors are not bounded, nor are root's processes";

/// Looks at the host; the exit code says whether `run` would start here.
pub(crate) fn doctor(arguments: &DoctorArguments) -> Result<i32, Failure> {
    if arguments.attack {
        return attack::attack(arguments.backend, arguments.json);
    }
    let rows = examine()?;
    let out = &mut io::stdout().lock();
    for row in &rows {
        if arguments.json { row.json(out) } else { row.text(out) }.map_err(Failure::output)?;
    }
    if rows.iter().any(Row::refuses) {
        exit::say("`standin run` would refuse to start here");
        return Ok(exit::CHECK_FAILED);
    }
    exit::say("`standin run` starts here");
    Ok(exit::SUCCESS)
}

fn examine() -> Result<Vec<Row>, Failure> {
    let state = state_directory()?;
    let needed = |layer, found| Row { layer, found: Some(found), lacking: Lacking::Refused };
    let namespaces = host::namespaces();
    let records = records(&state);
    let (inside, kept) = (namespaces.is_ok(), records.is_ok());
    let mut rows = vec![
        needed("kernel", Ok(host::kernel())),
        needed("namespaces", namespaces),
        Row { layer: "network", found: inside.then(host::network), lacking: Lacking::Refused },
        needed("landlock", host::landlock()),
        needed("system calls", host::system_calls()),
        needed("trust store", trust_store()),
        needed("records", records),
    ];
    let ready = !rows.iter().any(Row::refuses);
    rows.push(Row { layer: "start", found: ready.then(start::whole), lacking: Lacking::Refused });
    let copies = (inside && kept).then(|| host::copies(&state));
    let copies_cost = format!(
        "`run --cow`, `diff`, `apply`; without a copy these ways out are open (threats.md): {}",
        kept_by_copies()
    );
    rows.push(Row { layer: "copies", found: copies, lacking: Lacking::Without(copies_cost) });
    // Also where a sandbox of Standin's own does not start: that is what bubblewrap is for.
    for backend in [Backend::Bubblewrap, Backend::Gvisor] {
        let costs = Lacking::Without(format!("`run --backend {}`", backend.as_str()));
        rows.push(Row { layer: backend.as_str(), found: Some(start::with(backend)), lacking: costs });
    }
    rows.push(Row { layer: "limits", found: Some(host::limits()), lacking: Lacking::Unused(Some(UNBOUNDED)) });
    for (layer, path) in [("fuse", "/dev/fuse"), ("kvm", "/dev/kvm")] {
        rows.push(Row { layer, found: Some(device(Path::new(path))), lacking: Lacking::Unused(None) });
    }
    Ok(rows)
}

/// The numbers of the vectors for which a copy of the workspace makes a difference.
fn kept_by_copies() -> String {
    let kept = standin_attack::catalogue::all().filter(|vector| vector.differs_in_a_copy());
    kept.map(|vector| vector.number.to_string()).collect::<Vec<_>>().join(" ")
}

fn trust_store() -> Found {
    match host_trust() {
        Ok(trust) => Ok(format!("{} kB of certificates", trust.bundle.len() / 1000)),
        Err(failure) => Err(Lack { why: failure.message().to_owned(), mend: failure.mend().map(str::to_owned) }),
    }
}

/// The state directory, made as a run makes it.
fn records(state: &Path) -> Found {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state);
    match made.and_then(|()| Ok(access(state, Access::WRITE_OK)?)) {
        Ok(()) => Ok(state.display().to_string()),
        Err(error) => Err(Lack {
            why: format!("cannot write to {}: {error}", state.display()),
            mend: Some("name a directory of yours with XDG_STATE_HOME".to_owned()),
        }),
    }
}

fn device(path: &Path) -> Found {
    match access(path, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => Ok(format!("{} can be opened", path.display())),
        Err(error) => Err(Lack { why: format!("{}: {error}", path.display()), mend: None }),
    }
}

impl Row {
    fn refuses(&self) -> bool {
        matches!(self.lacking, Lacking::Refused) && !matches!(self.found, Some(Ok(_)))
    }

    fn state(&self) -> &'static str {
        match (&self.found, &self.lacking) {
            (Some(Ok(_)), _) => "ok",
            (Some(Err(_)), Lacking::Unused(_)) => "unused",
            (Some(Err(_)), _) => "missing",
            (None, _) => "untried",
        }
    }

    fn detail(&self) -> &str {
        match &self.found {
            Some(Ok(text)) => text,
            Some(Err(lack)) => &lack.why,
            None => "needs what is missing above",
        }
    }

    fn mend(&self) -> Option<&str> {
        self.found.as_ref()?.as_ref().err()?.mend.as_deref()
    }

    /// What is not to be had without it.
    fn costs(&self) -> Option<&str> {
        match (&self.found, &self.lacking) {
            (_, Lacking::Unused(known)) => *known,
            (Some(Ok(_)), _) => None,
            (_, Lacking::Refused) => Some("`run`: nothing is run without it"),
            (_, Lacking::Without(what)) => Some(what),
        }
    }

    fn text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{:<13} {:<8} {}", self.layer, self.state(), self.detail())?;
        if let Some(costs) = self.costs() {
            writeln!(out, "{:22} costs: {costs}", "")?;
        }
        if let Some(mend) = self.mend() {
            writeln!(out, "{:22} mend:  {mend}", "")?;
        }
        Ok(())
    }

    fn json(&self, out: &mut impl Write) -> io::Result<()> {
        let row = serde_json::json!({
            "layer": self.layer,
            "state": self.state(),
            "needed": matches!(self.lacking, Lacking::Refused),
            "detail": self.detail(),
            "costs": self.costs(),
            "mend": self.mend(),
        });
        writeln!(out, "{row}")
    }
}
