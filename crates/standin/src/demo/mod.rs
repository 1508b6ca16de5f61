//! `standin demo`: the main job, with nothing to set up, and every line of it measured.
//!
//! Three processes of this one program. The *presenter* (this one) checks and prints. The *stage* enters a
//! private network, starts an origin there that knows the secret, and runs `standin run`, unmodified. The
//! *agent* is what runs in the sandbox: it uses the API, looks for the secret, and tries to get it out.

mod agent;
mod origin;
mod stage;

use crate::exit::{self, Failure};
use crate::log::print_record;
use crate::random;
use crate::scratch::Scratch;
use standin_audit::AuditReader;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

const STAGE: &str = "__demo-stage";
const AGENT: &str = "__demo-agent";
/// Where the origin is, and where the stand-in may go.
const API: &str = "api.demo.example";
/// A host that may be reached and has no grant.
const OTHER: &str = "other.demo.example";

/// The part of the demonstration that this process plays, if it was started for one.
pub(crate) fn hidden_role(first: Option<&OsStr>) -> Option<fn() -> Result<i32, Failure>> {
    match first?.to_str()? {
        STAGE => Some(stage::play),
        AGENT => Some(agent::play),
        _ => None,
    }
}

/// One thing that was tried, and what came of it.
struct Finding {
    held: bool,
    what: String,
    seen: String,
}

/// Shows what Standin does; the exit code says whether all of it held.
pub(crate) fn demo() -> Result<i32, Failure> {
    let directory = Scratch::new("demo")?;
    let workspace = directory.path().join("workspace");
    std::fs::create_dir(&workspace).map_err(|e| Failure::because("cannot make the demonstration's workspace", &e))?;
    let secret = format!("sk-{}0123456789", random::letters::<20>()?);
    let out = &mut io::stdout();
    let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    title(out, colour, "An agent runs in a sandbox. It is to use an API, and must not learn the API's key.")?;
    let report = stage::start(directory.path(), &secret)?;
    let mut findings = report.findings(&secret);
    let dump = std::fs::read(workspace.join("everything-readable")).unwrap_or_default();
    findings.push(Finding {
        held: dump.len() > 1000 && !contains(&dump, secret.as_bytes()) && contains(&dump, report.stand_in.as_bytes()),
        what: "prints its environment, its files and /proc, looking for the key".to_owned(),
        seen: format!("{} bytes read; the key is not among them, its stand-in is", dump.len()),
    });
    findings.push(no_trace(directory.path(), &secret));
    title(out, colour, "What it did, and what came of it:")?;
    for finding in &findings {
        let mark = match (finding.held, colour) {
            (true, true) => "\u{1b}[32m✓\u{1b}[0m",
            (true, false) => "✓",
            (false, true) => "\u{1b}[31m✗\u{1b}[0m",
            (false, false) => "✗",
        };
        writeln!(out, "  {mark} {}\n      {}", finding.what, finding.seen).map_err(Failure::output)?;
    }
    title(out, colour, "What the audit log says:")?;
    let cannot_read = |error: standin_audit::ReadError| Failure::because("cannot read the demonstration's log", &error);
    let reader = AuditReader::open(&directory.path().join("state/standin")).map_err(cannot_read)?;
    let session = reader.last_session().map_err(cannot_read)?.ok_or_else(|| Failure::new("nothing was recorded"))?;
    let records = reader.records(&session.id).map_err(cannot_read)?;
    for record in &records {
        print_record(out, record, false).map_err(Failure::output)?;
    }
    let broken =
        findings.iter().filter(|finding| !finding.held).count() + usize::from(records.len() < agent::EXCHANGES);
    title(
        out,
        colour,
        &match broken {
            0 => "Everything held.".to_owned(),
            n => format!("{n} of these did not hold. Please report it."),
        },
    )?;
    Ok(if broken == 0 { exit::SUCCESS } else { exit::CHECK_FAILED })
}

/// The key must not have been written anywhere: not in the log, not in what was printed.
fn no_trace(directory: &Path, secret: &str) -> Finding {
    let mut searched = 0;
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        if let Ok(entries) = std::fs::read_dir(&path) {
            open.extend(entries.flatten().map(|entry| entry.path()));
        } else if let Ok(contents) = std::fs::read(&path) {
            searched += 1;
            if contains(&contents, secret.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    Finding {
        held: found.is_empty() && searched > 3,
        what: "and the key is in no file: audit log, output, workspace".to_owned(),
        seen: if found.is_empty() { format!("{searched} files searched") } else { found.join(", ") },
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn title(out: &mut impl Write, colour: bool, text: &str) -> Result<(), Failure> {
    let line = if colour { format!("\n\u{1b}[1m{text}\u{1b}[0m") } else { format!("\n{text}") };
    writeln!(out, "{line}").map_err(Failure::output)
}
