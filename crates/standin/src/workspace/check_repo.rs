//! `standin check-repo`: what the next git, editor or agent on this host would run.

use crate::cli::CheckRepoArguments;
use crate::exit::{self, Failure};
use standin_workspace::printable;
use standin_workspace::repository::{Finding, check};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Prints what is found; the exit code says whether anything is.
pub(crate) fn check_repo(arguments: &CheckRepoArguments) -> Result<i32, Failure> {
    let directory = match &arguments.directory {
        Some(directory) => directory.clone(),
        None => repository_of(&super::here()?),
    };
    let found = check(&directory).map_err(|error| super::cannot("look through the directory", &error))?;
    let out = &mut BufWriter::new(io::stdout().lock());
    let print = |out: &mut BufWriter<_>| {
        for finding in &found {
            if arguments.json { json(out, finding)? } else { text(out, finding)? }
        }
        out.flush()
    };
    match print(out) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {} // whoever read it has seen enough
        other => other.map_err(Failure::output)?,
    }
    let where_ = printable::name(&directory);
    if found.is_empty() {
        exit::say(&format!("nothing in {where_} runs without being asked for"));
        return Ok(exit::SUCCESS);
    }
    exit::say(&format!("{} things in {where_} would run, or lead out of it, without being asked for", found.len()));
    Ok(exit::CHECK_FAILED)
}

/// The nearest directory upwards with a `.git`, as git looks for it; else this one.
fn repository_of(here: &Path) -> PathBuf {
    here.ancestors().find(|directory| directory.join(".git").symlink_metadata().is_ok()).unwrap_or(here).to_owned()
}

fn text(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let path = if finding.path.as_os_str().is_empty() { ".".to_owned() } else { printable::name(&finding.path) };
    let line = finding.line.map_or_else(String::new, |line| format!(":{line}"));
    writeln!(out, "{path}{line}: {}", printable::line(finding.what.as_bytes()).0)?;
    writeln!(out, "    mend: {}", printable::line(finding.mend.as_bytes()).0)
}

fn json(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let row = serde_json::json!({
        "path": finding.path.to_string_lossy(),
        "line": finding.line,
        "what": finding.what,
        "mend": finding.mend,
    });
    writeln!(out, "{}", printable::json(&row.to_string()))
}
